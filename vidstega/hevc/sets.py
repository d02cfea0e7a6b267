"""Sequence and picture parameter sets (ITU-T H.265, 7.3.2.2, 7.3.2.3), and the extradata that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from vidstega.errors import InputError
from vidstega.h264.bits import Bits, unescape
from vidstega.h264.nal import nals
from vidstega.h264.sets import length_prefixed
from vidstega.hevc.nal import NAL_PPS, NAL_SPS, NAL_VPS, kind_of, layer_of
from vidstega.hevc.references import ShortTerm, read_short_term
from vidstega.hevc.scaling import DEFAULTS, ScalingLists, read_lists
from vidstega.hevc.vui import pass_profile, read_vui

_SANE_SET = 8192
_MOST_SHORT_SETS, _MOST_LONG = 64, 32
_MOST_COLUMNS, _MOST_ROWS = 20, 22  # of tiles, table A.8
_SPS_NONSENSE = "an HEVC sequence parameter set makes no sense; the video is damaged"
_PPS_NONSENSE = "an HEVC picture parameter set makes no sense; the video is damaged"


@dataclass(frozen=True)
class Sizes:
    """How a picture is cut into blocks, in powers of two of samples."""

    ctb: int
    min_cb: int
    min_tb: int
    max_tb: int
    depth_inter: int
    depth_intra: int


@dataclass(frozen=True)
class Pcm:
    """Sizes of coding blocks that may be stored as samples, in powers of two."""

    smallest: int
    largest: int


@dataclass(frozen=True)
class SPS:
    """What of a sequence parameter set slices depend on.

    Parameters
    ----------
    size : (width, height) in samples of luma, a whole number of smallest coding blocks
    crop : left, right, top, bottom, in chroma units
    scaling : lists in force, None where all is flat
    long_term : low bits of order, and whether used, of long-term pictures; None where there are none
    extended : range extensions, or others, are in use
    """

    id: int
    chroma_format_idc: int
    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    bit_depth: tuple[int, int]
    log2_poc_lsb: int
    sizes: Sizes
    scaling: ScalingLists
    amp: bool
    sao: bool
    pcm: Pcm | None
    short_term: tuple[ShortTerm, ...]
    long_term: tuple[tuple[int, bool], ...] | None
    temporal_mvp: bool
    fields: bool
    extended: bool

    @property
    def ctbs(self) -> tuple[int, int]:
        """Columns and rows of coding tree blocks."""
        edge = 1 << self.sizes.ctb
        return -(-self.size[0] // edge), -(-self.size[1] // edge)


@lru_cache
def parse_sps(nal: bytes) -> SPS:
    """Read a sequence parameter set of the base layer, NAL header included.

    InputError if it makes no sense.
    """
    if len(nal) > _SANE_SET:
        raise InputError(f"an HEVC sequence parameter set of {len(nal):,} bytes makes no sense")
    bits = Bits(unescape(nal)[2:])
    layers = (bits.u(4), 1 + bits.u(3), bits.u(1))[1]
    if layers > 7:
        raise InputError(_SPS_NONSENSE)
    pass_profile(bits, layers)
    sps_id, chroma = bits.ue(), bits.ue()
    if chroma == 3:
        bits.u(1)
    size = bits.ue(), bits.ue()
    crop = (bits.ue(), bits.ue(), bits.ue(), bits.ue()) if bits.u(1) else (0, 0, 0, 0)
    depth = (8 + bits.ue(), 8 + bits.ue())
    log2_poc_lsb = 4 + bits.ue()
    for _ in range(layers if bits.u(1) else 1):
        bits.ue(), bits.ue(), bits.ue()
    sizes = _sizes(bits, size)
    if sps_id > 15 or chroma > 3 or log2_poc_lsb > 16 or max(depth) > 16:
        raise InputError(_SPS_NONSENSE)
    scaling: ScalingLists = None
    if bits.u(1):
        scaling = read_lists(bits) if bits.u(1) else DEFAULTS
    amp, sao = bits.flag(), bits.flag()
    pcm = _pcm(bits) if bits.u(1) else None
    short = _short_term_sets(bits)
    long = _long_term(bits, log2_poc_lsb) if bits.u(1) else None
    temporal_mvp, _ = bits.flag(), bits.u(1)  # strong_intra_smoothing_enabled_flag
    fields = bool(bits.u(1) and read_vui(bits, layers))
    extended = bool(bits.u(1) and bits.u(8))
    return SPS(
        id=sps_id,
        chroma_format_idc=chroma,
        size=size,
        crop=crop,
        bit_depth=depth,
        log2_poc_lsb=log2_poc_lsb,
        sizes=sizes,
        scaling=scaling,
        amp=amp,
        sao=sao,
        pcm=pcm,
        short_term=short,
        long_term=long,
        temporal_mvp=temporal_mvp,
        fields=fields,
        extended=extended,
    )


def _sizes(bits: Bits, size: tuple[int, int]) -> Sizes:
    min_cb = 3 + bits.ue()
    ctb = min_cb + bits.ue()
    min_tb = 2 + bits.ue()
    max_tb = min_tb + bits.ue()
    depth_inter, depth_intra = bits.ue(), bits.ue()
    sane = 4 <= ctb <= 6 and min_tb < min_cb and min_tb <= max_tb <= min(ctb, 5)
    sane = sane and max(depth_inter, depth_intra) <= ctb - min_tb
    if not sane or not all(size) or any(side % (1 << min_cb) for side in size):
        raise InputError(_SPS_NONSENSE)
    return Sizes(ctb, min_cb, min_tb, max_tb, depth_inter, depth_intra)


def _pcm(bits: Bits) -> Pcm:
    bits.u(8)
    smallest = 3 + bits.ue()
    largest = smallest + bits.ue()
    bits.u(1)
    if largest > 5:
        raise InputError(_SPS_NONSENSE)
    return Pcm(smallest, largest)


def _short_term_sets(bits: Bits) -> tuple[ShortTerm, ...]:
    count = bits.ue()
    if count > _MOST_SHORT_SETS:
        raise InputError(_SPS_NONSENSE)
    found: list[ShortTerm] = []
    for index in range(count):
        found.append(read_short_term(bits, index, found, in_slice=False))
    return tuple(found)


def _long_term(bits: Bits, log2_poc_lsb: int) -> tuple[tuple[int, bool], ...]:
    count = bits.ue()
    if count > _MOST_LONG:
        raise InputError(_SPS_NONSENSE)
    return tuple((bits.u(log2_poc_lsb), bits.flag()) for _ in range(count))


@dataclass(frozen=True)
class Tiling:
    """How tiles divide a picture: their number, and the widths and heights of all but the last if told."""

    columns: int
    rows: int
    widths: tuple[int, ...] | None
    heights: tuple[int, ...] | None

    def bounds(self, ctbs: tuple[int, int]) -> tuple[list[int], list[int]]:
        """Where columns and rows of tiles begin, and the last ends, in coding tree blocks (6.5.1)."""
        return _bounds(ctbs[0], self.columns, self.widths), _bounds(ctbs[1], self.rows, self.heights)


def _bounds(whole: int, count: int, told: tuple[int, ...] | None) -> list[int]:
    if told is None:
        bounds = [whole * i // count for i in range(count + 1)]
    else:
        bounds = [*accumulate(told, initial=0), whole]
    if any(stop <= start for start, stop in pairwise(bounds)):
        raise InputError(_PPS_NONSENSE)
    return bounds


@dataclass(frozen=True)
class PPS:
    """A picture parameter set; `tools` are flags by the names of the standard."""

    id: int
    sps_id: int
    dependent_slices: bool
    output_flag: bool
    extra_header_bits: int
    sign_hiding: bool
    cabac_init: bool
    refs: tuple[int, int]
    init_qp: int
    constrained_intra: bool
    transform_skip: bool
    qp_delta_depth: int | None
    chroma_qp_offset: tuple[int, int]
    slice_chroma_offsets: bool
    weighted: bool
    weighted_bipred: bool
    lossless_blocks: bool
    tiling: Tiling | None
    wavefront: bool
    loop_across_slices: bool
    deblocking_override: bool
    deblocking_off: bool
    scaling: ScalingLists
    modifies_lists: bool
    header_extension: bool
    extended: bool


@lru_cache
def parse_pps(nal: bytes) -> PPS:
    """Read a picture parameter set of the base layer, NAL header included; InputError if it is none."""
    if len(nal) > _SANE_SET:
        raise InputError(f"an HEVC picture parameter set of {len(nal):,} bytes makes no sense")
    bits = Bits(unescape(nal)[2:])
    flag = bits.flag
    ids = bits.ue(), bits.ue()
    dependent, output, extra_bits, hiding, init = flag(), flag(), bits.u(3), flag(), flag()
    refs, init_qp = (1 + bits.ue(), 1 + bits.ue()), 26 + bits.se()
    constrained, skip = flag(), flag()
    depth = bits.ue() if flag() else None
    offsets, slice_offsets, weighted, bipred = (bits.se(), bits.se()), flag(), flag(), flag()
    lossless, tiles, wavefront = flag(), flag(), flag()
    tiling = _tiling(bits) if tiles else None
    across, override, off = flag(), False, False
    if flag():
        override, off = flag(), flag()
        if not off:
            bits.se(), bits.se()
    scaling = read_lists(bits) if flag() else None
    modifies, _, extension = flag(), bits.ue(), flag()
    extended = bool(flag() and bits.u(8))
    if ids[0] > 63 or ids[1] > 15 or max(refs) > 15 or (depth or 0) > 3 or abs(init_qp) > 99:
        raise InputError(_PPS_NONSENSE)
    if max(map(abs, offsets)) > 12:
        raise InputError(_PPS_NONSENSE)
    return PPS(
        id=ids[0],
        sps_id=ids[1],
        dependent_slices=dependent,
        output_flag=output,
        extra_header_bits=extra_bits,
        sign_hiding=hiding,
        cabac_init=init,
        refs=refs,
        init_qp=init_qp,
        constrained_intra=constrained,
        transform_skip=skip,
        qp_delta_depth=depth,
        chroma_qp_offset=offsets,
        slice_chroma_offsets=slice_offsets,
        weighted=weighted,
        weighted_bipred=bipred,
        lossless_blocks=lossless,
        tiling=tiling,
        wavefront=wavefront,
        loop_across_slices=across,
        deblocking_override=override,
        deblocking_off=off,
        scaling=scaling,
        modifies_lists=modifies,
        header_extension=extension,
        extended=extended,
    )


def _tiling(bits: Bits) -> Tiling:
    columns, rows = 1 + bits.ue(), 1 + bits.ue()
    if columns > _MOST_COLUMNS or rows > _MOST_ROWS:
        raise InputError(_PPS_NONSENSE)
    widths = heights = None
    if not bits.u(1):
        widths = tuple(1 + bits.ue() for _ in range(columns - 1))
        heights = tuple(1 + bits.ue() for _ in range(rows - 1))
    bits.u(1)  # loop_filter_across_tiles_enabled_flag
    return Tiling(columns, rows, widths, heights)


@dataclass(frozen=True)
class ParameterSets:
    """A stream's extradata: hvcC (ISO/IEC 14496-15, 8.3.3.1) or start codes."""

    extradata: bytes
    length_size: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    @classmethod
    def parse(cls, extradata: bytes) -> ParameterSets:
        """Read either packaging; InputError if it is neither."""
        if extradata[:1] == b"\1" and len(extradata) > 22:
            units, length_size = list(_arrays(extradata)), 1 + (extradata[21] & 3)
        else:
            units, length_size = list(nals(extradata, 0)), 0
        sps, pps = (
            tuple(n for n in units if is_set(n) and kind_of(n) == kind) for kind in (NAL_SPS, NAL_PPS)
        )
        return cls(extradata, length_size, sps, pps)


def is_set(nal: bytes) -> bool:
    """Whether a unit is a parameter set of the base layer."""
    return kind_of(nal) in (NAL_VPS, NAL_SPS, NAL_PPS) and layer_of(nal) == 0


def _arrays(data: bytes) -> list[bytes]:
    units: list[bytes] = []
    at = 23
    try:
        for _ in range(data[22]):
            some, at = length_prefixed(data, at + 3, data[at + 1] << 8 | data[at + 2])
            units += some
    except IndexError:
        raise InputError("the HEVC decoder configuration ends too early; the video is damaged") from None
    return units
