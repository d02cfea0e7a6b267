"""NAL units of HEVC (ITU-T H.265, 7.3.1.2, table 7-1), and the one SEI message that matters here."""

from __future__ import annotations

from collections.abc import Iterable

from vidstega.h264.nal import sei_messages

NAL_VPS, NAL_SPS, NAL_PPS = 32, 33, 34
NAL_SEI = (39, 40)
IRAP = range(16, 24)
"""Pictures that refer to no other: BLA, IDR, CRA."""
IDR = (19, 20)
RESETS = (16, 17, 18, 19, 20)
"""IRAP pictures that no picture after them refers back across: BLA and IDR."""
_SLICES = (*range(10), *range(16, 22))
_BETWEEN = (35, 36, 37, 38)  # access unit delimiter, ends of sequence and of stream, filler
_SEI_HASH = 132
_SEI_OF_ALL = {5, 129, 137, 144, 147}
"""Messages about a stream as a whole, which MP4 keeps with parameter sets (ISO/IEC 14496-15, 8.3.3.1): user
data, parameter sets in force, mastering display, light level, transfer."""


def kind_of(nal: bytes) -> int:
    """nal_unit_type; -1 if the unit is too short to have one."""
    return nal[0] >> 1 & 63 if len(nal) > 2 else -1


def layer_of(nal: bytes) -> int:
    """nuh_layer_id."""
    return (nal[0] & 1) << 5 | nal[1] >> 3


def temporal_of(nal: bytes) -> int:
    """TemporalId."""
    return (nal[1] & 7) - 1


def is_slice(nal: bytes) -> bool:
    """Whether a unit holds a slice segment of the base layer."""
    return kind_of(nal) in _SLICES and layer_of(nal) == 0


def is_of_layer(nal: bytes) -> bool:
    """Whether a unit is of another layer than the base, which may predict from it."""
    return len(nal) > 2 and layer_of(nal) > 0


def is_counted(nal: bytes) -> bool:
    """Whether a unit stays with its picture, whatever container it is in."""
    kind = kind_of(nal)
    if kind in NAL_SEI:
        return not _sei_types(nal) <= _SEI_OF_ALL
    return kind >= 0 and kind not in (NAL_VPS, NAL_SPS, NAL_PPS, *_BETWEEN)


def tells_hash(units: Iterable[bytes]) -> bool:
    """Whether an SEI unit tells a digest of the decoded picture (payload type 132, D.2.19)."""
    return any(_SEI_HASH in _sei_types(nal) for nal in units if kind_of(nal) in NAL_SEI)


def _sei_types(nal: bytes) -> set[int]:
    return {kind for kind, _ in sei_messages(nal, head=2)}
