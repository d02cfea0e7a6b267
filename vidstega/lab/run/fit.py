"""Whether a run fits: memory and disk that it will take against what can be had."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from vidstega.lab.arms import ARMS
from vidstega.lab.arms.base import MIB, Task
from vidstega.lab.matrix import Matrix
from vidstega.lab.schema import Skipped

_USABLE = 0.8
"""Of the memory that is available, as much may be taken; of the disk, too."""


def obstacle(arm: str, cell: str, task: Task, matrix: Matrix, scratch: Path) -> Skipped | None:
    """What is short, with the figures; None if the run fits."""
    memory, disk = ARMS[arm].needs(task)
    has = {"memory": available_mib(matrix), "disk": shutil.disk_usage(scratch).free / MIB}
    for why, needs in (("memory", memory / MIB), ("disk", disk / MIB)):
        usable = _USABLE * has[why]
        if needs > usable:
            reason = f"needs about {needs:,.0f} MiB of {why}, {usable:,.0f} MiB can be had"
            return Skipped.model_validate(
                {"cell": cell, "arm": arm, "why": why, "reason": reason}
                | {"predicted_mib": needs, "available_mib": usable}
            )
    return None


def available_mib(matrix: Matrix) -> float:
    """Memory that could be had now: of the machine, of its control group, of `memory_limit_mib`."""
    limits = [psutil.virtual_memory().available / MIB]
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        used, most = ((group / f"memory.{name}").read_text() for name in ("current", "max"))
        limits.append((int(most) - int(used)) / MIB)
    return float(min([*limits, *([matrix.memory_limit_mib] if matrix.memory_limit_mib else [])]))
