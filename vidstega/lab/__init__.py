"""The lab: what hiding a message in a video costs, measured, and what follows from it.

``matrix`` (what to measure) -> ``run`` (fresh processes, read back) -> ``schema`` (rows, typed once) ->
``results`` (questions, by pandas) -> ``verdicts`` (claims, goals, rules) -> ``plots``, ``report``,
``explore``. Nothing is loaded before it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "ARMS": "arms",
    "Experiment": "detect",
    "Explorer": "explore",
    "Matrix": "matrix",
    "Results": "results",
    "as_markdown": "report",
    "change": "matrix",
    "draw": "plots",
    "forensics": "detect",
    "json_schema": "schema",
    "load": "results",
    "load_detection": "detect",
    "load_matrix": "matrix",
    "load_survival": "survival",
    "load_users": "users",
    "make_cover": "covers",
    "make_matrix": "matrix",
    "measure_survival": "survival",
    "medians": "results",
    "ratios": "results",
    "run": "results",
    "slopes": "results",
    "verdict": "verdicts",
    "write_report": "report",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"vidstega.lab has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
