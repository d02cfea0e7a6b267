"""From a plan and a message to the packets that change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.base import Failure
from vidstega.carriers.signs import cost
from vidstega.carriers.signs.codecs import codec_of
from vidstega.carriers.signs.decoded import margins_of
from vidstega.carriers.signs.find import keys_of, negatives
from vidstega.carriers.signs.layout import HEADER_SIGNS, Header, Opening, message_places
from vidstega.carriers.signs.plan import SignsPlan
from vidstega.carriers.signs.walks import Walked, pictures
from vidstega.errors import CapacityError, UnsupportedError
from vidstega.media.packets import Changes
from vidstega.media.source import Scan
from vidstega.pool import Work
from vidstega.residual import turn
from vidstega.seal.short import Short, seal

_ROUNDS = 12

Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Turns:
    """Packets that change, how many signs in how many pictures do, and how steep the cost was on average."""

    packets: Changes
    signs: int
    pictures: int
    steepness: float


@dataclass(frozen=True)
class _Text:
    """What is said, and by which signs: their places in the list, and bits."""

    places: NDArray[np.int64]
    bits: Bits


def turns(scan: Scan, plan: SignsPlan, short: Short, work: Work) -> Turns:
    """Choose signs to turn.

    Raises
    ------
    Failure
        If the message cannot be said without changing the length of a packet.
    """
    taken = list(islice(pictures(scan), plan.pictures))
    texts = _texts(scan, plan, short, taken)
    price, steepness = _costs(scan, taken, plan.alpha, work)
    bits, ends = negatives(taken), np.cumsum([len(walked.signs) for walked in taken])
    for _ in range(_ROUNDS):
        try:
            flips = _flips(texts, bits, price)
        except CapacityError as error:
            raise Failure(error, plan.mode) from None
        changes, wet = _turned(taken, np.split(flips, ends[:-1]))
        if not len(wet):
            touched = sum(1 for part in np.split(flips, ends[:-1]) if part.any())
            return Turns(changes, int(flips.sum()), touched, steepness)
        price[wet] = np.inf
    raise Failure(UnsupportedError("turning signs would move emulation prevention bytes"), plan.mode)


def _texts(scan: Scan, plan: SignsPlan, short: Short, taken: Sequence[Walked]) -> list[_Text]:
    opening = Opening()
    opening.take(iter(taken))
    keys = keys_of(scan, short.key, opening)
    message = seal(keys, short.payload)
    header = opening.places(keys)
    signs = sum(len(walked.signs) for walked in taken)
    said = np.unpackbits(np.frombuffer(message, np.uint8))
    return [
        _Text(header, Header(plan.pictures, len(message)).bits(keys)),
        _Text(message_places(keys, header, signs), said),
    ]


def _costs(
    scan: Scan, taken: Sequence[Walked], alpha: float, work: Work
) -> tuple[NDArray[np.float32], float]:
    """The cost of each sign, and the steepness of the cost, a mean over pictures."""
    parts, slopes, before = [], [], 0
    amplitudes, may = amplitudes_of(scan, taken), codec_of(scan).may_roughen
    margins = margins_of(scan, taken, amplitudes, work)
    for walked, amplitude in zip(taken, amplitudes, strict=True):
        if not len(walked.signs):
            continue
        energy = cost.energies(amplitude)
        rate = alpha + (48 / HEADER_SIGNS if before < HEADER_SIGNS else 0)
        margin = margins.get(walked.ordinal)
        steepness = 0.0 if margin is None else cost.steepness_for(energy, margin, rate, may)
        parts.append(energy if margin is None else cost.weighed(energy, margin, steepness))
        slopes.append(steepness)
        before += len(walked.signs)
    return np.concatenate(parts), float(np.mean(slopes))


def amplitudes_of(scan: Scan, taken: Sequence[Walked]) -> list[NDArray[np.float32]]:
    """Level times quantum of each sign, by picture."""
    codec = codec_of(scan)
    sets = codec.sets(scan)
    return [walked.signs.level * codec.quanta(walked.signs, walked.units, sets) for walked in taken]


def _flips(texts: Sequence[_Text], bits: Bits, price: NDArray[np.float32]) -> NDArray[np.bool_]:
    from vidstega.coding import stc

    flips = np.zeros(len(bits), bool)
    for text in texts:
        ours = np.ascontiguousarray(bits[text.places])
        flips[text.places] = stc.embed(ours, price[text.places], text.bits) != ours
    return flips


def _turned(
    taken: Sequence[Walked], flips: Sequence[NDArray[np.bool_]]
) -> tuple[dict[int, tuple[bytes, bytes]], NDArray[np.int64]]:
    """The packets with signs turned, and signs that must stay, by their place in the list."""
    changes, wet, before = {}, [np.zeros(0, np.int64)], 0
    for walked, chosen in zip(taken, flips, strict=True):
        if chosen.any():
            turned = turn(walked.units, walked.signs[chosen])
            wet.append(before + np.flatnonzero(chosen)[turned.wet])
            changes[walked.ordinal] = (walked.packet, walked.with_units(turned.units))
        before += len(walked.signs)
    return changes, np.concatenate(wet)
