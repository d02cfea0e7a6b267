"""Slice segment headers (ITU-T H.265, 7.3.6), and what kinds of coding slice data is not read of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vidstega.errors import InputError
from vidstega.h264.bits import Bits, unescape
from vidstega.hevc.nal import IDR, IRAP, is_of_layer, is_slice, kind_of, temporal_of
from vidstega.hevc.references import LongTerm, Place, ShortTerm, read_short_term
from vidstega.hevc.sets import PPS, SPS, parse_pps, parse_sps

SLICE_B, SLICE_P, SLICE_I = range(3)
_FRONT_BYTES = 512
"""More than what stands in front of the first fields that say what a picture refers to, those included."""
_HEADER_BYTES = 1 << 14
"""More than the longest header: 440 entry points of 4 bytes, 16 references with weights, an extension."""
_NONSENSE = "an HEVC slice header makes no sense; the video is damaged"
_MOST_SAMPLES = 142_606_336  # level 7.2, table A.8


@dataclass(frozen=True)
class Sets:
    """The parameter sets in force, by id."""

    sps: dict[int, SPS]
    pps: dict[int, PPS]

    @classmethod
    def parse(cls, sps: Iterable[bytes], pps: Iterable[bytes]) -> Sets:
        """Read sets as NAL units; of two with one id the later holds. InputError if one makes no sense."""
        return cls({s.id: s for s in map(parse_sps, sps)}, {p.id: p for p in map(parse_pps, pps)})


@dataclass(frozen=True)
class SliceHeader:
    """What of a slice segment's header its data and its place depend on.

    Parameters
    ----------
    address, slice_address : of the first coding tree unit of the segment, and of its slice, in raster order
    initial : which of the three sets of initial contexts it has
    merges : MaxNumMergeCand
    chroma_qp_offset : of Cb and Cr, picture and slice together
    data_bit : where slice data begins, in bits of the NAL unit without emulation prevention
    """

    first: bool
    dependent: bool
    address: int
    slice_address: int
    kind: int
    pps: PPS
    sps: SPS
    place: Place
    sao: tuple[bool, bool] = (False, False)
    refs: tuple[int, int] = (0, 0)
    mvd_l1_zero: bool = False
    initial: int = 0
    merges: int = 5
    qp: int = 26
    chroma_qp_offset: tuple[int, int] = (0, 0)
    data_bit: int = 0


def refusal(sps: SPS, pps: PPS) -> str | None:
    """Why slices under these sets are not read, or None if they are."""
    chroma = {0: "gray", 2: "4:2:2 chroma", 3: "4:4:4 chroma"}.get(sps.chroma_format_idc)
    if chroma:
        return f"{chroma} (4:2:0 is read)"
    if max(sps.bit_depth) > 10:
        return f"{max(sps.bit_depth)} bits per sample (8 to 10 are read)"
    if sps.bit_depth[0] != sps.bit_depth[1]:
        return "luma and chroma of different depths"
    if sps.extended or pps.extended:
        return "extensions of HEVC (range, screen content, several layers)"
    if sps.fields:
        return "interlaced coding (pictures are fields; progressive frames are read)"
    if sps.size[0] * sps.size[1] > _MOST_SAMPLES:
        return f"pictures of {sps.size[0]:,}x{sps.size[1]:,}, larger than any level allows"
    return None


def place_of(nal: bytes, sets: Sets) -> Place | None:
    """Where the picture of its first slice segment stands and what it refers to.

    None where the header cannot be read.
    """
    try:
        bits, dependent, _, pps, sps = _front(nal[:_FRONT_BYTES], sets)
        if dependent:
            return None
        return _Reader(bits, nal, sps, pps).place()[1]
    except InputError:
        return None


def parse_header(nal: bytes, sets: Sets, before: SliceHeader | None = None) -> SliceHeader | str:
    """Read the header of a slice segment, or say by name what kind of coding is not read.

    Parameters
    ----------
    before : the segment before it in the picture, which a dependent segment takes most of its header from

    Raises
    ------
    InputError
        If it makes no sense, or its parameter sets are not there.
    """
    if is_of_layer(nal):
        return "several views or layers"
    if not is_slice(nal):
        raise InputError(f"an HEVC NAL unit of type {kind_of(nal)} is no slice")
    bits, dependent, address, pps, sps = _front(nal[:_HEADER_BYTES], sets)
    if (why := refusal(sps, pps)) is not None:
        return why
    first = address == 0
    if address >= sps.ctbs[0] * sps.ctbs[1]:
        raise InputError(_NONSENSE)
    if dependent:
        if before is None or before.pps.id != pps.id or before.place.kind != kind_of(nal):
            raise InputError(_NONSENSE)
        header = replace(before, first=first, dependent=True, address=address, data_bit=0)
    else:
        header = _Reader(bits, nal, sps, pps).header(address)
    _entry_points(bits, sps, pps)
    if pps.header_extension:
        bits.u(8 * bits.ue())
    if not bits.u(1):  # byte_alignment( )
        raise InputError(_NONSENSE)
    if bits.position % 8 and bits.u(-bits.position % 8):
        raise InputError(_NONSENSE)
    return replace(header, data_bit=bits.position)


def _front(nal: bytes, sets: Sets) -> tuple[Bits, bool, int, PPS, SPS]:
    """Up to slice_segment_address."""
    bits = Bits(unescape(nal))
    bits.u(16)
    first = bits.u(1)
    if kind_of(nal) in IRAP:
        bits.u(1)
    pps = sets.pps.get(bits.ue())
    sps = sets.sps.get(pps.sps_id) if pps else None
    if pps is None or sps is None:
        raise InputError(_NONSENSE)
    dependent, address = False, 0
    if not first:
        dependent = bool(pps.dependent_slices and bits.u(1))
        columns, rows = sps.ctbs
        address = bits.u((columns * rows - 1).bit_length())
        if not address:
            raise InputError(_NONSENSE)
    return bits, dependent, address, pps, sps


def _entry_points(bits: Bits, sps: SPS, pps: PPS) -> None:
    """Where tiles or rows begin (7.3.6.1): a walk finds that by itself."""
    if not (pps.tiling or pps.wavefront):
        return
    count = bits.ue()
    columns, rows = sps.ctbs
    if count > columns * rows:
        raise InputError(_NONSENSE)
    if count:
        bits.u(count * (1 + bits.ue()))


class _Reader:
    """The rest of a header, for a segment that has all of it."""

    def __init__(self, bits: Bits, nal: bytes, sps: SPS, pps: PPS) -> None:
        self.bits, self.sps, self.pps = bits, sps, pps
        self.type, self.temporal = kind_of(nal), temporal_of(nal)

    def place(self) -> tuple[int, Place]:
        """slice_type, and what says where the picture stands."""
        bits, sps = self.bits, self.sps
        bits.u(self.pps.extra_header_bits)
        kind = bits.ue()
        if kind > SLICE_I:
            raise InputError(_NONSENSE)
        if self.pps.output_flag:
            bits.u(1)
        if self.type in IDR:
            return kind, Place(self.type, self.temporal, 0, sps.log2_poc_lsb)
        poc_lsb = bits.u(sps.log2_poc_lsb)
        short = self._short_term()
        long = self._long_term() if sps.long_term is not None else ()
        return kind, Place(self.type, self.temporal, poc_lsb, sps.log2_poc_lsb, short, long)

    def _short_term(self) -> ShortTerm:
        known = self.sps.short_term
        if not self.bits.u(1):
            return read_short_term(self.bits, len(known), list(known), in_slice=True)
        index = self.bits.u((len(known) - 1).bit_length()) if len(known) > 1 else 0
        if index >= len(known):
            raise InputError(_NONSENSE)
        return known[index]

    def _long_term(self) -> tuple[LongTerm, ...]:
        bits, sps, known = self.bits, self.sps, self.sps.long_term or ()
        from_sps = bits.ue() if known else 0
        count = from_sps + bits.ue()
        if count > 33:
            raise InputError(_NONSENSE)
        found, cycle = [], 0
        for i in range(count):
            if i < from_sps:
                index = bits.u((len(known) - 1).bit_length()) if len(known) > 1 else 0
                if index >= len(known):
                    raise InputError(_NONSENSE)
                low, used = known[index]
            else:
                low, used = bits.u(sps.log2_poc_lsb), bits.flag()
            whole = bits.flag()
            cycle = (0 if i in (0, from_sps) else cycle) + (bits.ue() if whole else 0)
            found.append(LongTerm(low - (cycle << sps.log2_poc_lsb) if whole else low, whole, used))
        return tuple(found)

    def header(self, address: int) -> SliceHeader:
        """All of it up to the entry points."""
        bits, sps, pps = self.bits, self.sps, self.pps
        kind, place = self.place()
        temporal_mvp = bool(self.type not in IDR and sps.temporal_mvp and bits.u(1))
        sao = (bits.flag(), bits.flag()) if sps.sao else (False, False)
        refs, l1_zero, init, merges = (0, 0), False, False, 5
        if kind != SLICE_I:
            refs = self._refs(kind)
            self._modifications(kind, refs, place)
            l1_zero = bool(kind == SLICE_B and bits.u(1))
            init = bool(pps.cabac_init and bits.u(1))
            if temporal_mvp:
                self._collocated(kind, refs)
            if (pps.weighted and kind == SLICE_P) or (pps.weighted_bipred and kind == SLICE_B):
                self._weights(refs, kind)
            merges = 5 - bits.ue()
        qp = pps.init_qp + bits.se()
        offsets = pps.chroma_qp_offset
        if pps.slice_chroma_offsets:
            offsets = (offsets[0] + bits.se(), offsets[1] + bits.se())
        self._loop_filters(sao)
        initial = 0 if kind == SLICE_I else 1 + ((kind == SLICE_B) ^ init)
        lowest = -6 * (sps.bit_depth[0] - 8)
        if not (lowest <= qp <= 51 and 1 <= merges <= 5 and max(map(abs, offsets)) <= 12):
            raise InputError(_NONSENSE)
        return SliceHeader(
            first=address == 0,
            dependent=False,
            address=address,
            slice_address=address,
            kind=kind,
            pps=pps,
            sps=sps,
            place=place,
            sao=sao,
            refs=refs,
            mvd_l1_zero=l1_zero,
            initial=initial,
            merges=merges,
            qp=qp,
            chroma_qp_offset=offsets,
        )

    def _refs(self, kind: int) -> tuple[int, int]:
        refs = self.pps.refs
        if self.bits.u(1):  # num_ref_idx_active_override_flag
            refs = (1 + self.bits.ue(), 1 + self.bits.ue() if kind == SLICE_B else 0)
        if max(refs) > 16:
            raise InputError(_NONSENSE)
        return refs if kind == SLICE_B else (refs[0], 0)

    def _modifications(self, kind: int, refs: tuple[int, int], place: Place) -> None:
        """ref_pic_lists_modification( ) (7.3.6.2): nothing of it matters to parsing."""
        total = sum(used for _, used in place.short.every) + sum(long.used for long in place.long)
        if not self.pps.modifies_lists or total < 2:
            return
        for count in refs if kind == SLICE_B else refs[:1]:
            if self.bits.u(1):
                self.bits.u(count * (total - 1).bit_length())

    def _collocated(self, kind: int, refs: tuple[int, int]) -> None:
        from_l0 = self.bits.u(1) if kind == SLICE_B else 1
        if refs[0 if from_l0 else 1] > 1:
            self.bits.ue()

    def _weights(self, refs: tuple[int, int], kind: int) -> None:
        """pred_weight_table( ) (7.3.6.3)."""
        bits = self.bits
        bits.ue(), bits.se()
        for count in refs if kind == SLICE_B else refs[:1]:
            luma = [bits.u(1) for _ in range(count)]
            chroma = [bits.u(1) for _ in range(count)]
            for weighs, colours in zip(luma, chroma, strict=True):
                for _ in range(2 * weighs + 4 * colours):
                    bits.se()

    def _loop_filters(self, sao: tuple[bool, bool]) -> None:
        bits, pps = self.bits, self.pps
        off = pps.deblocking_off
        if pps.deblocking_override and bits.u(1):
            off = bits.flag()
            if not off:
                bits.se(), bits.se()
        if pps.loop_across_slices and (any(sao) or not off):
            bits.u(1)
