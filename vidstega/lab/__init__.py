"""The lab: what hiding a message in a video costs, measured, and what follows from it.

``matrix`` (what to measure) -> ``run`` (fresh processes, read back) -> ``schema`` (rows, typed once) ->
``results`` (questions, by pandas) -> ``verdicts`` (claims, goals, rules) -> ``plots``, ``report``,
``explore``. Nothing is loaded before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidstega.lab.arms import ARMS
    from vidstega.lab.covers import make_cover
    from vidstega.lab.explore import Explorer
    from vidstega.lab.matrix import Matrix, change, load_matrix, make_matrix
    from vidstega.lab.plots import FIGURES, draw
    from vidstega.lab.report import as_markdown, write_report
    from vidstega.lab.results import Results, load, medians, ratios, run, slopes
    from vidstega.lab.schema import json_schema
    from vidstega.lab.users import load_users
    from vidstega.lab.verdicts import verdict

_HOMES = {
    "arms": ("ARMS",),
    "covers": ("make_cover",),
    "explore": ("Explorer",),
    "matrix": ("Matrix", "change", "load_matrix", "make_matrix"),
    "plots": ("FIGURES", "draw"),
    "report": ("as_markdown", "write_report"),
    "results": ("Results", "load", "medians", "ratios", "run", "slopes"),
    "schema": ("json_schema",),
    "users": ("load_users",),
    "verdicts": ("verdict",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ARMS",
    "FIGURES",
    "Explorer",
    "Matrix",
    "Results",
    "as_markdown",
    "change",
    "draw",
    "json_schema",
    "load",
    "load_matrix",
    "load_users",
    "make_cover",
    "make_matrix",
    "medians",
    "ratios",
    "run",
    "slopes",
    "verdict",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"vidstega.lab has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
