"""Packets of a file as they lie there: some of them read, some exchanged for others of the same size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from vidstega import files
from vidstega.errors import InputError
from vidstega.media.boxes import is_quicktime
from vidstega.media.coded import essence_digest
from vidstega.media.coders import Coded, Copied
from vidstega.media.decode import packets_from
from vidstega.media.mux import mux
from vidstega.media.open import reading
from vidstega.media.source import Scan
from vidstega.media.tracks import MUXERS
from vidstega.pool import Work

_FRONT = 64
"""Bytes that Matroska's block headers take at the most between where a packet is said to be and its data."""

Changes = Mapping[int, tuple[bytes, bytes]]
"""By number of the packet: its bytes, and those in their place."""


def packets_at(scan: Scan, ordinals: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """Some packets of the carrying stream, given in rising order, read no further than they are asked for.

    Raises
    ------
    InputError
        If one is not what it was when the file was scanned.
    """
    if not len(ordinals):
        return
    found = _by_position if "mp4" in scan.format.split(",") else _by_demuxing
    for ordinal, data in found(scan, ordinals.tolist()):
        told = int(scan.packets["digest"][ordinal])
        if told and told != essence_digest(data, scan.codec, scan.sets.length_size):
            raise InputError(f"{scan.path}: packet {ordinal} is not what it was; did another program write?")
        yield ordinal, data


def _by_position(scan: Scan, ordinals: list[int]) -> Iterator[tuple[int, bytes]]:
    with _opened(scan.path) as file:
        for ordinal in ordinals:
            row = scan.packets[ordinal]
            file.seek(int(row["pos"]))
            yield ordinal, file.read(int(row["size"]))


def _by_demuxing(scan: Scan, ordinals: list[int]) -> Iterator[tuple[int, bytes]]:
    first, wanted = ordinals[0], set(ordinals)
    with reading(scan.path, skip_frame="all") as container:
        for ordinal, packet in packets_from(container, scan.source, first, scan.packets[first]):
            if ordinal in wanted:
                yield ordinal, bytes(packet)
            if ordinal >= ordinals[-1]:
                return


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


# -- exchanging -----------------------------------------------------------------------------------------


def stays_in_place(scan: Scan, container: str) -> bool:
    """Whether a copy of the file is a file of this container, and says where its packets are."""
    if not (scan.packets["pos"] >= 0).all():
        return False
    if "mp4" in scan.format.split(","):
        named = MUXERS.get(scan.path.suffix.lower())  # which may belie what it is, and its copy's will too
        return container in ("mov" if is_quicktime(scan.path) else "mp4", named)
    return container == "matroska" and "matroska" in scan.format.split(",")


def patch(scan: Scan, target: Path, changes: Changes) -> bool:
    """Write `target`, a copy with packets exchanged where they lie; False if one is not found as it is."""
    places = {}
    with files.copy_of(scan.path, target) as copy:
        for ordinal, (old, _) in changes.items():
            at = int(scan.packets["pos"][ordinal])
            copy.seek(at)
            front = copy.read(_FRONT + len(old)).find(old)
            if front < 0 or len(changes[ordinal][1]) != len(old):
                return False
            places[ordinal] = at + front
        for ordinal, (_, new) in changes.items():
            copy.seek(places[ordinal])
            copy.write(new)
    return True


def mux_changed(scan: Scan, target: Path, container: str, changes: Changes, work: Work) -> frozenset[int]:
    """Write `target` by muxing; gives the streams that its container cannot hold."""

    def parts() -> Iterator[tuple[tuple[int, int], list[Coded]]]:
        for ordinal in sorted(changes):
            new = changes[ordinal][1]
            row = list(scan.packets[ordinal].tolist())
            yield (ordinal, ordinal + 1), [((*row[:5], len(new), row[6]), Packet(new))]

    with suppress(FileNotFoundError):
        target.unlink()
    with work.progress.stage("embed", len(scan.packets)) as advance:
        return frozenset(mux(scan, target, Copied(container), parts(), progress=advance))
