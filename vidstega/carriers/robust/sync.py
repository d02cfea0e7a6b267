"""Where a message lies: grid, level, step, the time of its slots and which slot is the first.

The pilots of a slot, divided by the step and freed of their dither, all point the same way if everything is
assumed rightly, and any way if not. The score is the length of their sum over the root of their number:
without a message its square is an exponential variable of mean 1, so that chance is known whatever the
video shows. A change of brightness turns all of them together, which the length does not see; a change of
contrast scales the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.robust.grid import Cells, Grid
from vidstega.carriers.robust.keyed import places, slot_key
from vidstega.carriers.robust.levels import ASKED_DB, LEVELS, LOUD_DB, STRENGTHS_DB, Level, step_of
from vidstega.carriers.robust.slots import usual_s
from vidstega.jit import lazy

FALSE_ALARM = 1e-3
"""Probability that a video without this message is taken for one with it, until the seal says no."""
GAIN_STEP = 1.003
UNUSUAL = 14.0
"""Evidence that a change of contrast has to have ahead: some hundred are tried, and the best of them is
always better than the truth on the pilots, and worse on the data."""
_PHASES = 6
"""Steps in time for each frame."""
_MOST_PILOTS = 3_000
"""Pilots that are looked at for one hypothesis: more say nothing new."""
_FAR_PILOTS = 1_000
_FEW_PILOTS = 400
_FOLLOWED = 100
_MOST_FIRSTS = 12_000
_UNLIKELY_TRIM_S = 20.0
_MOVED = 4.0
"""Evidence that another time has to have ahead of the likely one: a scene that stands still tells none."""
_LAST_CHANCE = 0.05
_GAINS = tuple(
    base * GAIN_STEP**i
    for base, most in ((1.0, 15), (255 / 219, 2), (219 / 255, 2))
    for i in range(-most, most + 1)
)
"""Contrast within 4.5 %, and ranges taken for each other."""
_USUAL_DB = (*STRENGTHS_DB, LOUD_DB, 45.4)


_Turns = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Lock:
    """What a synchroniser has found. Slot `first` begins at `begin_s` in the reader's time."""

    grid: Grid
    level: Level
    step: float
    slot_s: float
    begin_s: float
    first: int
    score: float
    threshold: float

    def __str__(self) -> str:
        return (
            f"{self.level}, step {self.step:.3f}, slot {self.first} at {self.begin_s:.3f} s, "
            f"score {self.score:.1f} over {self.threshold:.1f}"
        )


@dataclass(frozen=True)
class Candidate:
    """A grid that a message may lie on, and its `Level.across`; those that are `likely` are tried harder.

    Where a grid is `rough`, a picture of a quarter of the width and height will do.
    """

    grid: Grid
    across: int
    likely: bool = True
    rough: bool = False


class Track:
    """Means of the cells of one grid, frame by frame: what has been seen of a video so far."""

    def __init__(self, candidate: Candidate, frame_s: float | None = None) -> None:
        self.grid, self.across, self.likely = candidate.grid, candidate.across, candidate.likely
        self.cells: list[Cells] = []
        self.times: list[tuple[float, float]] = []
        self._frame_s = frame_s
        self.small = candidate.grid.shrunk() if candidate.rough else None

    def fits(self, level: Level) -> bool:
        """Whether this grid is one of this level's."""
        return level.across == self.across and bool(self.times)

    def add(self, cells: Cells, start_s: float, end_s: float) -> None:
        """Count one frame, in the order they are shown."""
        self.cells.append(cells)
        self.times.append((start_s, end_s))

    @property
    def seen_s(self) -> float:
        """Seconds so far."""
        return self.times[-1][1] - self.times[0][0] if self.times else 0.0

    @property
    def frame_s(self) -> float:
        """How long a frame is shown, as a rule."""
        return self._frame_s or usual_s(np.array([end - start for start, end in self.times]))

    def integral(self, where: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times and, for each, the integral of these cells' means from the first time to it."""
        edges = np.array([start for start, _ in self.times] + [self.times[-1][1]])
        values = np.array([cells[where] for cells in self.cells], np.float64)
        sums = np.cumsum(values * np.diff(edges)[:, None], axis=0)
        return edges, np.concatenate([np.zeros((1, len(where))), sums])


def search(
    tracks: Sequence[Track],
    key: bytes,
    *,
    final: bool = True,
    ended: bool = True,
    trim_s: float = 20.0,
) -> Lock | None:
    """The best explanation of what has been seen, or None.

    Parameters
    ----------
    tracks : one for each grid that is assumed; each is tried with the levels it fits
    final : whether no more is going to be looked at, so that everything is tried
    ended : whether there is no more to be read either, so that it costs nothing to believe weak evidence
    trim_s : seconds that may have been cut off at the start

    Notes
    -----
    It starts with what is likely and stops when that is enough, so that an untouched video is found in
    a few milliseconds. A wrong key takes all of it: some seconds, whatever the length of the video.
    """
    best, most, tried = None, 0.0, 0
    for hypotheses in _stages(tracks, trim_s, final):
        for hypothesis in hypotheses:
            found, count = hypothesis.score(key)
            tried += count
            if found is not None and found.score**2 - hypothesis.handicap > most:
                best, most = found, found.score**2 - hypothesis.handicap
        if best is not None and most > math.log(tried / FALSE_ALARM):
            return _refined(best, tracks, key, tried)
    if ended and best is not None and most > math.log(tried / _LAST_CHANCE):
        return _refined(best, tracks, key, tried)
    return None


def _stages(tracks: Sequence[Track], trim_s: float, final: bool) -> Iterator[list[_Hypotheses]]:
    """Lists of hypotheses, the likely ones first.

    Steps are not stages: a wrong one sees a shadow of a strong mark, which the right one has to outdo.
    """
    fits = [(track, level) for track in tracks for level in LEVELS if track.fits(level)]
    usual = tuple(step_of(db) for db in _USUAL_DB)
    asked = tuple(step_of(db) for db in ASKED_DB)
    gains = tuple(step * gain for step in usual for gain in _GAINS)
    least_s = min(trim_s, _UNLIKELY_TRIM_S)
    for anywhere in (False, True) if final else (False,):
        yield [
            _Hypotheses(track, level, steps, anywhere, least_s, most, handicap)
            for steps, most, handicap in (
                (usual, _MOST_PILOTS, 0.0),
                (asked, _FEW_PILOTS, UNUSUAL / 2),
                (gains, _FEW_PILOTS, UNUSUAL),
            )
            for track, level in fits
            if track.likely or steps is usual
        ]
    if final and trim_s > least_s:
        yield [
            _Hypotheses(track, level, usual, True, trim_s, _FAR_PILOTS)
            for track, level in fits
            if track.likely
        ]


@dataclass(frozen=True, eq=False)
class _Hypotheses:
    """A grid and a level at several steps; slots begin at the first frame, or anywhere."""

    track: Track
    level: Level
    steps: tuple[float, ...]
    anywhere: bool
    trim_s: float
    most: int
    handicap: float = 0.0

    def score(self, key: bytes) -> tuple[Lock | None, int]:
        """The best of them and how many there were."""
        track, slot_s = self.track, self.level.slot_s(self.track.frame_s)
        fine = track.frame_s / (_PHASES if self.most == _MOST_PILOTS else _PHASES // 2)
        phases = np.arange(0, slot_s - fine / 2 if self.anywhere else 1.01 * track.frame_s, fine)
        pilots = _Pilots.of(track, key, self.level, phases, self.most)
        if not pilots.means.shape[1]:
            return None, 0
        slots = pilots.means.shape[1]
        lowest, firsts = 0, 2
        if self.anywhere:  # cut off at the start, or something else put before
            lowest, firsts = 1 - slots, slots + 1 + min(_MOST_FIRSTS, int(self.trim_s / slot_s))
        against = pilots.expected(key, lowest, slots + firsts - 1)
        later = np.full((len(phases), firsts), _MOVED)
        later[0, 0] = 0.0
        best = None
        for step in self.steps:
            scores = pilots.correlate(step, against, lowest, firsts)
            if not self.anywhere:
                scores = np.sqrt(np.maximum(0, scores**2 - later))
            phase, first = divmod(int(scores.argmax()), firsts)
            if best is None or scores[phase, first] > best.score:
                score = float(scores[phase, first])
                begin_s = track.times[0][0] + float(phases[phase])
                best = Lock(track.grid, self.level, step, slot_s, begin_s, lowest + first, score, 0.0)
        return best, len(self.steps) * len(phases) * firsts


@dataclass(frozen=True, eq=False)
class _Pilots:
    """A level's pilots in slots: `means` of shape (phases, slots, pilots), `whole` slots at each phase."""

    track: Track
    level: Level
    phases: NDArray[np.float64]
    whole: NDArray[np.int64]
    means: NDArray[np.float64]

    @classmethod
    def of(cls, track: Track, key: bytes, level: Level, phases: NDArray[np.float64], most: int) -> _Pilots:
        slot_s = level.slot_s(track.frame_s)
        where = places(key, level, track.grid.shape).pilots
        edges, sums = track.integral(where)
        whole = ((edges[-1] - edges[0] - phases) / slot_s + 0.02).astype(int)
        whole = np.clip(whole, 0, max(1, most // len(where)))
        slots = int(whole.max(initial=0))
        at = edges[0] + phases[:, None] + slot_s * np.arange(slots + 1)
        means = np.diff(_interpolate(at.ravel(), edges, sums).reshape(len(phases), slots + 1, -1), axis=1)
        return cls(track, level, phases, whole, means / slot_s)

    def correlate(self, step: float, against: _Turns, lowest: int, firsts: int) -> NDArray[np.float64]:
        """Scores, shape (phases, firsts): the first slot seen is taken for slot `lowest` and up."""
        steps = self.means / step
        turns = 2 * math.pi * (steps - np.floor(steps))  # reduced while it is exact
        real, imaginary = np.cos(turns, dtype=np.float32), np.sin(turns, dtype=np.float32)
        sums = np.zeros((len(self.phases), firsts, 2))
        _correlate(real, imaginary, against[0], against[1], self.whole, sums)
        before = np.maximum(0, -(lowest + np.arange(firsts)))
        count = np.maximum(1, self.whole[:, None] - before) * self.means.shape[2]
        return np.asarray(np.hypot(sums[..., 0], sums[..., 1]) / np.sqrt(count))

    def expected(self, key: bytes, first: int, count: int) -> _Turns:
        """Cosines and sines of the dither of slots from `first` on, (count, pilots); 0 before slot 0."""
        return _expected(key, self.level, self.track.grid.shape, first, count)


@lru_cache(maxsize=16)
def _expected(key: bytes, level: Level, shape: tuple[int, int], first: int, count: int) -> _Turns:
    where = places(key, level, shape).pilots
    turns = np.zeros((count, len(where)), np.float32)
    for slot in range(max(0, first), first + count):
        drawn = slot_key(key, level, slot, shape[0] * shape[1])
        turns[slot - first] = np.float32(2 * math.pi) * drawn.dither[where]
    there = (np.arange(first, first + count) >= 0).astype(np.float32)[:, None]
    return np.cos(turns) * there, np.sin(turns) * there


def _interpolate(
    at: NDArray[np.float64], edges: NDArray[np.float64], sums: NDArray[np.float64]
) -> NDArray[np.float64]:
    right = np.clip(np.searchsorted(edges, at, side="right"), 1, len(edges) - 1)
    part = ((at - edges[right - 1]) / (edges[right] - edges[right - 1]))[:, None]
    return np.asarray(sums[right - 1] * (1 - part) + sums[right] * part)


@lazy
def _correlate(
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    cosine: NDArray[np.float32],
    sine: NDArray[np.float32],
    whole: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    phases, firsts, _ = sums.shape
    pilots = real.shape[2]
    for phase in range(phases):
        for slot in range(whole[phase]):
            for first in range(firsts):
                along, across = np.float32(0), np.float32(0)
                for i in range(pilots):
                    x, y = real[phase, slot, i], imaginary[phase, slot, i]
                    c, s = cosine[slot + first, i], sine[slot + first, i]
                    along += x * c + y * s
                    across += y * c - x * s
                sums[phase, first, 0] += along
                sums[phase, first, 1] += across


def _refined(lock: Lock, tracks: Sequence[Track], key: bytes, tried: int) -> Lock:
    """The same with finer steps in time, and in contrast if there is reason to."""
    track = next(t for t in tracks if t.grid is lock.grid)
    fine = track.frame_s / _PHASES
    start_s = track.times[0][0]
    phases = np.unique(np.clip(lock.begin_s - start_s + fine * np.linspace(-1, 1, 9), 0, None))
    pilots = _Pilots.of(track, key, lock.level, phases, _MOST_PILOTS)
    against = pilots.expected(key, lock.first, pilots.means.shape[1])
    best, most = replace(lock, score=0.0), 0.0
    for gain in np.linspace(1 / GAIN_STEP, GAIN_STEP, 13):
        scores = pilots.correlate(lock.step * gain, against, lock.first, 1)[:, 0]
        moved = np.where(np.abs(start_s + phases - lock.begin_s) > 1e-9, _MOVED, 0.0)
        at = int((scores**2 - moved).argmax())
        evidence = float(scores[at]) ** 2 - float(moved[at]) - (UNUSUAL if abs(gain - 1) > 1e-9 else 0.0)
        if evidence > most:
            most = evidence
            begin_s, score = start_s + float(phases[at]), float(scores[at])
            best = replace(best, step=lock.step * gain, begin_s=begin_s, score=score)
    return replace(best, threshold=math.sqrt(math.log(tried / FALSE_ALARM)))


class Follower:
    """Follows brightness and contrast slot by slot.

    Contrast is one for the whole video: what a dark scene leaves open, a bright one tells. Brightness is
    not, as lossy coders shift each scene a little their own way: a slot's own pilots count twice as much as
    all before.
    """

    def __init__(self, step: float) -> None:
        fine = 1.001 ** np.arange(-45, 46)
        plain = [step_of(db) for db in _USUAL_DB]
        asked = [step, *(step_of(db) for db in ASKED_DB)]
        scaled = np.outer([step, *plain], fine).ravel()
        self._steps = np.array([*plain, *asked, *scaled])
        handicaps = (0.0, len(plain)), (UNUSUAL / 2, len(asked)), (UNUSUAL, len(scaled))
        self._evidence = -np.concatenate([np.full(count, handicap) for handicap, count in handicaps])
        self._recent = 0j
        self.step, self.offset = step, 0.0
        """In grey levels; and by how much the video has become brighter, in steps."""

    def learn(self, means: NDArray[np.float64], dither: NDArray[np.float32]) -> None:
        """Take in a slot's pilots."""
        few, drawn = means[:_FOLLOWED], dither[:_FOLLOWED]
        turns = few / self._steps[:, None] - drawn
        phasors = np.exp(np.complex64(2j * math.pi) * (turns - np.floor(turns)).astype(np.float32))
        self._evidence += np.abs(phasors.sum(axis=1)) ** 2 / len(few)
        self.step = float(self._steps[int(self._evidence.argmax())])
        now = complex(np.exp(2j * math.pi * (means / self.step - dither)).sum())
        self._recent = now + 0.5 * self._recent
        self.offset = float(np.angle(self._recent)) / (2 * math.pi)
