"""Sequence and picture parameter sets (clauses 7.3.2.1, 7.3.2.2), and the extradata that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vidstega.errors import InputError
from vidstega.h264.bits import Bits, BitWriter, escape, unescape
from vidstega.h264.nal import NAL_PPS, NAL_SPS, START_CODE, nals

_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
CHROMA_SHIFT = {0: None, 1: (1, 1), 2: (1, 0), 3: (0, 0)}
"""chroma_format_idc to what width and height of chroma are shifted by, table 6-1."""
_SANE_SPS = 1024
ScalingLists = tuple[tuple[int, ...] | None, ...] | None
_NONSENSE = "an H.264 sequence parameter set makes no sense; the video is damaged"


@dataclass(frozen=True)
class Numbering:
    """How slices count pictures: bits of frame_num, and how display order is told (7.4.2.1.1)."""

    log2_frame_num: int
    poc_type: int
    log2_poc_lsb: int
    delta_poc_zero: bool


@dataclass(frozen=True)
class Tools:
    """What of a sequence parameter set only slice data depends on."""

    lossless: bool = False  # qpprime_y_zero_transform_bypass_flag
    macroblock_adaptive: bool = False  # mb_adaptive_frame_field_flag
    direct_8x8_inference: bool = True
    scaling: ScalingLists = None


@dataclass(frozen=True)
class SPS:
    """What of a sequence parameter set (7.3.2.1.1) decides how a picture is written."""

    id: int
    chroma_format_idc: int
    separate_planes: bool
    bit_depth: tuple[int, int]
    numbering: Numbering
    mb_size: tuple[int, int]
    frame_mbs_only: bool
    crop: tuple[int, int, int, int]  # left, right, top, bottom, in chroma units
    tools: Tools = Tools()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in samples of luma, as coded."""
        return 16 * self.mb_size[0], 16 * self.mb_size[1]

    @property
    def raw_bytes(self) -> int:
        """Bytes of one I_PCM picture's samples; no other picture of a sane stream is this large."""
        shift = CHROMA_SHIFT[self.chroma_format_idc]
        chroma = 0 if shift is None else 2 * 256 >> sum(shift)
        return self.mb_size[0] * self.mb_size[1] * (256 + chroma)

    def obstacle(self) -> str | None:
        """Why I_PCM pictures cannot stand under this SPS, or None if they can."""
        if self.bit_depth != (8, 8):
            return f"{max(self.bit_depth)} bits per sample (a splice needs 8)"
        if not self.frame_mbs_only:
            return "interlaced coding (a splice needs progressive frames)"
        if self.separate_planes:
            return "separately coded colour planes"
        if self.crop[0] or self.crop[2]:
            return "the picture is cropped at its left or top edge"
        return None


@lru_cache
def parse_sps(nal: bytes) -> SPS:
    """Read a sequence parameter set, NAL header included; InputError if it makes no sense."""
    if len(nal) > _SANE_SPS:
        raise InputError(f"an H.264 sequence parameter set of {len(nal):,} bytes makes no sense")
    bits = Bits(unescape(nal)[1:])
    profile, _, _ = bits.u(8), bits.u(8), bits.u(8)
    sps_id, chroma, separate, depth = bits.ue(), 1, False, (8, 8)
    lossless, scaling = False, None
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        separate = bool(chroma == 3 and bits.u(1))
        depth = (8 + bits.ue(), 8 + bits.ue())
        lossless = bool(bits.u(1))
        if bits.u(1):
            scaling = _scaling_lists(bits, 12 if chroma == 3 else 8)
    numbering = _numbering(bits)
    bits.ue(), bits.u(1)  # max_num_ref_frames, gaps_in_frame_num_allowed
    width, height, frame_mbs_only = 1 + bits.ue(), 1 + bits.ue(), bool(bits.u(1))
    adaptive = False
    if not frame_mbs_only:
        height *= 2
        adaptive = bool(bits.u(1))
    tools = Tools(lossless, adaptive, bool(bits.u(1)), scaling)
    crop = (bits.ue(), bits.ue(), bits.ue(), bits.ue()) if bits.u(1) else (0, 0, 0, 0)
    if chroma not in CHROMA_SHIFT or sps_id > 31:
        raise InputError(_NONSENSE)
    return SPS(sps_id, chroma, separate, depth, numbering, (width, height), frame_mbs_only, crop, tools)


def _numbering(bits: Bits) -> Numbering:
    log2_frame_num, poc_type = 4 + bits.ue(), bits.ue()
    log2_poc_lsb, delta_zero = 0, False
    if poc_type == 0:
        log2_poc_lsb = 4 + bits.ue()
    elif poc_type == 1:
        delta_zero = bool(bits.u(1))
        bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    if log2_frame_num > 16 or log2_poc_lsb > 16 or poc_type > 2:
        raise InputError(_NONSENSE)
    return Numbering(log2_frame_num, poc_type, log2_poc_lsb, delta_zero)


def _scaling_lists(bits: Bits, count: int) -> tuple[tuple[int, ...] | None, ...]:
    """Lists in zig-zag order (7.3.2.1.1.1); None where absent, empty where it is the standard's default."""
    lists: list[tuple[int, ...] | None] = []
    for i in range(count):
        if not bits.u(1):
            lists.append(None)
            continue
        values: list[int] = []
        last = following = 8
        for at in range(16 if i < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
                if at == 0 and following == 0:
                    break
            last = following or last
            values.append(last)
        lists.append(tuple(values))
    return tuple(lists)


@dataclass(frozen=True)
class PPS:
    """A picture parameter set (7.3.2.2).

    `tells_fields_apart` is whether slices say when each of their frame's two fields is shown.
    """

    id: int
    sps_id: int
    cabac: bool
    tells_fields_apart: bool
    slice_groups: int
    refs: tuple[int, int] = (1, 1)
    weighted: bool = False
    weighted_bipred: int = 0
    init_qp: int = 26
    chroma_qp_offset: tuple[int, int] = (0, 0)
    deblocking_control: bool = False
    constrained_intra: bool = False
    redundant_pictures: bool = False
    transform_8x8: bool = False
    scaling: ScalingLists = None


_PPS_NONSENSE = "an H.264 picture parameter set makes no sense; the video is damaged"


@lru_cache
def parse_pps(nal: bytes, chroma_format_idc: int = 1) -> PPS:
    """Read a picture parameter set, NAL header included; InputError if it makes no sense.

    With slice groups it is read no further than their number, and what follows are defaults: nothing
    under it is read.
    """
    if len(nal) > _SANE_SPS:
        raise InputError(f"an H.264 picture parameter set of {len(nal):,} bytes makes no sense")
    bits = Bits(unescape(nal)[1:].rstrip(b"\0"))
    new_id, sps_id, cabac, fields, groups = bits.ue(), bits.ue(), bits.u(1), bits.u(1), 1 + bits.ue()
    if new_id > 255 or sps_id > 31 or groups > 8:
        raise InputError(_PPS_NONSENSE)
    if groups > 1:
        return PPS(new_id, sps_id, bool(cabac), bool(fields), groups)
    refs = (1 + bits.ue(), 1 + bits.ue())
    weighted, bipred = bits.u(1), bits.u(2)
    qp, _, offset = 26 + bits.se(), bits.se(), bits.se()  # pic_init_qp, pic_init_qs, chroma
    control, constrained, redundant = bits.u(1), bits.u(1), bits.u(1)
    transform_8x8, second, scaling = 0, offset, None
    if bits.more():
        transform_8x8 = bits.u(1)
        if bits.u(1):
            lists_8x8 = (6 if chroma_format_idc == 3 else 2) * transform_8x8
            scaling = _scaling_lists(bits, 6 + lists_8x8)
        second = bits.se()
    if max(refs) > 32 or not 0 <= qp <= 51 or bipred > 2:
        raise InputError(_PPS_NONSENSE)
    return PPS(
        id=new_id,
        sps_id=sps_id,
        cabac=bool(cabac),
        tells_fields_apart=bool(fields),
        slice_groups=groups,
        refs=refs,
        weighted=bool(weighted),
        weighted_bipred=bipred,
        init_qp=qp,
        chroma_qp_offset=(offset, second),
        deblocking_control=bool(control),
        constrained_intra=bool(constrained),
        redundant_pictures=bool(redundant),
        transform_8x8=bool(transform_8x8),
        scaling=scaling,
    )


def write_pps(new_id: int, sps_id: int) -> bytes:
    """A picture parameter set for I_PCM pictures: CAVLC, one slice group, deblocking under control."""
    out = BitWriter().ue(new_id).ue(sps_id).u(2, 0)  # entropy_coding_mode, bottom_field_pic_order
    out.ue(0).ue(0).ue(0).u(3, 0)  # slice groups, reference counts, weighted prediction
    out.ue(0).ue(0).ue(0).u(3, 0b100).u(1, 1)  # initial qp x2, chroma offset, deblocking control, stop bit
    return b"\x68" + escape(out.bytes())


@dataclass(frozen=True)
class ParameterSets:
    """A stream's extradata: avcC (ISO/IEC 14496-15, 5.3.3.1) or start codes."""

    extradata: bytes
    length_size: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    @classmethod
    def parse(cls, extradata: bytes) -> ParameterSets:
        """Read either packaging; InputError if it is neither."""
        if extradata[:1] != b"\1":
            units = [nal for nal in nals(extradata, 0) if nal]
            return cls(extradata, 0, _of_kind(units, NAL_SPS), _of_kind(units, NAL_PPS))
        try:
            sps, at = length_prefixed(extradata, 6, extradata[5] & 31)
            pps, _ = length_prefixed(extradata, at + 1, extradata[at])
        except IndexError:
            raise InputError("the H.264 decoder configuration ends too early; the video is damaged") from None
        return cls(extradata, 1 + (extradata[4] & 3), sps, pps)

    def with_pps(self, pps: bytes) -> bytes:
        """The extradata with one more picture parameter set."""
        if not self.length_size:
            return self.extradata + START_CODE + pps
        _, at = length_prefixed(self.extradata, 6, self.extradata[5] & 31)
        _, end = length_prefixed(self.extradata, at + 1, self.extradata[at])
        count = bytes([self.extradata[at] + 1])
        sets = self.extradata[at + 1 : end] + len(pps).to_bytes(2, "big") + pps
        return self.extradata[:at] + count + sets + self.extradata[end:]


def _of_kind(units: list[bytes], kind: int) -> tuple[bytes, ...]:
    return tuple(nal for nal in units if nal[0] & 31 == kind)


def length_prefixed(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    """So many units of a decoder configuration, each after two bytes of length, and where they end."""
    units = []
    for _ in range(count):
        size = data[at] << 8 | data[at + 1]
        units.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return tuple(units), at
