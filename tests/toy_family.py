"""A family for tests, as one's first may look: the sealed stream in `free` boxes at the end of an MP4."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidstega import files
from vidstega.carriers.base import Carrier, Found, Plan, Room, Spread, Wish, Written
from vidstega.errors import CapacityError, PayloadError, UnsupportedError
from vidstega.media.compare import Promise
from vidstega.media.source import Scan
from vidstega.pool import Work
from vidstega.seal import HEADER_OVERHEAD, SALT_BYTES, Key, Sealed, open_header, seal_header

BOX_BYTES, BOXES = 1000, 16
OPENING = SALT_BYTES + HEADER_OVERHEAD + 8


@dataclass(frozen=True, kw_only=True)
class FoundFree(Found):
    stream: bytes


@dataclass(frozen=True)
class FreeSpace(Carrier):
    loudness: int | None = None
    family = method = "free"

    def room(self, scan: Scan, spread: Spread) -> Room:
        if "mp4" not in scan.format.split(","):
            raise UnsupportedError(f"{scan.path} is no MP4")
        return Room(frames=0, frame_bytes=0, sealed_bytes=BOXES * BOX_BYTES - OPENING)

    def plan(self, scan: Scan, wish: Wish) -> Plan:
        size, most, same = wish.stream_bytes, self.room(scan, "all").sealed_bytes, Promise.untouched(scan)
        if wish.container != "mp4":
            raise UnsupportedError(f"{wish.container} has no free space")
        if size > most:
            raise CapacityError(f"{size:,} bytes are more than {most:,}")
        return Plan(mode="append", reason="it fits", frames=len(scan.pts), stream_bytes=size, promise=same)

    def write(self, scan: Scan, plan: Plan, sealed: Sealed, target: Path, work: Work) -> Written:
        header = seal_header(sealed.keys, self.family, struct.pack(">Q", sealed.stream_bytes))
        data = sealed.keys.salt + header + sealed.read(0, sealed.stream_bytes)
        pieces = [data[at : at + BOX_BYTES] for at in range(0, len(data), BOX_BYTES)]
        with files.copy_of(scan.path, target) as copy:
            copy.seek(0, 2)
            copy.writelines(struct.pack(">I4s", 8 + len(piece), b"free") + piece for piece in pieces)
        return Written()

    def locate(self, scan: Scan, key: Key, *, deep: bool = False) -> FoundFree:
        boxes = last_free_boxes(scan.path)
        for data in (b"".join(boxes[first:]) for first in range(len(boxes))):
            with suppress(PayloadError):
                keys = key.at(data[:SALT_BYTES].ljust(SALT_BYTES))
                (size,) = struct.unpack(">Q", open_header(keys, self.family, data[SALT_BYTES:OPENING]))
                return FoundFree(method="free", keys=keys, stream_bytes=size, stream=data[OPENING:])
        raise PayloadError

    def read(self, scan: Scan, found: FoundFree, spool: Path, work: Work, **how: Any) -> Any:
        spool.write_bytes(found.stream)
        return np.empty(0, np.uint64)

    def promise(self, cover: Scan, stego: Scan, found: FoundFree) -> tuple[str, Promise]:
        return "append", Promise.untouched(cover)


def last_free_boxes(path: Path) -> list[bytes]:
    data, at, boxes = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        boxes = [*boxes, data[at + 8 : at + size]] if kind == b"free" else []
        at += max(size, 8)
    return boxes
