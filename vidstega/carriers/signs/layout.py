"""Where header and message lie among the signs of the pictures in use; see the specification above."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.signs.walks import Walked
from vidstega.errors import PayloadError
from vidstega.seal import KeyStream
from vidstega.seal.short import ShortKeys

HEADER_BITS = 48
MOST_BYTES = (1 << 16) - 1
ALPHA_MOST = 1 / 4
_MOST_CARRIERS, _LEAST_CARRIERS, _SHARE = 1024, 192, 6
HEADER_SIGNS = _MOST_CARRIERS * _SHARE

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Header:
    """How many pictures of the list are in use, and how many bytes the sealed message has."""

    pictures: int
    size: int

    def bits(self, keys: ShortKeys) -> NDArray[np.uint8]:
        """As it is coded."""
        number = (self.pictures << 16 | self.size) << 12
        return np.unpackbits(np.frombuffer(number.to_bytes(6, "big"), np.uint8)) ^ _mask(keys)

    @classmethod
    def of(cls, bits: NDArray[np.uint8], keys: ShortKeys) -> Header:
        """Read it; PayloadError if it is none."""
        number = int.from_bytes(np.packbits(bits ^ _mask(keys)).tobytes(), "big")
        if number & 4095:
            raise PayloadError
        return cls(number >> 28, number >> 12 & MOST_BYTES)


def _mask(keys: ShortKeys) -> NDArray[np.uint8]:
    return np.unpackbits(KeyStream(keys.carrier, b"header").bytes(HEADER_BITS // 8))


@dataclass
class Opening:
    """The pictures that hold the header, taken one by one from the front of the list.

    Parameters
    ----------
    signs : usable signs of the pictures taken
    units : sizes of their NAL units
    """

    signs: int = 0
    units: list[int] = field(default_factory=list)

    def take(self, pictures: Iterator[Walked]) -> list[Walked]:
        """As many pictures as it takes, or all."""
        taken = []
        while self.signs < HEADER_SIGNS and (walked := next(pictures, None)) is not None:
            taken.append(walked)
            self.signs += len(walked.signs)
            self.units += [len(unit.rstrip(b"\0")) for unit in walked.units]
        return taken

    @property
    def carriers(self) -> int:
        """Signs that hold the header; 0 if there are too few."""
        count = min(_MOST_CARRIERS, self.signs // _SHARE)
        return count if count >= _LEAST_CARRIERS else 0

    def label(self, unlisted: bytes) -> bytes:
        """What tells this video from others and never changes."""
        return hashlib.sha256(unlisted + struct.pack(f">{len(self.units)}I", *self.units)).digest()

    def places(self, keys: ShortKeys) -> Positions:
        """Which signs hold the header, counted from the front of the list, in order."""
        return _shuffled(keys, b"head", np.arange(self.signs))[: self.carriers]


def message_places(keys: ShortKeys, header: Positions, signs: int) -> Positions:
    """Which of so many signs hold the message, in order."""
    others = np.ones(signs, bool)
    others[header] = False
    return _shuffled(keys, b"message", np.flatnonzero(others))


def _shuffled(keys: ShortKeys, stream: bytes, items: Positions) -> Positions:
    drawn = KeyStream(keys.carrier, stream).bytes(8 * len(items)).view(">u8")
    return items[np.argsort(drawn, kind="stable")]
