"""Cutting a video into spans that can be decoded one apart from another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidstega.media.source import SAFE, Scan


@dataclass(frozen=True)
class Span:
    """Frames that are decoded together.

    Parameters
    ----------
    index : number of the span among its kind
    first, stop : packets [first, stop) to decode
    pts : times of the frames wanted, in order
    replaced : packets [start, stop) that new ones stand for
    alone : whether the only frame wanted needs no other to be decoded, and nothing is predicted from it
    written : times the frames get where those are not `pts`, as a container does not take these
    """

    index: int
    first: int
    stop: int
    pts: NDArray[np.int64] = field(repr=False)
    replaced: tuple[int, int] = (0, 0)
    alone: bool = False
    written: NDArray[np.int64] | None = field(repr=False, default=None)


def segments(scan: Scan, least: int) -> Iterator[Span]:
    """Cut the whole video at packets that decoding can start at, `least` frames or more apart.

    Frames of an open group that are shown before its key frame belong to the segment before. Where it took
    decoding from the start to know what is shown, the whole is one segment.
    """
    packets, pts = scan.packets, scan.pts
    shown_at = packets["pts"]
    starts, cuts = _cuts(scan, least)
    by_time = np.argsort(shown_at, kind="stable")
    last_packet = np.maximum.accumulate(by_time)  # latest packet among those shown up to here
    times = shown_at[by_time]
    for index, (start, cut) in enumerate(zip(starts, cuts, strict=True)):
        end = cuts[index + 1] if index + 1 < len(cuts) else len(pts)
        within = int(np.searchsorted(times, pts[end - 1], side="right")) - 1
        stop = len(packets) if end == len(pts) else int(last_packet[within]) + 1
        yield Span(index, start, stop, pts[cut:end], (start, stop))


def _cuts(scan: Scan, least: int) -> tuple[list[int], list[int]]:
    """First packets of the segments, and the numbers of their first frames."""
    pts = scan.pts
    starts, cuts = [0], [0]
    if scan.source.as_decoded:
        return starts, cuts
    keys = np.flatnonzero((scan.packets["flags"] & SAFE != 0) & scan.shown)
    for key in keys[keys > 0]:
        at = int(np.searchsorted(pts, scan.packets["pts"][key]))
        shared = at + 1 < len(pts) and pts[at] == pts[at + 1]
        if at - cuts[-1] >= least and not shared:
            starts.append(int(key))
            cuts.append(at)
    if len(cuts) > 1 and len(pts) - cuts[-1] < least // 2:
        starts.pop(), cuts.pop()
    return starts, cuts


def span_around(scan: Scan, start: int, stop: int) -> Span:
    """What has to be decoded for frames [start, stop)."""
    touched, frame = [], 0
    for span in segments(scan, 1):
        if frame < stop and frame + len(span.pts) > start:
            touched.append(span)
        frame += len(span.pts)
    return Span(0, touched[0].first, max(span.stop for span in touched), scan.pts[start:stop])
