"""Finding a message in samples with nothing but the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vidstega.carriers.base import Found
from vidstega.carriers.samples.bands import Bands
from vidstega.carriers.samples.layout import Layout
from vidstega.carriers.samples.plan import Stretch, stretches_of
from vidstega.errors import CapacityError, InputError, PayloadError, UnsupportedError
from vidstega.media.decode import check_format, decode_span, planes
from vidstega.media.segments import Span
from vidstega.media.source import NONREF, SAFE, Scan
from vidstega.methods import Method
from vidstega.methods.lsb import LSB
from vidstega.seal import Key, Keys

_CANDIDATES = 32  # starts that are tried unless the search is deep; each costs a frame and a key derivation

Luma = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class FoundSamples(Found):
    """A message in samples: how it is laid out, and the stretches that read it back."""

    bands: Bands
    layout: Layout
    stretches: tuple[Stretch, ...]
    spliced: bool


@dataclass(frozen=True)
class _Opened:
    """What a first frame told: the keys, the layout, and its mark."""

    start: int
    bands: Bands
    keys: Keys
    layout: Layout
    mark: tuple[int, int] | None


def find(scan: Scan, key: Key, method: Callable[[str], Method | None], *, deep: bool = False) -> FoundSamples:
    """Find run 0, then the other runs by their marks.

    Only raw pictures (see `Scan.raw_pictures`) start a run in a splice; in a transcode it is the first
    frame. A `deep` search tries every key frame, for a video that was cut or joined since.

    Parameters
    ----------
    method : gives the method of a name, or None if there is none

    Raises
    ------
    PayloadError
        If no message opens with this key.
    """
    for ordinal in _candidates(scan, deep):
        opened = _open(scan, key, method, ordinal)
        if opened is None:
            continue
        # A noisy frame coded without loss can be as large as a raw one, so that size proves no splice.
        for locate in (_runs, _stretch) if scan.raw_pictures[ordinal] else (_stretch,):
            stretches = tuple(locate(scan, opened))
            if sum(stretch.carrying for stretch in stretches) == opened.layout.frames:
                return FoundSamples(
                    method=opened.layout.method,
                    keys=opened.keys,
                    stream_bytes=opened.layout.stream_bytes,
                    carrying=opened.layout.frames,
                    bands=opened.bands,
                    layout=opened.layout,
                    stretches=stretches,
                    spliced=locate is _runs,
                )
    raise PayloadError


def _candidates(scan: Scan, deep: bool) -> Iterator[int]:
    raw = scan.raw_pictures
    starts = np.flatnonzero(raw & ~np.concatenate([[False], raw[:-1]]))
    if not deep:
        yield from starts[:_CANDIDATES].tolist()
        yield 0
        return
    yield from np.flatnonzero(raw).tolist()
    yield from np.flatnonzero(~raw & (scan.packets["flags"] & SAFE != 0)).tolist()


def _open(scan: Scan, key: Key, method: Callable[[str], Method | None], ordinal: int) -> _Opened | None:
    """What the frame shown from this packet on says, if a message opens there by a method that is known."""
    bands = Bands(LSB(), scan.size, scan.depth)
    try:
        luma = _luma(scan, ordinal)
        keys, layout = bands.read_header(luma, key)
        mark = bands.read_mark(luma, keys, layout.runs, 0)
    except (PayloadError, CapacityError):
        return None
    known = method(layout.method)
    return None if known is None else _Opened(ordinal, replace(bands, method=known), keys, layout, mark)


def _luma(scan: Scan, ordinal: int) -> Luma:
    """Luma of the first frame that is shown from a packet on; PayloadError if it does not decode."""
    first, packets, raw = ordinal, scan.packets[ordinal:], bool(scan.raw_pictures[ordinal])
    if raw:
        first = _start_for(scan, ordinal)
        packets = scan.packets[first : ordinal + 1]
        pts = packets["pts"][-1:]
    else:
        pts = packets["pts"][scan.shown[ordinal:]][:1] if ordinal else scan.pts[:1]
    if not len(pts):
        raise PayloadError  # nothing is shown from here on
    try:
        frames = decode_span(scan.source, first, packets, pts, alone=raw)
        frame = next(frames)
    except (InputError, UnsupportedError, StopIteration):
        raise PayloadError from None
    check_format(frame)
    luma: Luma = planes(frame)[0].copy()
    frames.close()  # type: ignore[attr-defined]
    return luma


def _start_for(scan: Scan, ordinal: int) -> int:
    """Where to start for a raw picture: it needs no other, but parameter sets may come with a key frame."""
    if not scan.sets.with_packets:
        return ordinal
    keys = np.flatnonzero(scan.packets["flags"][: ordinal + 1] & SAFE)
    return int(keys[-1]) if len(keys) else ordinal


def _runs(scan: Scan, opened: _Opened) -> list[Stretch]:
    """Walk the raw pictures from run 0 on: where a mark opens, a run starts; what does not is another's."""
    raw, layout, mark = scan.raw_pictures, opened.layout, opened.mark
    found: dict[int, Stretch] = {}
    ordinal, expected = opened.start, 0
    while len(found) < layout.runs:
        following = np.flatnonzero(raw[ordinal:])
        if not len(following):
            break
        ordinal += int(following[0])
        if ordinal > opened.start:
            mark = _mark(scan, opened, ordinal, expected)
        if mark is None or mark[0] in found:
            ordinal += 1
            continue
        run, frames = mark
        stop = ordinal + frames
        if stop > len(raw) or not raw[ordinal:stop].all():
            break
        found[run] = Stretch(_raw_span(scan, run, ordinal, stop), run, 0, frames, 0, frames)
        ordinal, expected = stop, run + 1
    return _with_offsets([found[run] for run in sorted(found)], opened)


def _mark(scan: Scan, opened: _Opened, ordinal: int, expected: int) -> tuple[int, int] | None:
    try:
        return opened.bands.read_mark(_luma(scan, ordinal), opened.keys, opened.layout.runs, expected)
    except PayloadError:
        return None


def _raw_span(scan: Scan, index: int, start: int, stop: int) -> Span:
    pts = np.sort(scan.packets["pts"][start:stop])
    alone = stop - start == 1 and bool(scan.packets["flags"][start] & NONREF)
    return Span(index, _start_for(scan, start), stop, pts, (start, stop), alone)


def _with_offsets(stretches: list[Stretch], opened: _Opened) -> list[Stretch]:
    offset, placed = 0, []
    for stretch in stretches:
        placed.append(replace(stretch, offset=offset))
        offset += opened.bands.run_bytes(opened.layout.frame_bytes, stretch.run, stretch.carrying)
    return placed


def _stretch(scan: Scan, opened: _Opened) -> list[Stretch]:
    """The one run of a transcode: all frames from its start on, in segments if it is the video's first."""
    start, layout = opened.start, opened.layout
    if layout.runs != 1 or opened.mark is None:
        return []
    frames = opened.mark[1]
    if start == 0:
        stretches = stretches_of(scan, opened.bands, frames, layout.frame_bytes)
        return [stretch for stretch in stretches if stretch.carrying]
    pts = scan.pts[np.searchsorted(scan.pts, scan.packets["pts"][start]) :][:frames]
    stop = len(scan.packets)
    return [Stretch(Span(0, start, stop, pts, (start, stop)), 0, 0, len(pts), 0, frames)]
