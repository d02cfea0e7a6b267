"""Detectors trained and tried on features: of other scenes, at other rates, later in the same scenes.

All rates of a way are tried at once: a detector is trained at each of them, and tried at each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.lab.detect import learn
from vidstega.lab.detect.pixels import COPY, FLAT, SPAM, STEP
from vidstega.lab.detect.rows import ALL, LEAST_GROUPS, Apart, Detected, Difference
from vidstega.lab.detect.ways import IDEAL, NULL, ways
from vidstega.pool import Pool
from vidstega.progress import Progress

DETECTORS: dict[str, tuple[slice, tuple[int, ...]]] = {
    "spam": (slice(0, SPAM), (SPAM,)),
    "copies": (slice(SPAM, SPAM + COPY + FLAT), (COPY, FLAT)),
    ALL: (slice(None), (SPAM, COPY, FLAT, STEP)),
}
"""Which of the features each looks at, and how many of which family those are."""
_COPIED = slice(SPAM + 37, SPAM + 41)
"""What adds up to the share of samples that are copies of a neighbouring frame."""
_PARTS = 3
_LABELLINGS = 8
_COMPARED = (
    ("hill", ALL, "lsb", ALL),
    (IDEAL, ALL, "lsb", ALL),
    ("hill", ALL, IDEAL, ALL),
    *((way, detector, way, ALL) for way in ("lsb", "hill") for detector in ("spam", "copies")),
)
"""Way and detector, and the way and detector that its error is set against."""

Vectors = NDArray[np.float64]
Kind = tuple[str, str, float | None]
"""Where, way and rate; the way is "" for covers."""
Task = tuple[str, str, str]
"""Where, way and detector."""


@dataclass(frozen=True, eq=False)
class Features:
    """A scene: its thumbnail, features of tiles and frames by kind, and which tiles are of its later half."""

    thumb: Vectors
    vectors: dict[Kind, Vectors]
    late: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Told:
    """Of one task: rows, and what errors are made of by rate (see `learn.counted`)."""

    rows: list[Detected]
    apart: list[Apart]
    counts: Mapping[float | None, Vectors]


@dataclass(frozen=True, eq=False)
class _Places:
    """Covers, by their groups, and as many stegos of the same places."""

    groups: NDArray[np.int64]
    seed: int

    def told(self, found: Vectors, some: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """What scores of covers and then of stegos are worth, of all places or some."""
        some = np.ones(len(self.groups), bool) if some is None else some
        groups, stego = np.tile(self.groups[some], 2), np.repeat([False, True], some.sum())
        errors = learn.errors(found[np.tile(some, 2)], stego, groups, self.seed)
        return vars(errors) | {"samples": int(some.sum()), "groups": len(np.unique(groups))}

    def counted(self, found: Vectors) -> Vectors:
        """See `learn.counted`."""
        return learn.counted(found, np.repeat([False, True], len(self.groups)), np.tile(self.groups, 2))


@dataclass(frozen=True, eq=False)
class Trials:
    """What detectors make of scenes; a scene is a group.

    Parameters
    ----------
    seed : of folds and of what is drawn
    """

    scenes: Sequence[Features]
    seed: int

    def run(self, pool: Pool, progress: Progress) -> dict[str, tuple[Any, ...]]:
        """`rows`, `apart` and `differences` of a `DetectionFile`."""
        kinds = dict.fromkeys(kind[:2] for one in self.scenes for kind in one.vectors)
        tasks = [(*kind, detector) for kind in kinds if kind != ("frame", "") for detector in DETECTORS]
        calls = [(self._way if task[1] else self._null, *task) for task in tasks]
        with learn.one_thread():
            told = dict(zip(tasks, pool.counted(calls, progress, "learn", "detector"), strict=True))
        return {
            "rows": tuple(row for one in told.values() for row in one.rows),
            "apart": tuple(row for one in told.values() for row in one.apart),
            "differences": tuple(self._differences(told)),
        }

    def _null(self, where: str, _: str, detector: str) -> _Told:
        """Covers against covers: means over several ways to call half of each scene's tiles stegos."""
        columns, families = DETECTORS[detector]
        covers, groups = self._stacked((where, "", None))
        results = []
        for number in range(_LABELLINGS):
            random = np.random.default_rng([self.seed, number])
            order, turned = random.permutation(len(covers)), random.integers(0, 2, len(self.scenes))
            rank = np.empty(len(covers), np.int64)
            rank[order[np.argsort(groups[order], kind="stable")]] = np.arange(len(covers))
            stego = (rank + turned[groups]) % 2 == 0  # no scene is sure to have the odd one
            found = learn.scores(covers[:, columns], stego, groups, families, self.seed)
            results.append(vars(learn.errors(found, stego, groups, self.seed)))
        means: dict[str, Any] = {
            name: float(np.mean([one[name] for one in results])) for name in results[0] if name != "roc"
        }
        means |= {"roc": tuple(np.mean([one["roc"] for one in results], axis=0).round(4).tolist())}
        about: dict[str, Any] = {"where": where, "samples": len(covers), "groups": len(np.unique(groups))}
        return _Told([Detected(way=NULL, own=True, detector=detector, **about, **means)], [], {})

    def _way(self, where: str, way: str, detector: str) -> _Told:
        """A way on scenes that were not trained on, at every rate."""
        columns, families = DETECTORS[detector]
        covers, groups = self._stacked((where, "", None))
        kinds = dict.fromkeys(kind for one in self.scenes for kind in one.vectors if kind[:2] == (where, way))
        stegos = {kind[2]: self._stacked(kind)[0][:, columns] for kind in kinds}
        given = covers[:, columns], stegos, groups, families
        found = learn.scores_at(*given, learn.folds(groups, learn.OUTER, self.seed))
        places, own = _Places(groups, self.seed), ways()[way].own
        about: dict[str, Any] = {"way": way, "detector": detector}
        rows = [
            Detected(where=where, own=own, alpha=rate, **about, **places.told(found[rate, rate]))
            for rate in stegos
        ]
        told = _Told(rows, [], {rate: places.counted(found[rate, rate]) for rate in stegos})
        if where == "tile" and own and detector == ALL:
            late = np.concatenate([one.late for one in self.scenes])
            halves = np.flatnonzero(~late), np.flatnonzero(late)
            later = learn.scores_at(*given, (halves, halves[::-1]))
            copied = covers[:, _COPIED].sum(axis=1)
            told.apart.extend(_apart(places, found, later, copied, about))
        return told

    def _stacked(self, kind: Kind) -> tuple[Vectors, NDArray[np.int64]]:
        some = [(one.vectors[kind], number) for number, one in enumerate(self.scenes) if kind in one.vectors]
        groups = np.concatenate([np.full(len(vectors), number) for vectors, number in some])
        return np.concatenate([vectors for vectors, _ in some]), groups

    def _differences(self, told: Mapping[Task, _Told]) -> Iterator[Difference]:
        for way, detector, other, others in _COMPARED:
            one, against = told.get(("tile", way, detector)), told.get(("tile", other, others))
            if one is None or against is None:
                continue
            about: dict[str, Any] = {"way": way, "detector": detector}
            about |= {"against": other, "against_detector": others}
            for rate, counts in one.counts.items():
                more, low, high = learn.difference(counts, against.counts[rate], self.seed)
                about |= {"alpha": rate, "groups": counts.shape[2]}
                yield Difference(**about, difference=more, low=low, high=high)


def _apart(
    places: _Places, found: Mapping[Any, Vectors], later: Mapping[Any, Vectors], copied: Vectors, about: Any
) -> Iterator[Apart]:
    """The same tried otherwise: on the same scenes at another time, trained at another rate, by content."""

    def row(by: str, rate: float, told: dict[str, Any], **more: Any) -> Apart:
        figures = {name: told[name] for name in ("samples", "groups", "p_e", "low", "high")}
        return Apart(by=by, alpha=rate, **about, **figures, **more)

    for (trained, rate), scores in found.items():
        if trained == rate:
            yield row("same source", rate, places.told(later[rate, rate]))
        yield row("trained at", rate, places.told(scores), trained=trained)
    bounds = [0.0, *np.quantile(copied, np.arange(1, _PARTS) / _PARTS).tolist(), 1.0]
    part = np.searchsorted(bounds[1:-1], copied, side="left")
    for number in range(_PARTS):
        some, between = part == number, (bounds[number], bounds[number + 1])
        if len(np.unique(places.groups[some])) >= LEAST_GROUPS:
            for rate in dict.fromkeys(rate for _, rate in found):
                yield row("copied", rate, places.told(found[rate, rate], some), copied=between)
