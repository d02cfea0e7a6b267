"""Families of carriers, found by the names of their methods.

A family from another package is found by the entry point group ``vidstega.carriers`` (a `Carrier`, or
something that makes one when called), or is added by `register`.
"""

from __future__ import annotations

from functools import lru_cache

from vidstega import methods
from vidstega.carriers.base import Carrier
from vidstega.carriers.robust.family import Robust
from vidstega.carriers.samples import Samples
from vidstega.carriers.signs import InSigns
from vidstega.errors import ParameterError
from vidstega.methods import Method

__all__ = [
    "AUTO",
    "Carrier",
    "How",
    "InSigns",
    "Robust",
    "Samples",
    "automatic",
    "get",
    "names",
    "register",
    "to_search",
]

How = str | Method | Carrier
"""What a method may be given as: its name, or the caller's own."""

AUTO = "auto"
"""The method that stands for the quietest family that holds the message."""

_ADDED: dict[str, Carrier] = {}


def register(carrier: Carrier) -> None:
    """Add a family; a later one of the same method takes the place of an earlier."""
    _ADDED[carrier.method] = carrier


def names() -> list[str]:
    """What `get` knows, without "auto"."""
    return sorted(_all())


def get(method: How) -> Carrier:
    """The carrier for a method's name, for a caller's own `Method`, or the caller's own carrier.

    Raises
    ------
    ParameterError
        Naming what there is.
    """
    if isinstance(method, Carrier):
        return method
    if not isinstance(method, str):
        return Samples(methods.checked(method))
    known = _all()
    if method not in known:
        raise ParameterError(f"unknown method {method!r}; there are: {AUTO}, {', '.join(sorted(known))}")
    return known[method]


def automatic() -> list[Carrier]:
    """What ``method="auto"`` tries, the quietest first."""
    offered = [carrier for carrier in _all().values() if carrier.loudness is not None]
    return sorted(offered, key=_order)


def to_search(method: How | None = None) -> list[Carrier]:
    """Where a message is looked for: by one method, or in one carrier of each family."""
    if method is not None and method != AUTO:
        return [get(method)]
    by_family = {carrier.family: carrier for carrier in [*_all().values(), *reversed(automatic())]}
    return sorted((carrier for carrier in by_family.values() if carrier.searched), key=_order)


def _order(carrier: Carrier) -> tuple[bool, int]:
    """The quietest first, those that are only taken by name last."""
    return carrier.loudness is None, carrier.loudness or 0


def _all() -> dict[str, Carrier]:
    samples = {name: Samples(methods.get(name)) for name in methods.names()}
    shipped = {"signs": InSigns(), "robust": Robust()}
    return shipped | samples | _plugged_in() | _ADDED


@lru_cache
def _plugged_in() -> dict[str, Carrier]:
    found = methods.offered("vidstega.carriers", lambda one: isinstance(one, Carrier))
    return {carrier.method: carrier for carrier in found}
