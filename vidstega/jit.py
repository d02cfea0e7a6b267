"""Numba behind a few typed names: everything that vidstega compiles goes through here.

Importing this module imports numba (0.3 s), so only modules with kernels do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

int64 = cast(Callable[[Any], int], np.int64)
"""A number of 64 bits in a kernel, an int to the type checker."""
uint64 = cast(Callable[[Any], int], np.uint64)
"""An index that is never negative, which spares the kernel the check."""


def kernel(signature: str) -> Callable[[F], F]:
    """Compile a function for one signature when its module is imported, or take it from numba's cache.

    Where neither the package's folder, nor the user's, nor NUMBA_CACHE_DIR can be written, it is
    compiled for this process alone.
    """

    def compiled(function: F) -> F:
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


def _njit(*signature: str, **options: bool) -> Callable[[F], F]:
    njit = cast(Callable[..., Callable[[F], F]], numba.njit)
    return njit(*signature, nogil=True, error_model="numpy", **options)
