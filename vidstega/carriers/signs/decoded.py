"""What needs pictures decoded: margins before a message is put in, and proof afterwards.

Both decode no more than what leads up to pictures in use, and of that so much that a long video costs no
more than a few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.signs.codecs import codec_of
from vidstega.carriers.signs.edges import margins
from vidstega.carriers.signs.walks import Walked
from vidstega.errors import InputError, VerificationError
from vidstega.media.compare import Promise
from vidstega.media.decode import decode_strictly, let_go, planes
from vidstega.media.source import IDR, NONREF, Packets, Scan, Source
from vidstega.pool import Work
from vidstega.residual import Blocks

_PIXELS = 400_000_000
"""Luma samples that are decoded at the most: some 200 frames of 1080p."""
_BEST_DB = 100.0

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Packets [first, stop) that some pictures need to be decoded, and which of them those are."""

    first: int
    stop: int
    wanted: NDArray[np.bool_] = field(repr=False)


def parts_of(scan: Scan, ordinals: NDArray[np.int64], *, every: bool) -> list[Part]:
    """What has to be decoded for some pictures, as far as it is worth it.

    Parameters
    ----------
    every : whether pictures that none depends on are decoded along
    """
    packets = scan.packets
    starts = np.union1d([0], np.flatnonzero(packets["flags"] & IDR))
    group = np.searchsorted(starts, ordinals, side="right") - 1
    parts, left = [], _PIXELS // (scan.size[0] * scan.size[1])
    for number in np.unique(group):
        here, first = ordinals[group == number], int(starts[number])
        wanted = np.zeros(int(here.max()) + 1 - first, bool)
        wanted[here - first] = True
        skips = not every and scan.codec == "h264"  # where a decoder can be told to pass over the others
        needed = wanted | (not skips) | (packets["flags"][first : first + len(wanted)] & NONREF == 0)
        most = int(np.searchsorted(np.cumsum(needed), left, side="right"))
        left -= int(needed[:most].sum())
        if (last := np.flatnonzero(wanted[:most])).size:
            parts.append(Part(first, first + int(last[-1]) + 1, wanted[: last[-1] + 1]))
    return parts


def _threads(work: Work, parts: int) -> int:
    """Of each decoder: parts are the work of one worker each, and of one worker alone a decoder is two."""
    workers = work.pool.workers
    return max(2, workers) if parts == 1 or workers == 1 else 1


# -- margins --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Looked:
    """Signs of a picture whose margins are wanted."""

    blocks: Blocks
    change: Floats


def margins_of(
    scan: Scan, taken: Sequence[Walked], amplitudes: Sequence[Floats], work: Work
) -> dict[int, Floats]:
    """By packet the margins of a picture's signs, of those pictures that it is worth to decode."""
    codec = codec_of(scan)
    sets = codec.sets(scan)
    size = codec.coded_size(sets)
    if size is None or not len(scan.pts):
        return {}
    looked = {
        walked.ordinal: _Looked(codec.blocks(walked.signs, sets), _change(walked, amplitude))
        for walked, amplitude in zip(taken, amplitudes, strict=True)
        if len(walked.signs)
    }
    parts = parts_of(scan, np.array(sorted(looked), np.int64), every=False)
    threads = _threads(work, len(parts))
    calls = []
    for part in parts:
        pictures = {part.first + int(at): looked[part.first + int(at)] for at in np.flatnonzero(part.wanted)}
        rows = scan.packets[part.first : part.stop]
        calls.append((_margins, scan.source, part, rows, pictures, size, threads))
    found: dict[int, Floats] = {}
    for some in work.pool.counted(calls, work.progress, "look", "part"):
        found |= some
    return found


def _change(walked: Walked, amplitude: Floats) -> Floats:
    """What a turn adds to each coefficient."""
    return np.asarray(amplitude * np.where(walked.signs.negative, 2, -2), np.float32)


def _margins(
    source: Source,
    part: Part,
    packets: Packets,
    pictures: dict[int, _Looked],
    size: tuple[int, int],
    threads: int,
) -> dict[int, Floats]:
    found = {}
    with suppress(InputError):  # where a decoder stops, energies have to do
        for ordinal, frame in decode_strictly(source, part.first, packets, part.wanted, threads):
            looked = pictures[ordinal]
            found[ordinal] = margins(planes(frame), looked.blocks, looked.change, size)
    return found


# -- proof ----------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """Squared errors per sample of luma and of chroma of the pictures that may differ; frames looked at."""

    luma: list[float]
    chroma: list[float]
    frames: int


def compare_decoded(cover: Scan, stego: Scan, promise: Promise, work: Work) -> dict[str, float]:
    """Decode both strictly up to the pictures in use, and compare; gives PSNR and how many were decoded.

    Raises
    ------
    VerificationError
        If a decoder complains of the stego alone, or a picture differs that should not.
    """
    assert promise.packets is not None
    parts = parts_of(cover, np.flatnonzero(promise.packets), every=True)
    may_differ = np.isin(cover.packets["pts"], cover.pts[promise.frames])
    threads = _threads(work, len(parts))
    calls = []
    for part in parts:
        span = slice(part.first, part.stop)
        rows = (cover.packets[span], stego.packets[span])
        calls.append((_compare, (cover.source, stego.source), part.first, rows, may_differ[span], threads))
    luma: list[float] = []
    chroma: list[float] = []
    for seen in work.pool.counted(calls, work.progress, "verify", "part"):
        luma += seen.luma
        chroma += seen.chroma
    if not luma:
        return {}
    peak = (1 << cover.depth) - 1
    return {
        "psnr_db": _decibels(float(np.mean(luma)), peak),
        "psnr_worst_db": _decibels(max(luma), peak),
        "psnr_chroma_db": _decibels(float(np.mean(chroma)), peak),
        "decoded": float(len(luma)),
    }


def _decibels(error: float, peak: int) -> float:
    return float(min(_BEST_DB, 10 * np.log10(peak**2 / max(error, 1e-12))))


def _compare(
    sources: tuple[Source, Source],
    first: int,
    rows: tuple[Packets, Packets],
    may_differ: NDArray[np.bool_],
    threads: int,
) -> Seen:
    seen = Seen([], [], 0)
    let_go()
    for theirs, ours in _pairs(sources, first, rows, threads):
        if theirs[0] != ours[0]:
            raise VerificationError(f"packets {theirs[0]} and {ours[0]} decode in each other's place")
        before, after = planes(theirs[1]), planes(ours[1])
        seen.frames += 1
        if may_differ[ours[0] - first]:
            seen.luma.append(_squared_error(before[0], after[0]))
            colours = map(_squared_error, before[1:], after[1:])
            seen.chroma.append(sum(colours) / max(1, len(before) - 1))
        elif not all(map(np.array_equal, before, after)):
            raise VerificationError(
                f"packet {ours[0]} decodes to other samples, though nothing of it changed"
            )
    return seen


def _pairs(
    sources: tuple[Source, Source], first: int, rows: tuple[Packets, Packets], threads: int
) -> Iterator[tuple[Any, Any]]:
    """Frames of both as far as the cover decodes; from the stego no more complaints than from the cover."""
    ours = decode_strictly(sources[1], first, rows[1], threads=threads)
    theirs = decode_strictly(sources[0], first, rows[0], threads=threads)
    while True:
        try:
            before = next(theirs, None)
        except InputError:  # the cover itself is damaged from here on
            return
        try:
            after = next(ours, None)
        except InputError as error:
            raise VerificationError(str(error)) from None
        if (before is None) != (after is None):
            raise VerificationError("one of the two videos decodes to fewer frames")
        if before is None:
            return
        yield before, after


def _squared_error(before: NDArray[Any], after: NDArray[Any]) -> float:
    differs = np.flatnonzero((before != after).any(axis=1))
    off = before[differs].astype(np.int32) - after[differs].astype(np.int32)
    return float((off * off).sum()) / before.size
