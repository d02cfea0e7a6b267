"""Frames to slots by the time they are shown.

A frame counts for a slot by how long it is shown within it, for writer and reader alike: after a change of
frame rate the same moments are averaged, and a variable frame rate is nothing special.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.robust.grid import Cells

_LEAST = 1e-4  # of a slot: less is rounding of times
_USUAL = 0.25


@dataclass(frozen=True)
class Share:
    """Seconds that a frame is shown within one slot."""

    slot: int
    seconds: float


def shares(start_s: float, end_s: float, slot_s: float) -> list[Share]:
    """How the time from `start_s` to `end_s` falls into slots of `slot_s` seconds, the first at 0.

    >>> shares(0.9, 1.2, 1.0)
    [Share(slot=0, seconds=0.1), Share(slot=1, seconds=0.2)]
    """
    found = []
    slot = max(0, int(np.floor(start_s / slot_s)))
    while slot * slot_s < end_s:
        seconds = min(end_s, (slot + 1) * slot_s) - max(start_s, slot * slot_s)
        if seconds > _LEAST * slot_s:
            found.append(Share(slot, round(seconds, 9)))
        slot += 1
    return found


def owner(start_s: float, end_s: float, slot_s: float) -> int:
    """The slot that a frame is shown longest in, and whose change it gets."""
    all_shares = shares(start_s, end_s, slot_s)
    return max(all_shares, key=lambda share: share.seconds).slot if all_shares else 0


def usual_s(lengths_s: NDArray[np.float64]) -> float:
    """How long a frame is shown, as a rule: the mean of what is near the median.

    The median alone is wrong by up to a hundredth where a container rounds times, Matroska to milliseconds:
    slots of frames would be off by a whole one after a hundred.
    """
    middle = np.median(lengths_s)
    return float(lengths_s[np.abs(lengths_s - middle) <= _USUAL * middle].mean())


@dataclass(frozen=True, eq=False)
class SlotMean:
    """Means of one slot's cells over time, their spread in time, and the part of the slot that was seen."""

    slot: int
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    seen: float


class SlotMeans:
    """Adds up frames in the order they are shown and gives slots as they are complete; holds two at most."""

    def __init__(self, slot_s: float) -> None:
        self.slot_s = slot_s
        self._open: dict[int, list[NDArray[np.float64] | float]] = {}

    def add(self, cells: Cells, start_s: float, end_s: float) -> Iterator[SlotMean]:
        """Count a frame that is shown from `start_s` to `end_s`; what it completes comes back."""
        now = shares(start_s, end_s, self.slot_s)
        wide = cells.astype(np.float64)
        for share in now:
            seconds, first, second = self._open.setdefault(share.slot, [0.0, 0.0, 0.0])
            self._open[share.slot] = [
                seconds + share.seconds,
                first + share.seconds * wide,
                second + share.seconds * wide * wide,
            ]
        yield from self._close(int(np.floor(end_s / self.slot_s + _LEAST)))

    def finish(self) -> Iterator[SlotMean]:
        """What is left at the end, seen in part."""
        yield from self._close(1 << 62)

    def _close(self, before: int) -> Iterator[SlotMean]:
        for slot in sorted(s for s in self._open if s < before):
            seconds, first, second = self._open.pop(slot)
            mean = np.asarray(first) / seconds
            spread = np.sqrt(np.maximum(np.asarray(second) / seconds - mean * mean, 0))
            yield SlotMean(slot, mean, spread, float(seconds) / self.slot_s)
