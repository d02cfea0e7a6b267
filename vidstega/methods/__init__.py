"""Embedding methods: one short file each, found by name.

A method works on one plane at a time. Streaming, parallelism, sealing, splicing and verification are
the engine's; a method only says how many bits a plane takes and how they get in and out.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import ParameterError
from vidstega.keystream import KeyedRandom
from vidstega.methods.lsb import LSB

Plane = NDArray[np.uint8] | NDArray[np.uint16]


@runtime_checkable
class Method(Protocol):
    """How bits get into one plane and out again.

    The plane is a NumPy view of shape (height, width), uint8 for `depth` 8 and uint16 above, its rows
    strided as the codec stores them; often it is a band of whole rows of a picture. Methods must be
    picklable if the backend is one of processes.
    """

    name: str

    def capacity(self, shape: tuple[int, int], depth: int) -> int:
        """Bits a plane of this shape takes; the same for every content, so that a reader knows it too."""

    def embed(self, plane: Plane, data: NDArray[np.uint8], random: KeyedRandom, depth: int) -> None:
        """Write `data` (packed bytes, at most capacity // 8 of them) into `plane`, in place."""

    def extract(self, plane: Plane, size: int, random: KeyedRandom, depth: int) -> NDArray[np.uint8]:
        """Read back the `size` bytes that `embed` wrote with an equal random source."""


_BY_NAME: dict[str, Method] = {method.name: method for method in (LSB(),)}


def names() -> list[str]:
    """Names of the methods that ship with vidstega."""
    return sorted(_BY_NAME)


def get(method: str | Method) -> Method:
    """The method of this name, or the caller's own object if it is one."""
    if isinstance(method, str):
        if method not in _BY_NAME:
            raise ParameterError(f"unknown method {method!r}; there are: {', '.join(names())}")
        return _BY_NAME[method]
    named = isinstance(method, Method) and isinstance(method.name, str) and not isinstance(method, type)
    if named and 0 < len(method.name.encode()) <= 16:
        return method
    raise ParameterError(
        f"method {method!r} needs a name of 1 to 16 bytes and capacity(), embed() and extract() "
        "on one plane; see vidstega.methods.Method"
    )
