"""The few bits of H.264 that vidstega reads and writes itself (ITU-T H.264, clause numbers below).

Read: sequence parameter sets, ids of picture parameter sets, the first fields of a slice, NAL units in both
packagings. Written: one small picture parameter set, and pictures made of I_PCM macroblocks, which store
raw samples and are part of every profile. No file is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import InputError

NAL_SEI, NAL_IDR, NAL_SPS, NAL_PPS = 6, 5, 7, 8
_VCL = range(1, 6)
_START_CODE = b"\0\0\0\1"
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_CHROMA_SHIFT = {0: None, 1: (1, 1), 2: (1, 0), 3: (0, 0)}  # of width and height, table 6-1
_NEEDS_ESCAPE = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_IDR_PIC_ID = 65530  # far from where encoders count; + 0 or 1, so that neighbours differ
_SEI_CAPTIONS = 4  # user_data_registered_itu_t_t35
_SEI_RECOVERY = 6
_SANE_SPS = 1024
SLICE_HEAD = 64
"""Bytes of a slice that hold the first fields of its header."""


class _Bits:
    """Big-endian bit reader with Exp-Golomb codes (9.1)."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def u(self, n: int) -> int:
        self._left -= n
        if self._left < 0:
            raise InputError("an H.264 header ends too early; the video is damaged")
        return (self._value >> self._left) & ((1 << n) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise InputError("an H.264 header makes no sense; the video is damaged")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


class _BitWriter:
    """Collects bits as text; the headers written here are a few bytes long."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, n: int, value: int) -> _BitWriter:
        self.bits += format(value, f"0{n}b") if n else ""
        return self

    def ue(self, value: int) -> _BitWriter:
        code = format(value + 1, "b")
        self.bits += "0" * (len(code) - 1) + code
        return self

    def bytes(self) -> bytes:
        bits = self.bits + "0" * (-len(self.bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


@dataclass(frozen=True)
class SPS:
    """What of a sequence parameter set (7.3.2.1.1) decides how a picture is written."""

    id: int
    chroma_format_idc: int
    separate_planes: bool
    bit_depth: tuple[int, int]
    log2_frame_num: int
    poc_type: int
    log2_poc_lsb: int
    delta_poc_zero: bool
    mb_size: tuple[int, int]
    frame_mbs_only: bool
    crop: tuple[int, int, int, int]  # left, right, top, bottom, in chroma units

    @property
    def raw_bytes(self) -> int:
        """Bytes of one I_PCM picture's samples; no other picture of a sane stream is this large."""
        shift = _CHROMA_SHIFT[self.chroma_format_idc]
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
    bits = _Bits(unescape(nal)[1:])
    profile, _, _ = bits.u(8), bits.u(8), bits.u(8)
    sps_id, chroma, separate, depth = bits.ue(), 1, False, (8, 8)
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        separate = bool(chroma == 3 and bits.u(1))
        depth = (8 + bits.ue(), 8 + bits.ue())
        bits.u(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.u(1):
            _skip_scaling_lists(bits, 12 if chroma == 3 else 8)
    log2_frame_num, poc_type = 4 + bits.ue(), bits.ue()
    log2_poc_lsb, delta_zero = 0, False
    if poc_type == 0:
        log2_poc_lsb = 4 + bits.ue()
    elif poc_type == 1:
        delta_zero = bool(bits.u(1))
        bits.se(), bits.se()
        for _ in range(bits.ue()):
            bits.se()
    bits.ue(), bits.u(1)  # max_num_ref_frames, gaps_in_frame_num_allowed
    width, height, frame_mbs_only = 1 + bits.ue(), 1 + bits.ue(), bool(bits.u(1))
    if not frame_mbs_only:
        height *= 2
        bits.u(1)
    bits.u(1)  # direct_8x8_inference
    crop = (bits.ue(), bits.ue(), bits.ue(), bits.ue()) if bits.u(1) else (0, 0, 0, 0)
    if chroma not in _CHROMA_SHIFT or sps_id > 31 or log2_frame_num > 16 or log2_poc_lsb > 16 or poc_type > 2:
        raise InputError("an H.264 sequence parameter set makes no sense; the video is damaged")
    return SPS(
        sps_id, chroma, separate, depth, log2_frame_num, poc_type, log2_poc_lsb, delta_zero,
        (width, height), frame_mbs_only, crop,
    )  # fmt: skip


def _skip_scaling_lists(bits: _Bits, count: int) -> None:
    for i in range(count):
        if not bits.u(1):
            continue
        last = following = 8
        for _ in range(16 if i < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def pps_id(nal: bytes) -> int:
    """The id of a picture parameter set (7.3.2.2), NAL header included."""
    return _Bits(unescape(nal[:16])[1:]).ue()


def tells_fields_apart(nal: bytes) -> bool:
    """Whether slices under a picture parameter set say when each of their frame's two fields is shown."""
    bits = _Bits(unescape(nal[:16])[1:])
    bits.ue(), bits.ue(), bits.u(1)  # both ids, entropy_coding_mode
    return bool(bits.u(1))


@dataclass(frozen=True)
class Place:
    """Where a picture stands in decoding and in display: frame_num and pic_order_cnt_lsb (7.4.3)."""

    frame_num: int
    poc_lsb: int


def place_of(nal: bytes, sps: SPS) -> Place:
    """The place of the picture that a slice of a progressive stream belongs to."""
    bits = _Bits(unescape(nal[:SLICE_HEAD])[1:])
    bits.ue(), bits.ue(), bits.ue()  # first_mb_in_slice, slice_type, pic_parameter_set_id
    frame_num = bits.u(sps.log2_frame_num)
    if nal[0] & 31 == NAL_IDR:
        bits.ue()
    return Place(frame_num, bits.u(sps.log2_poc_lsb))


def is_reference(nal: bytes) -> bool:
    """Whether other pictures may be predicted from the one this slice belongs to (nal_ref_idc)."""
    return bool(nal[0] & 0x60)


def write_pps(new_id: int, sps_id: int) -> bytes:
    """A picture parameter set for I_PCM pictures: CAVLC, one slice group, deblocking under control."""
    out = _BitWriter().ue(new_id).ue(sps_id).u(2, 0)  # entropy_coding_mode, bottom_field_pic_order
    out.ue(0).ue(0).ue(0).u(3, 0)  # slice groups, reference counts, weighted prediction
    out.ue(0).ue(0).ue(0).u(3, 0b100).u(1, 1)  # initial qp x2, chroma offset, deblocking control, stop bit
    return b"\x68" + escape(out.bytes())


Planes = Iterable[NDArray[np.uint8]]


class PCMWriter:
    """Writes pictures of I_PCM macroblocks (7.3.5, mb_type 25) under one SPS and one PPS.

    Planes are uint8 of shape (height, width), luma first, cropped as displayed; the coded size is
    filled by repeating the edge.
    """

    def __init__(self, sps: SPS, pps: int) -> None:
        self._sps, self._pps = sps, pps

    def idr(self, planes: Planes, ordinal: int) -> bytes:
        """An IDR picture as one NAL unit, without start code or length. Neighbours have other ordinals."""
        start = Place(0, 0)
        head = self._order(self._slice_header(start).ue(_IDR_PIC_ID + ordinal % 2), start)
        return b"\x65" + self._slice(head.u(2, 0), planes)  # reference marking

    def stand_in(self, planes: Planes, place: Place) -> bytes:
        """The same for a picture that stands in for one nothing else is predicted from, at its place."""
        return b"\x01" + self._slice(self._order(self._slice_header(place), place), planes)

    def _slice_header(self, place: Place) -> _BitWriter:
        return _BitWriter().ue(0).ue(7).ue(self._pps).u(self._sps.log2_frame_num, place.frame_num)

    def _order(self, head: _BitWriter, place: Place) -> _BitWriter:
        head.u(self._sps.log2_poc_lsb, place.poc_lsb)
        return head.ue(0) if self._sps.poc_type == 1 and not self._sps.delta_poc_zero else head

    def _slice(self, head: _BitWriter, planes: Planes) -> bytes:
        columns, rows = self._sps.mb_size
        size = 2 + self._sps.raw_bytes // (rows * columns)
        blocks = np.empty((rows, columns, size), np.uint8)
        blocks[..., 0], blocks[..., 1] = 0x0D, 0x00  # mb_type 25 as ue(v), then alignment
        at = 2
        for plane in planes if self._sps.chroma_format_idc else [next(iter(planes))]:
            edge_w, edge_h = self._block_size(at == 2)
            block = edge_w * edge_h
            tiled = _pad(plane, rows * edge_h, columns * edge_w).reshape(rows, edge_h, columns, edge_w)
            blocks[..., at : at + block].reshape(rows, columns, edge_h, edge_w)[:] = tiled.swapaxes(1, 2)
            at += block
        head.ue(0).ue(1).ue(25)  # qp delta, deblocking off, the first mb_type
        samples = blocks.reshape(-1)[2:].data
        return escape(b"".join((head.bytes(), samples, b"\x80")))

    def _block_size(self, luma: bool) -> tuple[int, int]:
        shift = None if luma else _CHROMA_SHIFT[self._sps.chroma_format_idc]
        return (16, 16) if shift is None else (16 >> shift[0], 16 >> shift[1])


def _pad(plane: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    missing = (0, height - plane.shape[0]), (0, width - plane.shape[1])
    return np.pad(plane, missing, "edge") if plane.shape != (height, width) else plane


def escape(rbsp: bytes) -> bytes:
    """Insert emulation prevention bytes (7.4.1)."""
    return _NEEDS_ESCAPE.sub(b"\x00\x00\x03", rbsp)


def unescape(nal: bytes) -> bytes:
    """Remove emulation prevention bytes."""
    return nal.replace(b"\0\0\3", b"\0\0")


def nals(data: bytes, length_size: int) -> Iterator[bytes]:
    """NAL units of a packet: `length_size` bytes of length before each (avcC), or 0 for start codes."""
    if not length_size:
        yield from _nals_annexb(data)
        return
    at = 0
    while at + length_size < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        yield data[at + length_size : at + length_size + size]
        at += length_size + size


def _nals_annexb(data: bytes) -> Iterator[bytes]:
    at = data.find(b"\0\0\1")
    while at >= 0:
        end = data.find(b"\0\0\1", at + 3)
        nal = data[at + 3 : end if end >= 0 else None]
        yield nal.rstrip(b"\0") if end >= 0 else nal
        at = end


def until_picture(data: bytes, length_size: int) -> tuple[list[bytes], bytes]:
    """NAL units in front of a packet's first coded slice, and that slice (empty if there is none)."""
    head: list[bytes] = []
    for nal in nals(data, length_size):
        if nal and nal[0] & 31 in _VCL:
            return head, nal
        head.append(nal)
    return head, b""


def recovers_at_once(nal: bytes) -> bool:
    """Whether an SEI unit holds a recovery point with no frames to wait for (D.1.8)."""
    return any(kind == _SEI_RECOVERY and body[:1] >= b"\x80" for kind, body in _sei_messages(nal))


def _sei_messages(nal: bytes) -> Iterator[tuple[int, bytes]]:
    data, at = unescape(nal), 1
    while at + 2 < len(data):
        fields = []
        for _ in range(2):
            value = 0
            while at < len(data) and data[at] == 0xFF:
                value, at = value + 255, at + 1
            fields.append(value + (data[at] if at < len(data) else 0))
            at += 1
        yield fields[0], data[at : at + fields[1]]
        at += fields[1]


def captions_of(nal: bytes) -> bytes:
    """An SEI unit's captions (ITU-T T.35 user data) as a unit of their own, empty if it has none."""
    if not nal or nal[0] & 31 != NAL_SEI:
        return b""
    bodies = [body for kind, body in _sei_messages(nal) if kind == _SEI_CAPTIONS]
    sizes = [b"\xff" * (len(body) // 255) + bytes([len(body) % 255]) for body in bodies]
    messages = [bytes([_SEI_CAPTIONS]) + size + body for size, body in zip(sizes, bodies, strict=True)]
    return b"\x06" + escape(b"".join(messages) + b"\x80") if messages else b""


def pack(units: Iterable[bytes], length_size: int) -> bytes:
    """NAL units as one packet, in the packaging `nals` reads."""
    units = list(units)
    if not length_size:
        return b"".join(_START_CODE + nal for nal in units)
    return b"".join(len(nal).to_bytes(length_size, "big") + nal for nal in units)


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
            units = [nal for nal in _nals_annexb(extradata) if nal]
            return cls(extradata, 0, _of_kind(units, NAL_SPS), _of_kind(units, NAL_PPS))
        try:
            sps, at = _length_prefixed(extradata, 6, extradata[5] & 31)
            pps, _ = _length_prefixed(extradata, at + 1, extradata[at])
        except IndexError:
            raise InputError("the H.264 decoder configuration ends too early; the video is damaged") from None
        return cls(extradata, 1 + (extradata[4] & 3), sps, pps)

    def with_pps(self, pps: bytes) -> bytes:
        """The extradata with one more picture parameter set."""
        if not self.length_size:
            return self.extradata + _START_CODE + pps
        _, at = _length_prefixed(self.extradata, 6, self.extradata[5] & 31)
        _, end = _length_prefixed(self.extradata, at + 1, self.extradata[at])
        count = bytes([self.extradata[at] + 1])
        sets = self.extradata[at + 1 : end] + len(pps).to_bytes(2, "big") + pps
        return self.extradata[:at] + count + sets + self.extradata[end:]


def _of_kind(units: list[bytes], kind: int) -> tuple[bytes, ...]:
    return tuple(nal for nal in units if nal[0] & 31 == kind)


def _length_prefixed(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    units = []
    for _ in range(count):
        size = data[at] << 8 | data[at + 1]
        units.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return tuple(units), at
