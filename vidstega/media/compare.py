"""Comparing what was written with what it came from, as a stranger would: from the files alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega.errors import VerificationError
from vidstega.media.decode import decode_all, decode_span, planes
from vidstega.media.source import Scan
from vidstega.media.times import told_apart
from vidstega.progress import Progress


@dataclass(frozen=True)
class Promise:
    """What of a cover may differ in its stego; all else is the same.

    Parameters
    ----------
    packets : which packets of the carrying stream may differ; None if all are coded anew
    frames : which frames may decode to other samples
    luma_only : whether only their first plane may
    """

    packets: NDArray[np.bool_] | None = field(repr=False)
    frames: NDArray[np.bool_] = field(repr=False)
    luma_only: bool = True

    @classmethod
    def untouched(cls, scan: Scan) -> Promise:
        """The promise of a family that leaves the video of this cover as it is."""
        return cls(np.zeros(len(scan.packets), bool), np.zeros(len(scan.pts), bool))


def compare_packets(cover: Scan, stego: Scan, promise: Promise) -> list[str]:
    """Compare times and copied packets of two scans with digests; notes on what had to give.

    Raises
    ------
    VerificationError
        Naming what differs.
    """
    notes = _compare_times(cover, stego)
    if promise.packets is not None:
        if len(cover.packets) != len(stego.packets):
            raise VerificationError(
                f"{len(stego.packets)} video packets were written for {len(cover.packets)}"
            )
        differs = (cover.packets["digest"] != stego.packets["digest"]) & ~promise.packets
        if differs.any():
            raise VerificationError(f"{int(differs.sum())} packets that were copied differ")
    return notes


def _compare_times(cover: Scan, stego: Scan) -> list[str]:
    ours, theirs = stego.pts, cover.pts
    if len(ours) != len(theirs):
        raise VerificationError(f"{len(ours)} frames are shown for {len(theirs)}")
    if cover.source.time_base == stego.source.time_base and np.array_equal(ours, theirs):
        return []
    ratio = cover.source.time_base / stego.source.time_base
    down, notes = ratio.denominator, []
    off = _off(ours, theirs, ratio)
    if off > down:
        apart = told_apart(theirs, cover.source.time_base)
        if np.array_equal(apart, theirs) or (off := _off(ours, apart, ratio)) > down:
            raise VerificationError("the frames are shown at other times")
        later_s = float(int((apart - theirs).max()) * cover.source.time_base)
        moved = int((apart != theirs).sum())
        notes.append(f"{moved} frames share a time with another and are shown up to {later_s:.6f} s later")
    if off:
        tick_s = float(stego.source.time_base)
        notes.append(f"times are rounded to {tick_s:.6f} s, as {stego.format} stores them")
    start = int(ours[0]) * stego.source.time_base - int(theirs[0]) * cover.source.time_base
    if abs(start) >= max(cover.source.time_base, stego.source.time_base):
        notes.append(f"the video starts {float(start):+.6f} s later than it did")
    return notes


def _off(ours: NDArray[np.int64], theirs: NDArray[np.int64], ratio: Fraction) -> int:
    """By how much times differ at the most, exactly, in 1/denominator of one of our ticks."""
    up, down = ratio.numerator, ratio.denominator
    pairs = zip(ours - ours[0], theirs - theirs[0], strict=True)
    return max(abs(int(o) * down - int(t) * up) for o, t in pairs)


def compare_frames(cover: Scan, stego: Scan, promise: Promise, progress: Progress) -> None:
    """Decode both from the start and compare every frame, as far as the promise goes.

    Raises
    ------
    VerificationError
        Naming the first frame that differs.
    """
    pairs = zip_longest(_all_frames(cover, promise), _all_frames(stego, promise))
    may_differ = set(cover.pts[promise.frames].tolist())
    for index, (theirs, ours) in enumerate(progress.over(pairs, "compare", len(promise.frames))):
        if theirs is None or ours is None:
            raise VerificationError(f"frame {index} decodes in one of the two videos only")
        carries = theirs.pts in may_differ if promise.packets is not None else promise.frames[index]
        first = 0 if not carries else 1 if promise.luma_only else len(theirs.planes)
        same = map(np.array_equal, planes(theirs)[first:], planes(ours)[first:])
        if not all(same):
            raise VerificationError(f"frame {index} decodes to other samples than the cover's")


def _all_frames(scan: Scan, promise: Promise) -> Iterator[VideoFrame]:
    """All frames; where packets were copied, those that do not decode are missing in both videos alike."""
    if promise.packets is None:
        return decode_span(scan.source, 0, scan.packets, scan.pts, 1 if scan.source.as_decoded else 2)
    return decode_all(scan.source, scan.packets)
