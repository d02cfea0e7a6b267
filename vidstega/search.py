"""Finding a message in a video with nothing but the key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidstega import plan, video
from vidstega.carrier import Carrier
from vidstega.errors import CapacityError, InputError, PayloadError, UnsupportedError
from vidstega.methods import Method
from vidstega.payload import Keys, Layout
from vidstega.plan import Part
from vidstega.video import NONREF, SAFE, Scan

_CANDIDATES = 32  # starts that are tried unless the search is deep; each costs a frame and a key derivation


@dataclass(frozen=True)
class Found:
    """A message: how it is laid out, and the parts that read it back."""

    carrier: Carrier
    keys: Keys
    layout: Layout
    parts: tuple[Part, ...]
    spliced: bool


def find(
    scan: Scan,
    key: str | bytes,
    methods: Sequence[Method],
    *,
    deep: bool = False,
    derived: Keys | None = None,
) -> Found:
    """Find run 0, then the other runs by their marks.

    Only raw pictures (see `Scan.raw_pictures`) start a run in a splice; in a transcode it is the first
    frame. A `deep` search tries every key frame, for a video that was cut or joined since.

    Raises
    ------
    PayloadError
        If no message opens with this key.
    """
    for method in methods:
        carrier = Carrier(method, scan.size, scan.depth)
        for ordinal in _candidates(scan, deep):
            try:
                luma = _luma(scan, ordinal)
                keys, layout = carrier.read_header(luma, key, derived)
            except (PayloadError, CapacityError):
                continue
            if layout.method != method.name:
                continue
            mark = carrier.read_mark(luma, keys, layout.runs, 0)
            # A noisy frame coded without loss can be as large as a raw one, so that size proves no splice.
            for locate in (_runs, _stretch) if scan.raw_pictures[ordinal] else (_stretch,):
                parts = locate(scan, carrier, keys, layout, ordinal, mark)
                if sum(part.carrying for part in parts) == layout.frames:
                    return Found(carrier, keys, layout, tuple(parts), spliced=locate is _runs)
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


def _luma(scan: Scan, ordinal: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Luma of the first frame that is shown from a packet on; PayloadError if it does not decode."""
    first, packets, raw = ordinal, scan.packets[ordinal:], bool(scan.raw_pictures[ordinal])
    if raw:
        first = _start_for(scan, ordinal)
        packets = scan.packets[first : ordinal + 1]
        pts = packets["pts"][-1:]
    else:
        pts = packets["pts"][scan.shown[ordinal:]][:1] if ordinal else scan.pts[:1]
    try:
        frames = video.decode_span(scan.source, first, packets, pts, alone=raw)
        frame = next(frames)
    except (InputError, UnsupportedError, StopIteration):
        raise PayloadError from None
    video.check_format(frame)
    luma = video.planes(frame)[0].copy()
    frames.close()  # type: ignore[attr-defined]
    return luma


def _start_for(scan: Scan, ordinal: int) -> int:
    """Where to start for a raw picture: it needs no other, but parameter sets may come with a key frame."""
    if not scan.sets_in_band:
        return ordinal
    keys = np.flatnonzero(scan.packets["flags"][: ordinal + 1] & SAFE)
    return int(keys[-1]) if len(keys) else ordinal


def _runs(
    scan: Scan, carrier: Carrier, keys: Keys, layout: Layout, start: int, mark: tuple[int, int] | None
) -> list[Part]:
    """Walk the raw pictures from run 0 on: where a mark opens, a run starts; what does not is another's."""
    raw = scan.raw_pictures
    found: dict[int, Part] = {}
    ordinal, expected = start, 0
    while len(found) < layout.runs:
        following = np.flatnonzero(raw[ordinal:])
        if not len(following):
            break
        ordinal += int(following[0])
        if ordinal > start:
            try:
                mark = carrier.read_mark(_luma(scan, ordinal), keys, layout.runs, expected)
            except PayloadError:
                mark = None
        if mark is None or mark[0] in found:
            ordinal += 1
            continue
        run, frames = mark
        stop = ordinal + frames
        if stop > len(raw) or not raw[ordinal:stop].all():
            break
        pts, first = np.sort(scan.packets["pts"][ordinal:stop]), _start_for(scan, ordinal)
        alone = frames == 1 and bool(scan.packets["flags"][ordinal] & NONREF)
        found[run] = Part(run, first, stop, pts, run, 0, frames, 0, (ordinal, stop), frames, alone)
        ordinal, expected = stop, run + 1
    return _with_offsets([found[run] for run in sorted(found)], carrier, layout.frame_bytes)


def _with_offsets(parts: list[Part], carrier: Carrier, frame_bytes: int) -> list[Part]:
    offset, placed = 0, []
    for part in parts:
        placed.append(replace(part, offset=offset))
        offset += carrier.run_bytes(frame_bytes, part.run, part.carrying)
    return placed


def _stretch(
    scan: Scan, carrier: Carrier, keys: Keys, layout: Layout, start: int, mark: tuple[int, int] | None
) -> list[Part]:
    """The one run of a transcode: all frames from `start` on, in segments if it is the video's first."""
    if layout.runs != 1 or mark is None:
        return []
    if start == 0:
        parts = plan.all_segments(scan, carrier, mark[1], layout.frame_bytes)
        return [part for part in parts if part.carrying]
    pts = scan.pts[np.searchsorted(scan.pts, scan.packets["pts"][start]) :][: mark[1]]
    stop = len(scan.packets)
    return [Part(0, start, stop, pts, 0, 0, len(pts), 0, (start, stop), mark[1])]
