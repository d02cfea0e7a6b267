"""NAL units of a packet in both packagings, and the few SEI messages that matter here (annex D)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vidstega.h264.bits import escape, unescape

NAL_SEI, NAL_IDR, NAL_SPS, NAL_PPS = 6, 5, 7, 8
START_CODE = b"\0\0\0\1"
SLICE_HEAD = 64
"""Bytes of a slice that hold the first fields of its header."""

_VCL = range(1, 6)
_SEI_CAPTIONS = 4  # user_data_registered_itu_t_t35
_SEI_RECOVERY = 6


def nals(data: bytes, length_size: int) -> Iterator[bytes]:
    """NAL units of a packet: `length_size` bytes of length before each (avcC), or 0 for start codes."""
    return (data[start:stop] for start, stop in places(data, length_size))


def places(data: bytes, length_size: int) -> Iterator[tuple[int, int]]:
    """Where in a packet its NAL units lie, as [start, stop)."""
    if not length_size:
        at = data.find(b"\0\0\1")
        while at >= 0:
            end = data.find(b"\0\0\1", at + 3)
            yield at + 3, at + 3 + len(data[at + 3 : end].rstrip(b"\0")) if end >= 0 else len(data)
            at = end
        return
    at = 0
    while at + length_size < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        yield at, min(at + size, len(data))
        at += size


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
    return any(kind == _SEI_RECOVERY and body[:1] >= b"\x80" for kind, body in sei_messages(nal))


def sei_messages(nal: bytes, head: int = 1) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each message of an SEI unit (7.3.2.3.1); in HEVC the head has two bytes."""
    data, at = unescape(nal), head
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
    bodies = [body for kind, body in sei_messages(nal) if kind == _SEI_CAPTIONS]
    sizes = [b"\xff" * (len(body) // 255) + bytes([len(body) % 255]) for body in bodies]
    messages = [bytes([_SEI_CAPTIONS]) + size + body for size, body in zip(sizes, bodies, strict=True)]
    return b"\x06" + escape(b"".join(messages) + b"\x80") if messages else b""


def pack(units: Iterable[bytes], length_size: int) -> bytes:
    """NAL units as one packet, in the packaging `nals` reads."""
    units = list(units)
    if not length_size:
        return b"".join(START_CODE + nal for nal in units)
    return b"".join(len(nal).to_bytes(length_size, "big") + nal for nal in units)
