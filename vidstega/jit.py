"""Numba behind a few typed names: everything that vidstega compiles goes through here.

Importing this module imports numba (0.3 s), so only modules with kernels do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import numba
import numpy as np
import xxhash

F = TypeVar("F", bound=Callable[..., Any])

int64 = cast(Callable[[Any], int], np.int64)
"""A number of 64 bits in a kernel, an int to the type checker."""
uint64 = cast(Callable[[Any], int], np.uint64)
"""An index that is never negative, which spares the kernel the check."""


def kernel(signature: str, *tables: ModuleType) -> Callable[[F], F]:
    """Compile a function for one signature when its module is imported, or take it from numba's cache.

    Where neither the package's folder, nor the user's, nor NUMBA_CACHE_DIR can be written, it is
    compiled for this process alone.

    Parameters
    ----------
    signature : str
        Result and arguments as numba writes them.
    *tables : module
        Where constants of the kernel come from. They are compiled into it, but numba compiles anew only
        when the kernel's own file has changed.
    """

    def compiled(function: F) -> F:
        function.__qualname__ += f"_{_digest(tables)}"  # part of the name of its file in the cache
        try:
            return _njit(signature, cache=True)(function)
        except (RuntimeError, OSError):  # numba finds no folder for its cache, or loses it on the way
            return _njit(signature)(function)

    return compiled


def inline(function: F) -> F:
    """Part of a kernel: compiled into each of its callers, so that state stays in registers."""
    return _njit(forceinline=True)(function)


def part(function: F) -> F:
    """Part of a kernel that is called: for what is not hot, to keep compiling short."""
    return _njit()(function)


def _digest(tables: Iterable[ModuleType]) -> str:
    """Of what else than its own file a kernel depends on."""
    sources = [Path(str(module.__file__)).read_bytes() for module in tables]
    return xxhash.xxh64_hexdigest(b"".join([*sources, str(cast(Any, numba.config).BOUNDSCHECK).encode()]))


def _njit(*signature: str, **options: bool) -> Callable[[F], F]:
    njit = cast(Callable[..., Callable[[F], F]], numba.njit)
    return njit(*signature, nogil=True, error_model="numpy", **options)


def lazy(function: F) -> F:
    """Compile a function at its first call, for the types it is called with, or take it from the cache.

    Sums may be taken in any order, so results can differ in the last bits from one machine to the next.
    """
    free = {"contract", "arcp", "reassoc", "nsz"}
    compiled = cast(Callable[..., Callable[[F], F]], numba.njit)
    return compiled(cache=True, nogil=True, fastmath=free)(function)
