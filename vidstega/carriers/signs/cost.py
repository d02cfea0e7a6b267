"""What turning each sign costs: its energy, and where the picture is decoded, what block edges show of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEEPEST = 8.0
_LOOKED_AT = 4096
_HALVINGS = 14
MAY_ROUGHEN = 0.8
"""Of signs turned, those that roughen less those that smooth, where the share stays in H.264."""

Floats = NDArray[np.float32]


def energies(amplitude: Floats) -> Floats:
    """Energy of a turn, summed over samples, of coefficients whose level times quantum is `amplitude`."""
    return np.asarray((2 * amplitude) ** 2, np.float32)


def weighed(energy: Floats, margin: Floats, steepness: float) -> Floats:
    """The cost that keeps away from signs which would roughen the edges of blocks."""
    return np.asarray(energy * np.exp(np.float32(steepness) * margin), np.float32)


def steepness_for(energy: Floats, margin: Floats, rate: float, may_roughen: float = MAY_ROUGHEN) -> float:
    """The steepness, 0 to 8, at which the share of signs that are the smoother ones stays where it is.

    Signs are expected to be turned with the probability exp(-mu cost) / (1 + exp(-mu cost)) that carries
    `rate` bits a sign at the least cost. After the loop filter of H.264 most of them are the smoother ones
    again, so that nine of ten may be ones that roughen; real clips move by 0 to -0.2 points then, and by
    more than that the other way, at several decibels, if no more than half may be. In HEVC, whose filter
    leaves edges of 4x4 blocks and of inter chroma as they are, it has to be little more than half.
    """
    if not len(energy) or not margin.any():
        return 0.0
    every = slice(None, None, -(-len(energy) // _LOOKED_AT))
    few = energy[every].astype(np.float64), margin[every].astype(np.float64)
    low, high = 0.0, STEEPEST
    if _drift(*few, low, rate, may_roughen) <= 0:
        return low
    if _drift(*few, high, rate, may_roughen) >= 0:
        return high
    for _ in range(6):
        middle = (low + high) / 2
        low, high = (middle, high) if _drift(*few, middle, rate, may_roughen) > 0 else (low, middle)
    return (low + high) / 2


def _drift(
    energy: NDArray[np.float64],
    margin: NDArray[np.float64],
    steepness: float,
    rate: float,
    may_roughen: float,
) -> float:
    """Of the signs turned, how many more roughen than may."""
    cost = energy * np.exp(steepness * margin)
    return float((_turned(cost / cost.mean(), rate) * (np.sign(margin) - may_roughen)).sum())


def _turned(cost: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """With which probability each is turned."""
    low, high = -12.0, 12.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        odds = np.exp(-np.minimum(np.exp(middle) * cost, 500))
        chance = odds / (1 + odds)
        bits = -(chance * np.log2(chance + 1e-300) + (1 - chance) * np.log2(1 - chance + 1e-300)).mean()
        low, high = (middle, high) if bits > rate else (low, middle)
    return np.asarray(chance)
