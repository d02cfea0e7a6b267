"""Finding a message: the header in the first pictures of the list, then what it says."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.base import Found
from vidstega.carriers.signs.layout import ALPHA_MOST, Header, Opening, message_places
from vidstega.carriers.signs.plan import opened
from vidstega.carriers.signs.walks import Walked, first_unlisted, obstacle_of, pictures, ready, tiers
from vidstega.errors import CapacityError, InputError, PayloadError, UnsupportedError
from vidstega.media.source import Scan
from vidstega.seal import Key
from vidstega.seal.short import ShortKeys, short_keys, unseal


@dataclass(frozen=True, kw_only=True)
class FoundSigns(Found):
    """A message in signs: it lies in the first `pictures` of the list."""

    pictures: int


def find(scan: Scan, key: Key) -> FoundSigns:
    """Find and open a message; PayloadError if there is none."""
    if obstacle_of(scan) is not None:
        raise PayloadError
    try:
        return _find(scan, key)
    except (CapacityError, InputError, UnsupportedError):
        raise PayloadError from None


def _find(scan: Scan, key: Key) -> FoundSigns:
    ready(scan.codec)
    from vidstega.coding import stc

    source = pictures(scan)
    opening, taken = opened(source)
    keys = keys_of(scan, key, opening)
    at = opening.places(keys)
    header = Header.of(stc.extract(negatives(taken)[at], 48), keys)
    if not len(taken) <= header.pictures <= len(tiers(scan)):
        raise PayloadError
    taken += islice(source, header.pictures - len(taken))
    bits = negatives(taken)
    places = message_places(keys, at, len(bits))
    if len(taken) < header.pictures or 8 * header.size > ALPHA_MOST * len(places):
        raise PayloadError
    sealed = np.packbits(stc.extract(bits[places], 8 * header.size)).tobytes()
    return FoundSigns(
        method="signs",
        stream_bytes=header.size,
        payload=unseal(keys, sealed),
        carrying=sum(1 for walked in taken if len(walked.signs)),
        pictures=header.pictures,
    )


def keys_of(scan: Scan, key: Key, opening: Opening) -> ShortKeys:
    """The keys for this video."""
    return short_keys(key, opening.label(first_unlisted(scan)))


def negatives(taken: list[Walked]) -> NDArray[np.uint8]:
    """The bits that the signs of pictures say, one after the other."""
    return np.concatenate([walked.signs.negative for walked in taken]).astype(np.uint8)
