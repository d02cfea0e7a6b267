"""A linear detector on features, and its errors on groups that it was not trained on.

Ridge regression by NumPy alone: some hundred lines, where scikit-learn would bring SciPy and 100 MB for the
same figures.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

OUTER = 7
_STRENGTHS = 10.0 ** np.arange(-2, 5)
_CLIP = 8.0
_RESAMPLED = 2000
_POINTS = np.linspace(0, 1, 33)

Vector = NDArray[np.float64]
Labels = NDArray[np.int64]
Split = tuple[Labels, Labels]
"""Indices to train on, and to try."""
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Errors:
    """How well a detector tells.

    Parameters
    ----------
    p_e : mean of false alarms and misses at the trained threshold
    low, high : of it, 95 % by resampling groups
    best : the same error at the threshold that is best afterwards
    auc : area under the receiver operating characteristic
    roc : hits at 33 rates of false alarms, from 0 to 1
    """

    p_e: float
    low: float
    high: float
    best: float
    auc: float
    roc: tuple[float, ...]


def one_thread() -> AbstractContextManager[Any]:
    """Context in which linear algebra takes one thread: on busy cores NumPy's wait for each other."""
    return threadpool_limits(limits=1, user_api="blas")  # type: ignore[no-any-return]


def scores(
    x: Vector, stego: NDArray[np.bool_], groups: Labels, families: Sequence[int], seed: int = 0
) -> Vector:
    """Scores above 0 for what is taken for a stego, each by a detector that saw nothing of its group.

    Parameters
    ----------
    x : features, 0 and more, of shape (samples, features)
    stego : of each sample, whether it is one
    groups : of each sample; a group is never on both sides
    families : how many features each family has, in order; all families have the same say
    """
    out = np.zeros(len(x))
    for train, test in folds(groups, OUTER, seed):
        out[test] = Ridge.trained(x[train], stego[train], groups[train], families).scores(x[test])
    return out


def scores_at(
    covers: Vector,
    stegos: Mapping[Key, Vector],
    groups: Labels,
    families: Sequence[int],
    splits: Iterable[Split],
) -> dict[tuple[Key, Key], Vector]:
    """Scores of covers and then of stegos, by what was trained on and what is tried.

    Covers and stegos are of the same places in the same order; `splits` are of these places.
    """
    found = {(one, other): np.zeros(2 * len(covers)) for one in stegos for other in stegos}
    for train, test in splits:
        labels = np.arange(2 * len(train)) >= len(train)
        for one, some in stegos.items():
            both = np.concatenate([covers[train], some[train]])
            ridge = Ridge.trained(both, labels, np.tile(groups[train], 2), families)
            of_covers = ridge.scores(covers[test])
            for other, tried in stegos.items():
                found[one, other][test] = of_covers
                found[one, other][len(covers) + test] = ridge.scores(tried[test])
    return found


def counted(found: Vector, stego: NDArray[np.bool_], groups: Labels) -> Vector:
    """Of covers and of stegos, by group: how many are taken wrongly, and all; of shape (2, 2, groups)."""
    wrong = (found > 0) != stego
    known, place = np.unique(groups, return_inverse=True)
    counts = np.zeros((2, 2, len(known)))
    for side in (0, 1):
        of = stego == bool(side)
        counts[side, 0] = np.bincount(place[of], wrong[of], len(known))
        counts[side, 1] = np.bincount(place[of], minlength=len(known))
    return counts


def errors(found: Vector, stego: NDArray[np.bool_], groups: Labels, seed: int = 0) -> Errors:
    """What scores are worth."""
    counts = counted(found, stego, groups)
    low, high = _interval(_resampled(counts, seed))
    hits, alarms = _curve(found, stego)
    return Errors(
        p_e=float(_error(counts.sum(axis=2))),
        low=low,
        high=high,
        best=float(((alarms + 1 - hits) / 2).min()),
        auc=float(np.trapezoid(hits, alarms)),
        roc=tuple(np.interp(_POINTS, alarms, hits).round(4).tolist()),
    )


def difference(one: Vector, other: Vector, seed: int = 0) -> tuple[float, float, float]:
    """How much larger the error of one detector's `counted` is than another's, and its 95 % interval.

    Paired: both are resampled by the same groups, so that what all detectors find hard cancels out.
    """
    low, high = _interval(_resampled(one, seed) - _resampled(other, seed))
    return float(_error(one.sum(axis=2)) - _error(other.sum(axis=2))), low, high


def _error(counts: Vector) -> Any:
    """The mean of false alarms and misses, of counts (2, 2, ...)."""
    return (counts[:, 0] / np.maximum(counts[:, 1], 1)).mean(axis=0)


def _resampled(counts: Vector, seed: int) -> Vector:
    """Errors where as many groups are drawn anew, with replacement; by the same draws for as many groups."""
    size = counts.shape[2]
    times = np.random.default_rng([seed, size]).multinomial(size, np.full(size, 1 / size), _RESAMPLED)
    return np.asarray(_error(counts @ times.T))


def _interval(drawn: Vector) -> tuple[float, float]:
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return low, high


def tried(
    covers: Vector, stegos: Vector, groups: Labels, families: Sequence[int], seed: int
) -> dict[str, Any]:
    """What a detector of covers and as many stegos of the same groups is worth, by the names of `Errors`."""
    both, twice = np.concatenate([covers, stegos]), np.concatenate([groups, groups])
    stego = np.arange(len(both)) >= len(covers)
    return vars(errors(scores(both, stego, twice, families, seed), stego, twice, seed))


def folds(groups: Labels, count: int, seed: int) -> Iterator[Split]:
    """Indices to train on and to try, so many times; whole groups, as equal in number as they come."""
    known = np.random.default_rng(seed).permutation(np.unique(groups))
    for part in np.array_split(known, min(count, len(known))):
        tried = np.isin(groups, part)
        yield np.flatnonzero(~tried), np.flatnonzero(tried)


@dataclass(frozen=True, eq=False)
class Ridge:
    """A trained detector: how features are brought to one scale, and their weights."""

    mean: Vector
    spread: Vector
    weights: Vector

    @classmethod
    def trained(cls, x: Vector, stego: NDArray[np.bool_], groups: Labels, families: Sequence[int]) -> Ridge:
        """Trained to -1 for covers and 1 for stegos.

        The strength of the ridge is the one with the fewest errors on groups that are left out in turn. That
        takes no training of its own: what a group would be scored without itself follows from the errors on
        it and its part of the hat matrix (as for single samples in D. Allen, "The relationship between
        variable selection and data augmentation", Technometrics 16(1), 1974). Scales are those of all groups.
        """
        root, say = np.sqrt(x), np.repeat(np.sqrt(1 / np.array(families)), families)
        mean, spread = root.mean(axis=0), root.std(axis=0)
        spread[spread < 1e-9] = np.inf
        scaled = np.clip((root - mean) / spread, -_CLIP, _CLIP) * say
        values, basis = _principal(scaled)
        target = np.where(stego, 1.0, -1.0)
        strength = _strength(values, basis, target, groups)
        weights = scaled.T @ (basis @ (basis.T @ target / (values + strength)))
        return cls(mean, spread, weights * say)

    def scores(self, x: Vector) -> Vector:
        """Above 0 for what is taken for a stego."""
        return np.asarray(np.clip((np.sqrt(x) - self.mean) / self.spread, -_CLIP, _CLIP) @ self.weights)


def _principal(x: Vector) -> tuple[Vector, Vector]:
    """The eigenvalues of x @ x.T that are not zero, and their vectors as columns; by its smaller side."""
    wide = x.shape[1] >= x.shape[0]
    values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    some = values > 1e-10 * values[-1]
    values, vectors = values[some], vectors[:, some]
    return values, vectors if wide else x @ vectors / np.sqrt(values)


def _strength(values: Vector, basis: Vector, target: Vector, groups: Labels) -> float:
    kept = values / (values + _STRENGTHS[:, None])
    off = target - (kept * (basis.T @ target)) @ basis.T
    wrong = np.zeros(len(_STRENGTHS))
    for group in np.unique(groups):
        part = np.flatnonzero(groups == group)
        hats = (basis[part] * kept[:, None]) @ basis[part].T
        without = target[part] - np.linalg.solve(np.eye(len(part)) - hats, off[:, part, None])[..., 0]
        wrong += ((without > 0) != (target[part] > 0)).sum(axis=1)
    return float(_STRENGTHS[len(wrong) - 1 - wrong[::-1].argmin()])  # of equals the strongest


def _curve(found: Vector, stego: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Rates of hits and of false alarms at every threshold, equal scores together."""
    order = np.argsort(-found, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(found[order]) != 0, True])
    hits, alarms = (np.r_[0, np.cumsum(one[order])[ends]] / max(int(one.sum()), 1) for one in (stego, ~stego))
    return hits, alarms
