"""One typed door to Numba: functions compiled at their first call and cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def njit(function: _F) -> _F:
    """Compile a function of numbers and arrays; it runs without the GIL and keeps its type for checkers."""
    compiled: Any = numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "reassoc", "nsz"})(
        function
    )
    typed: _F = compiled
    return typed
