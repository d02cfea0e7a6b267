"""Whether decoding may start at a packet, by what the coded picture itself says.

A container's key flag is a hint: muxers get it wrong, and a file without a table of sync samples calls all of
them key. Where a codec tells in the first bits of a picture that it refers to no other, they are asked; of a
codec that does not, no packet but the first is taken for a start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from av.packet import Packet

from vidstega.errors import InputError
from vidstega.h264 import Bits, nals

_HEAD = 4096
"""Bytes in front of a picture's own header that are searched for it."""
_EACH_ALONE = {"png", "cfhd", "tiff", "bmp", "webp", "dpx", "exr", "targa"}
_HEVC_IRAP, _HEVC_VCL = range(16, 24), range(32)
_AV1_SEQUENCE, _AV1_PICTURE = 1, (3, 6)


class Starts:
    """Asks the packets of one stream.

    Parameters
    ----------
    codec : the codec's own name
    context : the stream's codec context
    """

    def __init__(self, codec: str, context: Any) -> None:
        self._alone = bool(context.codec.intra_only) or codec in _EACH_ALONE
        self._length_size = _hevc_length_size(context.extradata or b"") if codec == "hevc" else 0
        self._says = _SAYS.get(codec)

    def at(self, packet: Packet[Any]) -> bool:
        """Whether the packet's picture, and with it all that follow in display order, need none before."""
        if self._alone or self._says is None:
            return self._alone
        try:
            return self._says(bytes(memoryview(packet)[:_HEAD]), self._length_size)
        except (IndexError, InputError):
            return False


def _hevc_length_size(extradata: bytes) -> int:
    """Bytes of length before a NAL unit, 0 for start codes (ISO/IEC 14496-15, 8.3.3.1)."""
    return 1 + (extradata[21] & 3) if extradata[:1] == b"\1" and len(extradata) > 21 else 0


def _hevc(data: bytes, length_size: int) -> bool:
    """Whether the first slice belongs to an intra random access point (ITU-T H.265, table 7-1)."""
    kinds = (nal[0] >> 1 & 63 for nal in nals(data, length_size) if nal)
    return next((kind for kind in kinds if kind in _HEVC_VCL), -1) in _HEVC_IRAP


def _mpeg4(data: bytes, _: int) -> bool:
    """Whether vop_coding_type is I (ISO/IEC 14496-2, 6.2.5)."""
    at = data.find(b"\0\0\1\xb6")
    return at >= 0 and data[at + 4] >> 6 == 0


def _mpeg12(data: bytes, _: int) -> bool:
    """Whether picture_coding_type is I (ISO/IEC 13818-2, 6.2.3)."""
    at = data.find(b"\0\0\1\0")
    return at >= 0 and data[at + 5] >> 3 & 7 == 1


def _h263(data: bytes, _: int) -> bool:
    """Whether PTYPE, or MPPTYPE in its place, says INTRA (ITU-T H.263, 5.1.3, 5.1.4)."""
    bits = Bits(data[:16])
    bits.u(35)
    if bits.u(3) != 7:
        return bits.u(1) == 0
    if bits.u(3) == 1:
        bits.u(18)
    return bits.u(3) == 0


def _flv1(data: bytes, _: int) -> bool:
    """The same in Sorenson's variant, whose header may give the size in 16 or 32 bits."""
    bits = Bits(data[:16])
    bits.u(30)
    bits.u({0: 16, 1: 32}.get(bits.u(3), 0))
    return bits.u(2) == 0


def _vp9(data: bytes, _: int) -> bool:
    """Whether a frame is coded, and as a key frame (VP9 bitstream specification, 6.2)."""
    bits = Bits(data[:2])
    bits.u(2)
    profile = bits.u(1) | bits.u(1) << 1
    bits.u(1 if profile == 3 else 0)
    return bits.u(2) == 0


def _av1(data: bytes, _: int) -> bool:
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


_SAYS: dict[str, Callable[[bytes, int], bool]] = {
    "hevc": _hevc,
    "mpeg4": _mpeg4,
    "mpeg1video": _mpeg12,
    "mpeg2video": _mpeg12,
    "h263": _h263,
    "h263p": _h263,
    "flv1": _flv1,
    "vp8": lambda data, _: data[0] & 1 == 0,
    "vp9": _vp9,
    "av1": _av1,
    "theora": lambda data, _: data[0] & 0xC0 == 0,
    "msmpeg4v2": lambda data, _: data[0] >> 6 == 0,
    "msmpeg4v3": lambda data, _: data[0] >> 6 == 0,
    "wmv1": lambda data, _: data[0] >> 6 == 0,
    "wmv2": lambda data, _: data[0] >> 7 == 0,
    "ffv1": lambda data, _: data[0] << 8 | data[1] >= 0x7F80,  # the range coder's first bit
}
