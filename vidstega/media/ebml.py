"""The tracks' descriptions of a Matroska file (RFC 9559), to be read and changed in their place."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

SEGMENT, TRACKS, CLUSTER, ENTRY, VOID, CRC = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE, 0xEC, 0xBF
NUMBER, UID, NAME, CODEC, PRIVATE, VIDEO = 0xD7, 0x73C5, 0x536E, 0x86, 0x63A2, 0xE0
AUDIO, RATE, CHANNELS, BITS = 0xE1, 0xB5, 0x9F, 0x6264
ENCODINGS = 0x6D80
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
CROP_WIDTH, CROP_HEIGHT, STEREO = (0x54CC, 0x54DD), (0x54BB, 0x54AA), 0x53B8
COLOUR, SITING = 0x55B0, (0x55B7, 0x55B8)
_EBML, _KIND, _TIME = 0x1A45DFA3, 0x4282, 0xE7
_MOST_BYTES = 1 << 22

Elements = list[tuple[int, bytes]]
"""Ids and contents of elements that stand one after another."""


@dataclass(frozen=True)
class Tracks:
    """Where the tracks' descriptions are in a file, and what is in each."""

    at: int
    size: int
    entries: list[Elements] = field(repr=False)
    with_crc: bool = False


def parse(data: bytes) -> Elements:
    """The elements in `data`; what makes no sense ends them."""
    elements, at = [], 0
    while at < len(data):
        id_size = _width(data[at])
        if id_size > 4 or at + id_size >= len(data):
            break
        start, size = _size_at(data, at + id_size)
        if size is None or start + size > len(data):
            break
        elements.append((int.from_bytes(data[at : at + id_size], "big"), data[start : start + size]))
        at = start + size
    return elements


def pack(elements: Elements) -> bytes:
    """Elements as they stand in a file."""
    return b"".join(_head(name, len(content)) + content for name, content in elements)


def get(elements: Elements, name: int) -> bytes:
    """The content of the first element of a name, or nothing."""
    return next((content for key, content in elements if key == name), b"")


def without(elements: Elements, *names: int) -> Elements:
    """Elements of all names but these."""
    return [(key, content) for key, content in elements if key not in names]


def number(value: int) -> bytes:
    """An unsigned integer as an element's content."""
    return value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")


def real(value: float) -> bytes:
    """A floating-point number as an element's content."""
    return struct.pack(">d", value)


def read_tracks(path: Path) -> Tracks | None:
    """The descriptions of a file's tracks, None if there are none before its first frame."""
    with path.open("rb") as file:
        return tracks_in(file)


def tracks_in(file: BinaryIO) -> Tracks | None:
    """The same of a file that is open, or in memory."""
    at, end = 0, file.seek(0, os.SEEK_END)
    while at < end:
        file.seek(at)
        name, start, size = _element_at(file, at)
        if name == TRACKS and size is not None and size <= _MOST_BYTES:
            file.seek(start)
            inside = parse(file.read(size))
            entries = [parse(content) for key, content in inside if key == ENTRY]
            return Tracks(at, start + size - at, entries, inside[:1] != [] and inside[0][0] == CRC)
        if name in (CLUSTER, 0):
            return None
        at = start if name == SEGMENT else end if size is None else start + size
    return None


def write_tracks(path: Path, tracks: Tracks) -> None:
    """Put changed descriptions where they were; a file is written with a long enough name to make room."""
    body = pack([(ENTRY, pack(entry)) for entry in tracks.entries])
    overhead = 12 + (6 if tracks.with_crc else 0)  # id and an eight-byte size
    spare = tracks.size - overhead - len(body)
    if spare < 2:
        raise ValueError(f"{-spare} bytes too many for the tracks' place")
    body += _void(spare)
    if tracks.with_crc:
        body = pack([(CRC, zlib.crc32(body).to_bytes(4, "little"))]) + body
    with path.open("r+b") as file:
        file.seek(tracks.at)
        file.write(TRACKS.to_bytes(4, "big") + (1 << 56 | len(body)).to_bytes(8, "big") + body)


def file_of(entry: Elements) -> bytes:
    """A file with one track and no frame; where the first would be is where a reader stops."""
    tracks, cluster = pack([(ENTRY, pack(entry))]), pack([(_TIME, number(0))])
    segment = pack([(TRACKS, tracks), (CLUSTER, cluster)])
    return pack([(_EBML, pack([(_KIND, b"matroska")])), (SEGMENT, segment)])


def _void(size: int) -> bytes:
    """An element of so many bytes that says nothing."""
    if size < 10:
        return bytes([VOID, 0x80 | size - 2]) + bytes(size - 2)
    return bytes([VOID]) + (1 << 56 | size - 9).to_bytes(8, "big") + bytes(size - 9)


def _head(name: int, size: int) -> bytes:
    width = next(width for width in range(1, 9) if size < (1 << 7 * width) - 1)
    return number(name) + (1 << 7 * width | size).to_bytes(width, "big")


def _width(first: int) -> int:
    """Bytes of a number of variable length, by its first."""
    return 9 - first.bit_length()


def _size_at(data: bytes, at: int) -> tuple[int, int | None]:
    """Where the content after a size starts, and the size; None if it is not known."""
    width = _width(data[at]) if at < len(data) else 9
    value = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
    return at + width, None if width > 8 or value == (1 << 7 * width) - 1 else value


def _element_at(file: BinaryIO, at: int) -> tuple[int, int, int | None]:
    """Name, place of the content and size of the element at a place; name 0 if there is none."""
    head = file.read(12)
    width = _width(head[0]) if head else 9
    if width > 4 or len(head) <= width:
        return 0, at, None
    start, size = _size_at(head, width)
    return int.from_bytes(head[:width], "big"), at + start, size
