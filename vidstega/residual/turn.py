"""Turning signs in place: the bytes of NAL units change, their length and their escapes do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidstega.residual.signs import Signs

_ESCAPE = b"\0\0\3"
_NEEDS_ESCAPE = re.compile(rb"\0\0(?=[\0-\3])")


@dataclass(frozen=True, eq=False)
class Turned:
    """NAL units with signs turned.

    Attributes
    ----------
    units : tuple of bytes
        The same number of units, each as long as it was.
    wet : int64 array
        Which of the signs (as indices into those given) were left as they are, since turning them would
        make, move or unmake an emulation prevention byte.
    """

    units: tuple[bytes, ...]
    wet: NDArray[np.int64]


def turn(units: Sequence[bytes], signs: Signs) -> Turned:
    """Turn every one of some signs of a picture.

    Parameters
    ----------
    units : sequence of bytes
        The picture's slice NAL units, as they were walked.
    signs : Signs
        The signs to turn, in any order, each once. Which ones get wet may depend on the others turned
        with them: whoever codes a message keeps those as they are and codes again.
    """
    done, wet = list(units), [np.zeros(0, np.int64)]
    for unit in np.unique(signs.unit):
        chosen = np.flatnonzero((signs.unit == unit) & ~signs.fixed)
        chosen = chosen[np.argsort(signs.bit[chosen])]
        done[unit], refused = _turn_unit(units[unit], signs[chosen])
        wet.append(chosen[refused])
    wet.append(np.flatnonzero(signs.fixed))
    return Turned(tuple(done), np.sort(np.concatenate(wet)))


def _turn_unit(nal: bytes, signs: Signs) -> tuple[bytes, NDArray[np.int64]]:
    """The unit with signs turned that are in order of their bits, and the indices of those that stay."""
    escapes = [match.start() + 2 for match in re.finditer(_ESCAPE, nal)]
    plain = nal.replace(_ESCAPE, b"\0\0")
    needed = _escapes_needed(plain)
    active = np.ones(len(signs), bool)
    while True:
        changed = _apply(plain, signs[active])
        moved = needed ^ _escapes_needed(changed)
        if not moved:
            return _insert(changed, escapes), np.flatnonzero(~active)
        active &= ~_near(plain, changed, signs, active, min(moved))


def _apply(plain: bytes, signs: Signs) -> bytes:
    data = bytearray(plain)
    columns = (signs.bit.tolist(), signs.step.tolist(), signs.negative.tolist())
    for bit, step, negative in zip(*columns, strict=True):
        at, shift = bit >> 3, 7 - (bit & 7)
        if step == 0:
            data[at] ^= 1 << shift
            continue
        carry = (-step if negative else step) << shift
        while carry:  # the sum stays inside the coder's interval, so the carry ends inside the slice data
            carry += data[at]
            data[at] = carry & 255
            carry >>= 8
            at -= 1
    return bytes(data)


def _escapes_needed(plain: bytes) -> set[int]:
    """Where emulation prevention bytes stand before, as positions in bytes without them (7.4.1)."""
    return {match.end() for match in _NEEDS_ESCAPE.finditer(plain)}


def _near(
    plain: bytes, changed: bytes, signs: Signs, active: NDArray[np.bool_], escape: int
) -> NDArray[np.bool_]:
    """Signs behind the first moved escape: for each changed byte it depends on, the next one turned."""
    places = [at for at in range(max(escape - 2, 0), escape + 1) if plain[at] != changed[at]]
    order = np.flatnonzero(active)
    following = np.searchsorted(signs.bit[order] >> 3, places)
    near = np.zeros(len(signs), bool)
    near[order[np.minimum(following, len(order) - 1)]] = True
    return near


def _insert(plain: bytes, escapes: list[int]) -> bytes:
    parts, start = [], 0
    for count, position in enumerate(escapes):
        parts.append(plain[start : position - count])
        start = position - count
    return b"\3".join([*parts, plain[start:]])
