"""Comparing what was written with what it came from, as a stranger would: from the files alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega.errors import VerificationError
from vidstega.media.decode import DecodeError, decode_all, decode_span, planes, side_data
from vidstega.media.open import reading
from vidstega.media.source import Scan
from vidstega.media.times import told_apart
from vidstega.progress import Progress

_NOT_CARRIED = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "handler_name",
    "vendor_id",
    "duration",
    "creation_time",
    "metadatacreator",
    "hasmetadata",
    "hasvideo",
    "hasaudio",
    "cuepoints",
    "canseektoend",
    "bps",
    "number_of_frames",
    "number_of_bytes",
}
"""Tags that describe a file rather than its content; containers write their own."""


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


def compare_streams(cover: Scan, stego: Scan, promise: Promise, left_out: Iterable[int] = ()) -> list[str]:
    """Compare times, copied packets and other streams of two scans with digests; notes on what had to give.

    Parameters
    ----------
    left_out : streams of the cover that are known not to be there, and are named elsewhere

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
    there = Counter(stego.digests.values())
    for info in cover.streams:
        if info.index in left_out or info.index not in cover.digests:
            continue
        if there[cover.digests[info.index]]:
            there[cover.digests[info.index]] -= 1
        else:
            notes.append(f"stream {info}: not carried over as it was")
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


def lost_tags(cover: Scan, stego: Scan, *, spliced: bool) -> list[str]:
    """Metadata, chapters and frame properties of the cover that the stego file does not show."""
    notes = []
    with reading(cover.path, known=True) as before, reading(stego.path, known=True) as after:
        notes += _lost("tag", before.metadata, after.metadata)
        ours: Any = after.streams[stego.index]
        theirs: Any = before.streams[cover.index]
        notes += _lost("tag of the video stream", theirs.metadata, ours.metadata)
        if len(before.chapters()) != len(after.chapters()):
            notes.append(f"{len(after.chapters())} of {len(before.chapters())} chapters are carried")
    if spliced and stego.format == cover.format:
        return notes  # what frames bring along is in their packets, or where this container keeps it
    properties = _properties(cover) - _properties(stego)
    return notes + [f"{name} of the frames is not carried" for name in sorted(properties)]


def _lost(what: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    kept = {key.lower() for key in after}
    said = {key for key, value in before.items() if not key.startswith("_") and value != "und"}
    names = {key for key in said if key.lower() not in _NOT_CARRIED | kept}
    return [f"{what} {', '.join(sorted(names))} cannot be carried"] if names else []


def _properties(scan: Scan) -> set[str]:
    try:
        frame = next(decode_span(scan.source, 0, scan.packets, scan.pts[:1]))
    except (DecodeError, StopIteration):
        return set()
    described = {data.type.name.replace("_", " ").lower() for data in side_data(frame)}
    if frame.interlaced_frame:
        described.add("the interlaced mark")
    return described - {"sei unregistered", "regions of interest", "video enc params", "motion vectors"}
