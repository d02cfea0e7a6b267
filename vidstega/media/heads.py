"""What a coded picture says of itself in its first bits: start, nothing to show, or half of a picture.

Where a codec tells in the first bits of a picture that it refers to no other, they are asked; of a codec that
does not, no packet but the first is taken for a start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from vidstega import h264
from vidstega.errors import InputError
from vidstega.h264 import SPS, Bits, Field

_HEAD = 4096
"""Bytes in front of a picture's own header that are searched for it."""
_AV1_SEQUENCE, _AV1_PICTURE = 1, (3, 6)
_PICTURE = b"\0\0\1\0"
_FRAME = 3


# -- where decoding can start ---------------------------------------------------------------------------


def start_of(codec: str, data: Any) -> bool:
    """Whether a packet's picture, and with it all that follow in display order, need none before."""
    with suppress(IndexError, InputError):
        return codec in _SAYS and _SAYS[codec](bytes(memoryview(data)[:_HEAD]))
    return False


def _mpeg4(data: bytes) -> bool:
    """Whether vop_coding_type is I (ISO/IEC 14496-2, 6.2.5)."""
    at = data.find(b"\0\0\1\xb6")
    return at >= 0 and data[at + 4] >> 6 == 0


def _mpeg12(data: bytes) -> bool:
    """Whether picture_coding_type is I (ISO/IEC 13818-2, 6.2.3)."""
    at = data.find(b"\0\0\1\0")
    return at >= 0 and data[at + 5] >> 3 & 7 == 1


def _h263(data: bytes) -> bool:
    """Whether PTYPE, or MPPTYPE in its place, says INTRA (ITU-T H.263, 5.1.3, 5.1.4)."""
    bits = Bits(data[:16])
    bits.u(35)
    if bits.u(3) != 7:
        return bits.u(1) == 0
    if bits.u(3) == 1:
        bits.u(18)
    return bits.u(3) == 0


def _flv1(data: bytes) -> bool:
    """The same in Sorenson's variant, whose header may give the size in 16 or 32 bits."""
    bits = Bits(data[:16])
    bits.u(30)
    bits.u({0: 16, 1: 32}.get(bits.u(3), 0))
    return bits.u(2) == 0


def _vp9(data: bytes) -> bool:
    """Whether a frame is coded, and as a key frame (VP9 bitstream specification, 6.2)."""
    bits = Bits(data[:2])
    bits.u(2)
    profile = bits.u(1) | bits.u(1) << 1
    bits.u(1 if profile == 3 else 0)
    return bits.u(2) == 0


def _av1(data: bytes) -> bool:
    """Whether the temporal unit's first frame is a key frame that is shown (AV1, 5.3.1, 5.5.1, 5.9.2)."""
    at = 0
    while at < len(data):
        kind, at, size = _av1_unit(data, at)
        if kind == _AV1_SEQUENCE and data[at] & 0x08:  # reduced_still_picture_header
            return True
        if kind in _AV1_PICTURE:
            return data[at] >> 4 == 1  # show_existing_frame 0, frame_type 0, show_frame 1
        at += size
    return False


def _av1_unit(data: bytes, at: int) -> tuple[int, int, int]:
    """Kind of the unit at this place, where its content starts, and its size."""
    head = data[at]
    at += 2 if head & 4 else 1
    size = len(data) - at
    if head & 2:
        size, shift = 0, 0
        while data[at] & 0x80:
            size, shift, at = size | (data[at] & 0x7F) << shift, shift + 7, at + 1
        size, at = size | data[at] << shift, at + 1
    return head >> 3 & 15, at, size


_SAYS: dict[str, Callable[[bytes], bool]] = {
    "mpeg4": _mpeg4,
    "mpeg1video": _mpeg12,
    "mpeg2video": _mpeg12,
    "h263": _h263,
    "h263p": _h263,
    "flv1": _flv1,
    "vp8": lambda data: data[0] & 1 == 0,
    "vp9": _vp9,
    "av1": _av1,
    "theora": lambda data: data[0] & 0xC0 == 0,
    "msmpeg4v2": lambda data: data[0] >> 6 == 0,
    "msmpeg4v3": lambda data: data[0] >> 6 == 0,
    "wmv1": lambda data: data[0] >> 6 == 0,
    "wmv2": lambda data: data[0] >> 7 == 0,
    "ffv1": lambda data: data[0] << 8 | data[1] >= 0x7F80,  # the range coder's first bit
}


# -- what shows nothing of its own ----------------------------------------------------------------------


def shows_nothing(codec: str, data: Any) -> bool:
    """VP8 and VP9 store frames that are never shown as packets of their own (RFC 6386 9.1; VP9 6.2)."""
    view = memoryview(data)
    if codec == "vp8":
        return not view[0] & 0x10
    if codec != "vp9" or view[-1] & 0xE0 == 0xC0:  # a superframe ends in an index and shows its last frame
        return False
    first = view[0]
    shift = 1 if (first >> 4) & 3 == 3 else 0
    shows_another = (first >> (3 - shift)) & 1  # show_existing_frame
    return not shows_another and not (first >> (1 - shift)) & 1


class Pairs:
    """Pairs the fields of a stream, packet by packet."""

    def __init__(self) -> None:
        self._first: Field | None = None

    def completed_by(self, fields: Iterable[Field | None]) -> bool:
        """Whether a packet is but the second field of the picture before.

        Parameters
        ----------
        fields : of the packet's slices or pictures in their order; None is a whole frame
        """
        kinds = iter(fields)
        kind, first = next(kinds, None), self._first
        completes = kind is not None and first is not None and kind.is_half_with(first)
        both = kind is not None and any(other is not None and other.bottom != kind.bottom for other in kinds)
        self._first = None if completes or both else kind
        return completes


def h264_fields(data: bytes, length_size: int, sps: SPS) -> Iterable[Field | None]:
    """The fields that the slices of a packet belong to; one None for a frame."""
    for nal in h264.nals(data, length_size):
        if nal and nal[0] & 31 in (1, h264.NAL_IDR):
            yield (field := h264.field_of(nal, sps))
            if field is None:
                return


def mpeg2_fields(data: bytes) -> Iterable[Field | None]:
    """The fields that the pictures of a packet are (ISO/IEC 13818-2, 6.2.3.1: picture_structure)."""
    at = data.find(_PICTURE)
    while at >= 0:
        head = data.find(b"\0\0\1\xb5", at)
        if head < 0 or len(data) < head + 7 or data[head + 4] >> 4 != 8:
            return
        structure = data[head + 6] & 3
        yield None if structure == _FRAME else Field(structure == 2, 0)
        if structure == _FRAME:
            return
        at = data.find(_PICTURE, head)
