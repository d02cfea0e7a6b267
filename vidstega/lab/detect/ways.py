"""The ways to change a plane that detectors are tried on: one entry each.

The toolkit's own methods embed a random message as they do in a video; what is simulated, because it is no
method or to show a bound, says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidstega import methods
from vidstega.seal.keystream import KeyedRandom, KeyStream

Plane = NDArray[Any]
RATES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Bits a sample."""
CONTROL, IDEAL, NULL = "lsb replacement", "lsb, ideal code", "cover against cover"
CONTROL_ALPHA = 0.5
"""At which the control has to be found."""
_HALVINGS = 60


class Way(NamedTuple):
    """How a plane changes: (plane, bits a sample, random, depth) to another plane."""

    change: Callable[[Plane, float, np.random.Generator, int], Plane]
    own: bool


def ways() -> Mapping[str, Way]:
    """All there are; `hill` where it is offered."""
    offered = [name for name in ("lsb", "hill") if name in methods.names()]
    own: dict[str, Way] = {name: Way(_by_method(name), True) for name in offered}
    return {CONTROL: Way(_replaced, False), **own, IDEAL: Way(_coded, False)}


def _by_method(name: str) -> Callable[[Plane, float, np.random.Generator, int], Plane]:
    def change(plane: Plane, alpha: float, random: np.random.Generator, depth: int) -> Plane:
        method, stego = methods.get(name), np.ascontiguousarray(plane).copy()
        most = method.capacity((plane.shape[0], plane.shape[1]), depth) // 8
        size = min(most, max(1, round(alpha * plane.size / 8)))
        key = random.bytes(32)
        keyed = KeyedRandom(KeyStream(key, b"place"), KeyStream(key, b"sign"))
        method.embed(stego, np.frombuffer(random.bytes(size), np.uint8), keyed, depth)
        return stego

    return change


def _replaced(plane: Plane, alpha: float, random: np.random.Generator, depth: int) -> Plane:
    """The lowest bits of a share `alpha` of the samples, replaced."""
    taken = random.random(plane.shape) < alpha
    bits = random.integers(0, 2, plane.shape).astype(plane.dtype)
    return np.where(taken, plane & ~plane.dtype.type(1) | bits, plane)


def _coded(plane: Plane, alpha: float, random: np.random.Generator, depth: int) -> Plane:
    """One up or down at random places, as few as an ideal binary code needs for `alpha` bits a sample."""
    low, high = 0.0, 0.5
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        bits = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
        low, high = (share, high) if bits < alpha else (low, share)
    off = np.where(random.random(plane.shape) < low, random.choice((-1, 1), plane.shape), 0)
    top = 2**depth - 1
    changed = plane.astype(np.int32) + off
    changed = np.where(changed < 0, 1, np.where(changed > top, top - 1, changed))
    return np.asarray(changed, plane.dtype)
