"""How many users at once are carried: levels against a server, or as processes under a memory budget."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidstega.lab.runner.process import tree_cpu_s
from vidstega.lab.users.clients import Load, Visit, crowd, read_back
from vidstega.lab.users.records import LIMIT_S, Level
from vidstega.lab.users.server import PeakMemory, Server, tree_bytes

Process = subprocess.Popen[bytes]


def level(server: Server, load: Load, users: int) -> Level:
    """Run one level against a server, watching the memory of its whole process tree."""
    with PeakMemory(server.process.pid) as memory:
        began, spent, own = time.monotonic(), tree_cpu_s(server.process.pid), time.process_time()
        visits = crowd(server.url, load, users)
        wall, own = time.monotonic() - began, time.process_time() - own
        spent = tree_cpu_s(server.process.pid) - spent
    _until_idle(server, load.seconds)
    checked = read_back(load.keep, load.payload_bytes) if load.keep else 0
    one = summary(users, visits, wall, memory.values, checked)
    sent = load.cover.stat().st_size * sum(visit.status == 202 for visit in visits)
    down = sum(visit.bytes for visit in visits)
    return one.model_copy(
        update={"core_s": spent, "client_core_s": own, "bytes_up": sent, "bytes_down": down}
    )


def _until_idle(server: Server, seconds: float) -> None:
    """Jobs of users that gave up must not be in the way of the next level."""
    import httpx

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = httpx.get(f"{server.url}/health", trust_env=False).json()
        if not any(now[name] for name in ("queued", "running", "uploading")):
            return
        time.sleep(0.2)


def summary(
    users: int, visits: Sequence[Visit], wall_s: float, memory: Sequence[int], checked: int = 0
) -> Level:
    """Percentiles over the users who got a result; outcomes of all."""
    done = [visit.seconds for visit in visits if visit.outcome == "done"]
    p50, p95, p99 = map(float, np.percentile(done, [50, 95, 99])) if done else (None, None, None)
    bad = {visit.error for visit in visits if visit.outcome in ("failed", "late", "lost")}
    return Level(
        users=users,
        outcomes=dict(Counter(visit.outcome for visit in visits)),
        p50_s=p50,
        p95_s=p95,
        p99_s=p99,
        wall_s=wall_s,
        per_minute=60 * len(done) / wall_s,
        peak_bytes=max(memory, default=0),
        read_back=checked,
        errors=tuple(sorted(bad))[:5],
        refusals=sum(visit.refusals for visit in visits),
    )


def climb(run: Callable[[int], Level], *, most: int, seconds: float) -> list[Level]:
    """Raise the number of users until they are no longer carried; then look between, to within a tenth.

    Parameters
    ----------
    run : does a level
    most : never more users than this
    seconds : no new level after so long
    """
    end, levels = time.monotonic() + seconds, [run(1)]
    while levels[-1].carried and levels[-1].users < most and time.monotonic() < end:
        levels.append(run(_more(levels[-1], most)))
    while time.monotonic() < end:
        low, high = carried(levels), min((one.users for one in levels if not one.carried), default=0)
        if high - low <= max(1, low // 10):
            break
        levels.append(run((low + high) // 2))
    return sorted(levels, key=lambda one: one.users)


def _more(one: Level, most: int) -> int:
    """Twice as many users, or fewer where so many would be far too late: time grows with users."""
    guess = math.ceil(1.1 * one.users * LIMIT_S / (one.p95_s or LIMIT_S))
    return min(most, 2 * one.users, max(one.users + 1, guess))


def carried(levels: Sequence[Level]) -> int:
    """The figure: the most users below the first level that was not carried."""
    failed = min((one.users for one in levels if not one.carried), default=math.inf)
    return max((one.users for one in levels if one.users < failed), default=0)


def ended(levels: Sequence[Level], most: int) -> str:
    """Why no more users were carried: "slow", "failed"; or why no more were tried: "most", "seconds"."""
    over = [one for one in levels if not one.carried]
    if over:
        return "slow" if set(min(over, key=lambda one: one.users).outcomes) <= {"done", "late"} else "failed"
    return "most" if carried(levels) >= most else "seconds"


def processes(
    command: Callable[[int], Sequence[str]], users: int, *, budget_bytes: int, seconds: float, cwd: Path
) -> Level:
    """Start one process a user, all at once; past the budget the whole machine is out, as it would be.

    A process counts as "done" if it ends with 0 in time. When the sum of all passes the budget, what still
    runs is killed and counts as "failed": the study's server has no more memory than that.
    """
    began, spent = time.monotonic(), _children_core_s()
    null = subprocess.DEVNULL
    how: dict[str, Any] = {"cwd": cwd, "stdin": null, "stdout": null, "stderr": null}
    running = {user: subprocess.Popen(list(command(user)), **how) for user in range(users)}
    visits: list[Visit] = []
    memory: list[int] = []
    while running:
        asked = time.monotonic()
        memory.append(sum(tree_bytes(process.pid) for process in running.values()))
        passed = time.monotonic() - began
        why = "out of memory" if memory[-1] > budget_bytes else "out of time" if passed > seconds else ""
        for user, process in list(running.items()):
            if (code := process.poll()) is None and why:
                process.kill()
                process.wait()
                visits.append(Visit(user, "failed", passed, error=why))
            elif code is not None:
                error = f"exit code {code}" if code else ""
                visits.append(Visit(user, "failed" if code else "done", passed, error=error))
            else:
                continue
            del running[user]
        _wait(running, max(0.05, 9 * (time.monotonic() - asked)))
    one = summary(users, visits, time.monotonic() - began, memory)
    return one.model_copy(update={"core_s": _children_core_s() - spent})


def _wait(running: Mapping[int, Process], seconds: float) -> None:
    """So long, or until a process has ended."""
    end = time.monotonic() + seconds
    while running and time.monotonic() < end and all(process.poll() is None for process in running.values()):
        time.sleep(0.02)


def _children_core_s() -> float:
    times = os.times()
    return times.children_user + times.children_system
