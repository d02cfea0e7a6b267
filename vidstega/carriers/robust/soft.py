"""How much the mean of a cell tells about its bit, learned from the pilots.

Noise is a mixture of models: a Gaussian wrapped around the step, and with some probability anything. Each
group of cells (a slot, its calm or its busy half) weighs the models by its own pilots, starting from
what all groups before have shown, and its cells are judged by the mean of the models under these weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_BINS = 64
_SIGMAS = np.geomspace(0.025, 0.42, 16)
_OUTLIERS = (0.003, 0.02, 0.08, 0.25)
_START = 0.5  # groups that the first weights count for


def _densities() -> NDArray[np.float64]:
    """Shape (models, bins): density of the distance from what was sent, in steps from 0 to 1."""
    at = (np.arange(_BINS) / _BINS)[None, :, None] + np.arange(-3, 3)[None, None, :]
    wrapped = np.exp(-0.5 * (at / _SIGMAS[:, None, None]) ** 2).sum(axis=2)
    wrapped /= wrapped.mean(axis=1, keepdims=True)
    return np.concatenate([(1 - share) * wrapped + share for share in _OUTLIERS])


@dataclass
class Soft:
    """Learns from pilots as they come; `judge` gives log likelihood ratios and what they are worth."""

    _density: NDArray[np.float64] = field(default_factory=_densities)
    _seen: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = np.full(len(self._density), _START / len(self._density))

    def learn(self, pilots: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights of the models for a group with these pilots (distances in steps), kept for later groups."""
        weights = self._weights(pilots)
        self._seen += weights
        return weights

    def _weights(self, pilots: NDArray[np.float64]) -> NDArray[np.float64]:
        logs = np.log(self._density)[:, _bins(pilots)].sum(axis=1) + np.log(self._seen / self._seen.sum())
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())

    def judge(
        self, weights: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float]:
        """log(P(0) / P(1)) of cells (distances in steps from bit 0), and bits that one of them is worth."""
        density = weights @ self._density
        other = np.roll(density, _BINS // 2)
        ratio = np.log(density / other)
        worth = 1 - float((density * np.log2(1 + other / density)).mean())
        return ratio[_bins(cells)], worth


def _bins(distance: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.round((distance % 1.0) * _BINS).astype(np.int64) % _BINS
