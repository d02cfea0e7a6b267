"""Slice headers (ITU-T H.264, clause 7.3.3), and what kinds of coding slice data is not read of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vidstega.errors import InputError
from vidstega.h264.bits import Bits, unescape
from vidstega.h264.macroblocks import SLICE_B, SLICE_I, SLICE_P
from vidstega.h264.nal import NAL_IDR
from vidstega.h264.sets import PPS, SPS, parse_pps, parse_sps

_HEADER_BYTES = 1024
"""More than the longest header: 64 references with weights take 600."""
_NONSENSE = "an H.264 slice header makes no sense; the video is damaged"
_END_OF_COMMANDS = 3
_MOST_MACROBLOCKS = 139_264  # level 6.2, table A-1


@dataclass(frozen=True)
class Sets:
    """The parameter sets in force, by id."""

    sps: dict[int, SPS]
    pps: dict[int, PPS]

    @classmethod
    def parse(cls, sps: Iterable[bytes], pps: Iterable[bytes]) -> Sets:
        """Read sets as NAL units; of two with one id the later holds. InputError if one makes no sense."""
        by_id = {found.id: found for found in map(parse_sps, sps)}
        chroma = next(iter(by_id.values())).chroma_format_idc if by_id else 1
        return cls(by_id, {found.id: found for found in (parse_pps(nal, chroma) for nal in pps)})


@dataclass(frozen=True)
class SliceHeader:
    """What of a slice header its data and its place depend on."""

    nal_ref_idc: int
    first_mb: int
    kind: int  # SLICE_P, SLICE_B or SLICE_I
    pps: PPS
    sps: SPS
    frame_num: int
    idr_pic_id: int
    poc_lsb: int
    redundant: int  # redundant_pic_cnt
    refs: tuple[int, int]
    cabac_init_idc: int
    qp: int
    data_bit: int  # where slice_data begins, in bits of the NAL unit without emulation prevention


def refusal(sps: SPS, pps: PPS) -> str | None:
    """Why slices under these sets are not read, or None if they are."""
    if sps.separate_planes or sps.chroma_format_idc == 3:
        return "4:4:4 chroma (4:2:0 and gray are read)"
    if sps.chroma_format_idc == 2:
        return "4:2:2 chroma (4:2:0 and gray are read)"
    if sps.bit_depth != (8, 8):
        return f"{max(sps.bit_depth)} bits per sample (8 are read)"
    if sps.tools.macroblock_adaptive:
        return "interlaced coding (macroblock-adaptive frames and fields; progressive frames are read)"
    if not sps.frame_mbs_only:
        return "interlaced coding (field pictures; progressive frames are read)"
    if sps.tools.lossless:
        return "lossless coding (transform bypass)"
    if sps.mb_size[0] * sps.mb_size[1] > _MOST_MACROBLOCKS:
        return f"pictures of {sps.size[0]:,}x{sps.size[1]:,}, larger than any level allows"
    if pps.slice_groups > 1:
        return "slice groups (flexible macroblock ordering)"
    return None


def parse_header(nal: bytes, sets: Sets) -> SliceHeader | str:
    """Read the header of a slice NAL unit, or say by name what kind of coding is not read.

    Raises
    ------
    InputError
        If it makes no sense, or its parameter sets are not there.
    """
    nal_type = nal[0] & 31 if nal else 0
    if nal_type in (2, 3, 4):
        return "data partitioning"
    if nal_type not in (1, NAL_IDR):
        raise InputError(f"an H.264 NAL unit of type {nal_type} is no slice")
    bits = Bits(unescape(nal[:_HEADER_BYTES]))
    bits.u(8)
    first_mb, slice_type, pps_id = bits.ue(), bits.ue(), bits.ue()
    pps = sets.pps.get(pps_id)
    sps = sets.sps.get(pps.sps_id) if pps else None
    if pps is None or sps is None or slice_type > 9:
        raise InputError(_NONSENSE)
    if (why := refusal(sps, pps)) is not None:
        return why
    if slice_type % 5 > SLICE_I:
        return "switching slices (SP, SI)"
    return _Reader(bits, nal, sps, pps).header(first_mb, slice_type % 5)


class _Reader:
    """The rest of a header, for frames of one colour plane set."""

    def __init__(self, bits: Bits, nal: bytes, sps: SPS, pps: PPS) -> None:
        self.bits, self.sps, self.pps = bits, sps, pps
        self.type, self.ref_idc = nal[0] & 31, nal[0] >> 5 & 3

    def header(self, first_mb: int, kind: int) -> SliceHeader:
        bits, pps = self.bits, self.pps
        frame_num = bits.u(self.sps.numbering.log2_frame_num)
        idr_pic_id = bits.ue() if self.type == NAL_IDR else -1
        poc_lsb = self._order()
        redundant = bits.ue() if pps.redundant_pictures else 0
        bits.u(1 if kind == SLICE_B else 0)  # direct_spatial_mv_pred_flag
        refs = self._refs(kind)
        self._modifications(kind)
        if (pps.weighted and kind == SLICE_P) or (pps.weighted_bipred == 1 and kind == SLICE_B):
            self._weights(refs, kind)
        if self.ref_idc:
            self._marking()
        init_idc = bits.ue() if pps.cabac and kind != SLICE_I else 0
        qp = pps.init_qp + bits.se()
        self._deblocking()
        if init_idc > 2 or not 0 <= qp <= 51:
            raise InputError(_NONSENSE)
        return SliceHeader(
            nal_ref_idc=self.ref_idc,
            first_mb=first_mb,
            kind=kind,
            pps=pps,
            sps=self.sps,
            frame_num=frame_num,
            idr_pic_id=idr_pic_id,
            poc_lsb=poc_lsb,
            redundant=redundant,
            refs=refs,
            cabac_init_idc=init_idc,
            qp=qp,
            data_bit=bits.position,
        )

    def _order(self) -> int:
        numbering, told = self.sps.numbering, self.pps.tells_fields_apart
        poc_lsb = 0
        if numbering.poc_type == 0:
            poc_lsb = self.bits.u(numbering.log2_poc_lsb)
            if told:
                self.bits.se()
        elif numbering.poc_type == 1 and not numbering.delta_poc_zero:
            self.bits.se()
            if told:
                self.bits.se()
        return poc_lsb

    def _refs(self, kind: int) -> tuple[int, int]:
        refs = self.pps.refs
        if kind != SLICE_I and self.bits.u(1):  # num_ref_idx_active_override_flag
            refs = (1 + self.bits.ue(), 1 + self.bits.ue() if kind == SLICE_B else 0)
        if max(refs) > 32:
            raise InputError(_NONSENSE)
        return refs

    def _modifications(self, kind: int) -> None:
        """7.3.3.1: nothing of it matters to parsing."""
        for _ in range({SLICE_P: 1, SLICE_B: 2}.get(kind, 0)):
            if self.bits.u(1):
                while (command := self.bits.ue()) != _END_OF_COMMANDS:
                    if command > _END_OF_COMMANDS:
                        raise InputError(_NONSENSE)
                    self.bits.ue()

    def _weights(self, refs: tuple[int, int], kind: int) -> None:
        """7.3.3.2."""
        chroma = self.sps.chroma_format_idc != 0
        self.bits.ue()
        if chroma:
            self.bits.ue()
        for count in refs if kind == SLICE_B else refs[:1]:
            for _ in range(count):
                for components in (1, 2) if chroma else (1,):
                    if self.bits.u(1):
                        for _ in range(2 * components):
                            self.bits.se()

    def _marking(self) -> None:
        """7.3.3.3."""
        if self.type == NAL_IDR:
            self.bits.u(2)
        elif self.bits.u(1):
            while command := self.bits.ue():
                if command > 6:
                    raise InputError(_NONSENSE)
                for _ in range({3: 2, 5: 0}.get(command, 1)):
                    self.bits.ue()

    def _deblocking(self) -> None:
        if self.pps.deblocking_control and self.bits.ue() != 1:
            self.bits.se(), self.bits.se()
