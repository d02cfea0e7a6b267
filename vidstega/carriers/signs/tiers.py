"""Which pictures may carry, and in which order: by the packet table alone, so that any reader finds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidstega.media.source import IDR, NO_TIME, NONREF, Packets

DEEPEST = 8
MOST_PICTURES = (1 << 20) - 1

Ordinals = NDArray[np.int64]


@dataclass(frozen=True)
class Tiers:
    """The list of pictures, as runs of packets in the order of the file.

    Parameters
    ----------
    runs : packets of tier A, of B, then those that are the last but one of their group, and so on
    ends : of each run but the first, where the groups of its packets end
    """

    runs: tuple[Ordinals, ...]
    ends: tuple[Ordinals, ...]

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def letter(self, pictures: int) -> str:
        """The tier of the last of so many pictures: A, B, or C with how many of a tail carry."""
        run = int(np.searchsorted(np.cumsum([len(run) for run in self.runs]), pictures))
        return ("A", "B")[run] if run < 2 else f"C{run}"

    def touched(self, ordinals: Ordinals) -> Ordinals:
        """Packets whose pictures change if those of some packets do: these, and in a tail all after them."""
        changed = [ordinals]
        for run, ends in zip(self.runs[2:], self.ends[2:], strict=True):
            for at in np.flatnonzero(np.isin(run, ordinals)):
                changed.append(np.arange(run[at], ends[at]))
        return np.unique(np.concatenate(changed))


def tiers_of(packets: Packets, *, tells_all: bool = False) -> Tiers:
    """The list of pictures of a video.

    Parameters
    ----------
    tells_all : whether every picture that no other refers to is flagged. The last one before an IDR is
        then, so that tier B is empty, and a tail begins with the last but one
    """
    alone = packets["flags"] & NONREF != 0
    idr = packets["flags"] & IDR != 0
    starts = np.union1d([0], np.flatnonzero(idr))
    stops = np.append(starts[1:], len(packets))
    known = alone & (not tells_all)
    tails = np.array([_tail(packets, alone, known, idr, *group) for group in zip(starts, stops, strict=True)])
    runs, ends = [np.flatnonzero(alone)], [np.zeros(0, np.int64)]
    for depth in range(1, DEEPEST + 1):
        has = (tails >= depth) & ~alone[np.maximum(stops - depth, 0)]
        runs.append(stops[has] - depth)
        ends.append(stops[has])
    return Tiers(tuple(_cut(runs)), tuple(ends))


def _tail(
    packets: Packets,
    alone: NDArray[np.bool_],
    barred: NDArray[np.bool_],
    idr: NDArray[np.bool_],
    start: int,
    stop: int,
) -> int:
    """How many pictures at the end of a group [start, stop) may carry; none if the last is barred."""
    first = start + 1 if idr[start] else start
    times = packets["pts"][start:stop]
    if barred[stop - 1] or stop - 1 < first:
        return 0
    if (times == NO_TIME).any():
        return 1
    later = np.ones(stop - start, bool)
    later[1:] = times[1:] > np.maximum.accumulate(times)[:-1]
    depth = 1  # from the last one nothing is predicted, wherever it is shown
    while depth < DEEPEST and stop - depth - 1 >= first:
        at = stop - depth - 1
        if alone[at] or not later[at - start] or not later[at + 1 - start]:
            break
        depth += 1
    return depth


def _cut(runs: list[Ordinals]) -> list[Ordinals]:
    """No more pictures than a header can say."""
    cut, left = [], MOST_PICTURES
    for run in runs:
        cut.append(run[:left].astype(np.int64))
        left -= len(cut[-1])
    return cut
