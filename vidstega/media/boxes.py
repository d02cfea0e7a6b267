"""Headers of MP4 and MOV files as trees of boxes (ISO/IEC 14496-12), to be read, changed and packed again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"gmhd", b"tref", b"udta", b"edts"}
_HEADS = {b"stsd": 8}
"""Boxes that hold boxes after so many bytes of their own."""
_VIDEO_ENTRY, _SOUND_ENTRY = 78, 28
MEDIA_HEADERS = (b"vmhd", b"smhd", b"nmhd", b"sthd", b"hmhd", b"gmhd")
_MOST_BYTES, _MOST_BOXES, _DEEPEST = 1 << 28, 20_000, 10
_SOUND_VERSION = slice(8, 10)


@dataclass
class Box:
    """A box: its four letters, bytes of its own, the boxes in it, and what QuickTime ends some with."""

    kind: bytes
    data: bytes = field(repr=False, default=b"")
    children: list[Box] = field(repr=False, default_factory=list)
    tail: bytes = field(repr=False, default=b"")

    def pack(self) -> bytes:
        """As it stands in a file."""
        body = self.data + b"".join(child.pack() for child in self.children) + self.tail
        return (8 + len(body)).to_bytes(4, "big") + self.kind + body

    def all(self, kind: bytes) -> list[Box]:
        """Those of its children that are of a kind."""
        return [child for child in self.children if child.kind == kind]

    def get(self, *path: bytes) -> Box | None:
        """The first box along a path of kinds, if there is one."""
        box: Box | None = self
        for kind in path:
            box = None if box is None else next(iter(box.all(kind)), None)
        return box

    def put(self, box: Box) -> None:
        """Let a box take the place of the first of its kind, or come last."""
        kinds = [child.kind for child in self.children]
        if box.kind in kinds:
            self.children[kinds.index(box.kind)] = box
        else:
            self.children.append(box)

    def drop(self, *kinds: bytes) -> None:
        """Take children of these kinds away."""
        self.children = [child for child in self.children if child.kind not in kinds]


def parse(data: bytes) -> list[Box]:
    """The boxes that stand one after another in `data`; what makes no sense ends them."""
    return _Parser().boxes(data, b"", b"", 0)


class _Parser:
    """Reads boxes in boxes, not more nor deeper than any honest file has them."""

    def __init__(self) -> None:
        self._left = _MOST_BOXES

    def boxes(self, data: bytes, parent: bytes, handler: bytes, depth: int) -> list[Box]:
        """Those in a parent; a track's handler says what its sample descriptions look like."""
        found, at = [], 0
        while at + 8 <= len(data) and self._left:
            size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
            if size < 8 or at + size > len(data):
                break
            self._left -= 1
            found.append(self._box(kind, data[at + 8 : at + size], parent, handler, depth))
            if kind == b"hdlr" and parent == b"mdia":  # QuickTime has another beside the samples
                handler = found[-1].data[8:12]
            at += size
        return found

    def _box(self, kind: bytes, body: bytes, parent: bytes, handler: bytes, depth: int) -> Box:
        own = _own_bytes(kind, body, parent, handler)
        if own is None or depth == _DEEPEST:
            return Box(kind, body)
        box = Box(kind, body[:own], self.boxes(body[own:], kind, handler, depth + 1))
        box.tail = body[own + sum(len(child.pack()) for child in box.children) :]
        return box if box.tail in (b"", bytes(4)) else Box(kind, body)  # not boxes after all


def _own_bytes(kind: bytes, body: bytes, parent: bytes, handler: bytes) -> int | None:
    """Bytes before the children of a box, None if it has none."""
    if parent == b"stsd":
        if handler == b"soun":
            return _SOUND_ENTRY if body[_SOUND_VERSION] == b"\0\0" else None
        return _VIDEO_ENTRY if handler == b"vide" else None
    if parent == b"tref":
        return None
    return 0 if kind in _PARENTS else _HEADS.get(kind)


def walk(file: BinaryIO, at: int, stop: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of the body and end of each box in a part of a file; what is in them is not read."""
    while at + 8 <= stop:
        file.seek(at)
        head = file.read(16)
        size, body = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            size, body = int.from_bytes(head[8:], "big"), at + 16
        end = at + size if size else stop
        if end < body or end > stop:
            return
        yield head[4:8], at, body, end
        at = end


def read_movie(path: str | os.PathLike[str]) -> Box | None:
    """The header of an MP4 or MOV file, None if there is none that can be read whole."""
    with Path(path).open("rb") as file:
        found = _find_movie(file)
        return None if found is None else _read_at(file, *found)


def is_quicktime(path: Path) -> bool:
    """Whether a file is of QuickTime's own kind, which describes some things otherwise."""
    with path.open("rb") as file:
        return file.read(12)[8:] == b"qt  "


def parse_movie(data: bytes) -> Box | None:
    """The header of a file that is in memory."""
    return next((box for box in parse(data) if box.kind == b"moov"), None)


def write_movie(path: Path, movie: Box) -> bool:
    """Put a changed header in the place of a file's own; False where that is not its last box."""
    with path.open("r+b") as file:
        found = _find_movie(file)
        if found is None or sum(found) != file.seek(0, os.SEEK_END):
            return False
        file.seek(found[0])
        file.write(movie.pack())
        file.truncate()
    return True


def _find_movie(file: BinaryIO) -> tuple[int, int] | None:
    boxes = walk(file, 0, file.seek(0, os.SEEK_END))
    return next(((at, end - at) for kind, at, _, end in boxes if kind == b"moov"), None)


def _read_at(file: BinaryIO, at: int, size: int) -> Box | None:
    if size > _MOST_BYTES:
        return None
    file.seek(at)
    return next(iter(parse(file.read(size))), None)


# -- tracks ---------------------------------------------------------------------------------------------


def tracks(movie: Box) -> list[Box]:
    """The tracks of a movie, in the order that FFmpeg numbers their streams."""
    return movie.all(b"trak")


def track_id(track: Box) -> int:
    """A track's number, which other tracks know it by."""
    head = track.get(b"tkhd")
    at = 0 if head is None else 12 if head.data[:1] == b"\0" else 20
    return 0 if head is None else int.from_bytes(head.data[at : at + 4], "big")


def handler(track: Box) -> bytes:
    """What kind of media a track is of: b"vide", b"soun", b"meta", ..."""
    box = track.get(b"mdia", b"hdlr")
    return b"" if box is None else box.data[8:12]


def sample_entries(track: Box) -> list[Box]:
    """The descriptions of a track's samples."""
    box = track.get(b"mdia", b"minf", b"stbl", b"stsd")
    return [] if box is None else box.children


def has_second_view(track: Box) -> bool:
    """Whether the pictures of a track are pairs of views, the second coded by the first (MV-HEVC)."""
    return any(entry.get(b"lhvC") is not None for entry in sample_entries(track))


def media_header(track: Box) -> Box | None:
    """The box that says what kind of media a track has."""
    information = track.get(b"mdia", b"minf")
    children = [] if information is None else information.children
    return next((box for box in children if box.kind in MEDIA_HEADERS), None)


def shown_as(track: Box) -> bytes:
    """How a track is presented: from its layer to its height, with group, volume and matrix (8.3.2)."""
    head = track.get(b"tkhd")
    return b"" if head is None else head.data[-52:]


def show_as(track: Box, other: Box) -> None:
    """Let a track be presented as another is, and be enabled if that one is."""
    head, how = track.get(b"tkhd"), shown_as(other)
    if head is not None and len(how) == 52:
        flags = other.children[0].data[1:4] if other.children[0].kind == b"tkhd" else head.data[1:4]
        head.data = head.data[:1] + flags + head.data[4:-52] + how


def widen(track: Box, aspect: Fraction) -> None:
    """Let a track be shown as wide as samples of this aspect make it."""
    head = track.get(b"tkhd")
    if head is not None:
        width = round(int.from_bytes(head.data[-8:-4], "big") * aspect)
        head.data = head.data[:-8] + min(width, (1 << 32) - 1).to_bytes(4, "big") + head.data[-4:]


# -- how long tracks are shown --------------------------------------------------------------------------

_Field = tuple[int, int]
"""Where a number is in a box, and its size."""


def timescale(movie: Box) -> int:
    """Ticks of a movie in a second."""
    head = movie.get(b"mvhd")
    return 0 if head is None else _read(head, _by_version(head, (12, 4), (20, 4)))


def duration(track: Box) -> int:
    """Ticks of the movie that a track is shown for."""
    head = track.get(b"tkhd")
    return 0 if head is None else _read(head, _by_version(head, (20, 4), (28, 8)))


def edited(track: Box) -> int:
    """Ticks of the movie that the edits of a track add up to; 0 if it has none."""
    edits = track.get(b"edts", b"elst")
    if edits is None:
        return 0
    size, width = _by_version(edits, (12, 4), (20, 8))
    return sum(_read(edits, (at, width)) for at in range(8, len(edits.data) - size + 1, size))


def shorten(track: Box, ticks: int) -> None:
    """Let a track end so many ticks of the movie earlier than its last sample does."""
    head, edits = track.get(b"tkhd"), track.get(b"edts", b"elst")
    if head is None or edits is None:
        return
    width = _by_version(edits, (0, 12), (0, 20))[1]
    last = (len(edits.data) - width, 4 if width == 12 else 8)
    if last[0] < 8 or _read(edits, last) <= ticks:
        return
    _write(edits, last, _read(edits, last) - ticks)
    _write(head, _by_version(head, (20, 4), (28, 8)), duration(track) - ticks)


def end_with_tracks(movie: Box) -> None:
    """Let a movie be as long as the longest of its tracks."""
    head = movie.get(b"mvhd")
    if head is not None:
        longest = max(map(duration, tracks(movie)), default=0)
        _write(head, _by_version(head, (16, 4), (24, 8)), longest)


def _by_version(box: Box, short: _Field, long: _Field) -> _Field:
    return long if box.data[:1] == b"\1" else short


def _read(box: Box, place: _Field) -> int:
    return int.from_bytes(box.data[place[0] : sum(place)], "big")


def _write(box: Box, place: _Field, value: int) -> None:
    data = box.data
    box.data = data[: place[0]] + value.to_bytes(place[1], "big") + data[sum(place) :]
