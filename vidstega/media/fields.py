"""Pictures that are coded as two fields, where each may be a packet of its own: two packets, one frame."""

from __future__ import annotations

from collections.abc import Iterable

from vidstega import h264
from vidstega.h264 import SPS, Field

_PICTURE = b"\0\0\1\0"
_FRAME = 3


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
