"""Embedding methods: one short file each, found by name.

A method works on one plane at a time. Streaming, parallelism, sealing, splicing and verification are
others' business; a method only says how many bits a plane takes and how they get in and out, and may say
more of itself in an attribute `habits` (see `vidstega.methods.habits`). One from another package is found by
the entry point group ``vidstega.methods`` (a `Method`, or something that makes one when called), or is added
by `register`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import ParameterError
from vidstega.methods.hill import Hill
from vidstega.methods.lsb import LSB
from vidstega.seal.keystream import KeyedRandom

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


_ADDED: dict[str, Method] = {}


def register(method: Method) -> None:
    """Add a method; a later one of the same name takes the place of an earlier."""
    _ADDED[checked(method).name] = method


def names() -> list[str]:
    """Names of the methods that ship with vidstega, are plugged in, or were registered."""
    return sorted(_all())


def get(name: str) -> Method:
    """The method of this name.

    Raises
    ------
    ParameterError
        Naming what there is.
    """
    if (method := registered(name)) is None:
        raise ParameterError(f"unknown method {name!r}; there are: {', '.join(names())}")
    return method


def registered(name: str) -> Method | None:
    """The method of this name, or None."""
    return _all().get(name)


def checked(method: Any) -> Method:
    """The caller's own object, if it is a method; ParameterError if it is none."""
    named = _is_method(method) and isinstance(method.name, str)
    if named and 0 < len(method.name.encode()) <= 16:
        found: Method = method
        return found
    raise ParameterError(
        f"method {method!r} needs a name of 1 to 16 bytes and capacity(), embed() and extract() "
        "on one plane; see vidstega.methods.Method"
    )


def _all() -> dict[str, Method]:
    shipped: dict[str, Method] = {"hill": Hill(), "lsb": LSB()}
    return shipped | _plugged_in() | _ADDED


@lru_cache
def _plugged_in() -> dict[str, Method]:
    found = offered("vidstega.methods", _is_method)
    return {method.name: method for method in map(checked, found)}


def _is_method(one: Any) -> bool:
    return isinstance(one, Method) and not isinstance(one, type)


@lru_cache
def _entry_points() -> Any:
    return entry_points()  # of all packages that are installed, which takes some 10 ms


def offered(group: str, fits: Callable[[Any], bool]) -> Iterator[Any]:
    """What other packages offer under an entry point group, made by calling it where that is how it fits.

    One that cannot be loaded is named in a warning, and does not stand in the way of the others.
    """
    for point in _entry_points().select(group=group):
        try:
            found = point.load()
            found = found if fits(found) else found()
            if not fits(found):
                raise TypeError(f"it gives a {type(found).__name__}")
        except Exception as error:  # of somebody else's package
            warnings.warn(f"the plug-in {point.value} of {group} is left out: {error}", stacklevel=2)
        else:
            yield found
