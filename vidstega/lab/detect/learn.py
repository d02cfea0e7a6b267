"""A linear detector on features, and its errors on groups that it was not trained on.

Ridge regression in its dual form, by NumPy alone: some hundred lines, where scikit-learn would bring SciPy
and 100 MB for the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTER, INNER = 7, 4
_STRENGTHS = 10.0 ** np.arange(-2, 5)
_CLIP = 8.0
_RESAMPLED = 2000
_POINTS = np.linspace(0, 1, 33)

Vector = NDArray[np.float64]
Labels = NDArray[np.int64]


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
    root, say = np.sqrt(x), np.repeat(np.sqrt(1 / np.array(families)), families)
    for train, test in folds(groups, OUTER, seed):
        strength = _strength(root[train], stego[train], groups[train], say, seed)
        (out[test],) = _ridge(root[train], stego[train], root[test], say, np.array([strength]))
    return out


def errors(found: Vector, stego: NDArray[np.bool_], groups: Labels, seed: int = 0) -> Errors:
    """What scores are worth."""
    wrong = (found > 0) != stego
    known, place = np.unique(groups, return_inverse=True)
    counts = np.zeros((2, 2, len(known)))  # of covers and of stegos: wrong ones, all
    for side in (0, 1):
        of = stego == bool(side)
        counts[side, 0] = np.bincount(place[of], wrong[of], len(known))
        counts[side, 1] = np.bincount(place[of], minlength=len(known))
    random = np.random.default_rng([seed, len(known)])
    times = random.multinomial(len(known), np.full(len(known), 1 / len(known)), _RESAMPLED)
    drawn = counts @ times.T
    spread = np.quantile((drawn[:, 0] / np.maximum(drawn[:, 1], 1)).mean(axis=0), (0.025, 0.975))
    total = counts.sum(axis=2)
    hits, alarms = _curve(found, stego)
    return Errors(
        p_e=float((total[:, 0] / total[:, 1]).mean()),
        low=float(spread[0]),
        high=float(spread[1]),
        best=float(((alarms + 1 - hits) / 2).min()),
        auc=float(np.trapezoid(hits, alarms)),
        roc=tuple(np.interp(_POINTS, alarms, hits).round(4).tolist()),
    )


def tried(
    covers: Vector, stegos: Vector, groups: Labels, families: Sequence[int], seed: int
) -> dict[str, Any]:
    """What a detector of covers and as many stegos of the same groups is worth, by the names of `Errors`."""
    both, twice = np.concatenate([covers, stegos]), np.concatenate([groups, groups])
    stego = np.arange(len(both)) >= len(covers)
    return vars(errors(scores(both, stego, twice, families, seed), stego, twice, seed))


def folds(groups: Labels, count: int, seed: int) -> Iterator[tuple[Labels, Labels]]:
    """Indices to train on and to try, so many times; whole groups, as equal in number as they come."""
    known = np.random.default_rng(seed).permutation(np.unique(groups))
    for part in np.array_split(known, min(count, len(known))):
        tried = np.isin(groups, part)
        yield np.flatnonzero(~tried), np.flatnonzero(tried)


def _strength(x: Vector, stego: NDArray[np.bool_], groups: Labels, say: Any, seed: int) -> float:
    """The strength of the ridge with the fewest errors on groups that are left out in turn."""
    wrong = np.zeros(len(_STRENGTHS))
    for train, test in folds(groups, INNER, seed + 1):
        for number, found in enumerate(_ridge(x[train], stego[train], x[test], say, _STRENGTHS)):
            wrong[number] += ((found > 0) != stego[test]).sum()
    return float(_STRENGTHS[len(wrong) - 1 - wrong[::-1].argmin()])  # of equals the strongest


def _ridge(x: Vector, stego: NDArray[np.bool_], tried: Vector, say: Any, strengths: Any) -> list[Vector]:
    """Scores of `tried` at each strength, trained on `x`; -1 for covers, 1 for stegos."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread < 1e-9] = np.inf
    x, tried = (np.clip((one - mean) / spread, -_CLIP, _CLIP) * say for one in (x, tried))
    values, vectors = np.linalg.eigh(x @ x.T)
    target = vectors.T @ np.where(stego, 1.0, -1.0)
    across = (tried @ x.T) @ vectors
    return [across @ (target / (np.maximum(values, 0) + strength)) for strength in strengths]


def _curve(found: Vector, stego: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Rates of hits and of false alarms at every threshold, equal scores together."""
    order = np.argsort(-found, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(found[order]) != 0, True])
    hits, alarms = (np.r_[0, np.cumsum(one[order])[ends]] / max(int(one.sum()), 1) for one in (stego, ~stego))
    return hits, alarms
