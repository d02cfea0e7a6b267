"""What a file says of its streams that PyAV does not hand on: codec tags, and whether they are encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer

from vidstega.errors import UnsupportedError
from vidstega.media import boxes

_ENCRYPTED = ("encv", "enca", "encs", "enct", "encm", "drmi", "drms")
"""Sample entries of ISO/IEC 14496-12 8.12 and 23001-7, and of a shop's older way."""
_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_MOST_BOXES = 100_000
_TS_PACKET, _TS_SYNC, _TS_NULL, _TS_SCRAMBLED = 188, b"G", 0x1FFF, 0x40
_TS_LOOK = 1000  # packets


def check_not_encrypted(path: Path, container: InputContainer | None = None) -> None:
    """Refuse an encrypted file as what it is; without its key it opens or decodes like a damaged one.

    Raises
    ------
    UnsupportedError
        Naming how the file says so.
    """
    how = ""
    with suppress(OSError):
        how = _encryption(path)
        if container is not None and any("enc_key_id" in stream.metadata for stream in container.streams):
            how = "a content key"
    if how:
        raise UnsupportedError(f"{path} is encrypted ({how}); decrypt it first")


def tags_of(container: InputContainer) -> dict[int, str]:
    """The codec tags of streams by their index, where the container has them."""
    if "mp4" not in container.format.name.split(","):
        return {}
    tags = track_tags(Path(container.name))
    return {stream.index: tags[stream.id] for stream in container.streams if tags.get(stream.id)}


def _encryption(path: Path) -> str:
    """How a file says that it is encrypted; empty if it does not."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            return next((tag for tag in track_tags(path).values() if tag in _ENCRYPTED), "")
        if head[:1] == _TS_SYNC or head[4:5] == _TS_SYNC:  # four bytes of time come before it in .m2ts
            ahead = head.index(_TS_SYNC)
            file.seek(ahead)
            return "scrambled packets" if _is_scrambled(file, _TS_PACKET + ahead) else ""
    return ""


def _is_scrambled(file: BinaryIO, step: int) -> bool:
    """Whether more than half of a transport stream's packets are (ISO/IEC 13818-1 2.4.3.3)."""
    data = file.read(_TS_LOOK * step)
    packets = [data[at : at + 4] for at in range(0, len(data) - 3, step)]
    filled = [packet for packet in packets if int.from_bytes(packet[1:3], "big") & _TS_NULL != _TS_NULL]
    scrambled = sum(packet[3] >= _TS_SCRAMBLED for packet in filled)
    return all(packet[:1] == _TS_SYNC for packet in packets) and 2 * scrambled > len(filled)


def track_tags(path: Path) -> dict[int, str]:
    """The codec tag of every track of an MP4 or MOV by track id: its first sample entry's four characters."""
    tags: dict[int, str] = {}
    track = 0
    with path.open("rb") as file:
        for kind, body in islice(_down(file, 0, path.stat().st_size), _MOST_BOXES):
            file.seek(body)
            if kind == b"tkhd":
                version = file.read(1)
                file.seek(body + (20 if version == b"\1" else 12))
                track = int.from_bytes(file.read(4), "big")
            elif kind == b"stsd":
                tags.setdefault(track, _readable(file.read(16)[12:]))
    return tags


def _down(file: BinaryIO, start: int, stop: int, depth: int = 0) -> Iterator[tuple[bytes, int]]:
    """Kind and start of the body of boxes up to the end of the moov, and of those that lead to `stsd`."""
    for kind, _, body, end in boxes.walk(file, start, stop):
        yield kind, body
        if depth < len(_PARENTS) and kind == _PARENTS[depth]:
            yield from _down(file, body, end, depth + 1)
        if kind == _PARENTS[0]:
            return


def _readable(tag: bytes) -> str:
    text = tag.decode("latin-1")
    return text.strip() if text.isascii() and text.isprintable() else f"0x{tag.hex()}"
