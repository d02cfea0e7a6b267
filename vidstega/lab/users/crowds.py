"""Users who upload, wait and download; levels of them, against a server or as processes under a budget."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

import vidstega
from vidstega.lab.runner.process import tree_cpu_s
from vidstega.lab.users.records import LIMIT_S, Level
from vidstega.lab.users.server import PeakMemory, Server, tree_bytes

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Visit:
    """One user's way from upload to result.

    ``outcome`` is "done", "refused" (an honest 429 or 503 with Retry-After, or all tries used up by them),
    "failed" (the job ended without a result), "late" (the user gave up after the load's seconds), or "lost"
    (anything else: that must not happen).
    """

    user: int
    outcome: str
    seconds: float
    status: int = 0
    refusals: int = 0
    bytes: int = 0
    error: str = ""


@dataclass(frozen=True)
class Load:
    """What a user sends, and for how long they try."""

    cover: Path
    payload_bytes: int = 1000
    tries: int = 1
    rounds: int = 1
    seconds: float = 120.0
    keep: Path | None = None
    """Where results are kept to be read back later; without it they are only counted."""
    method: str = "auto"


def crowd(url: str, load: Load, users: int) -> list[Visit]:
    """Let so many users come at once, each with an API key, a key and a message of their own."""
    with ThreadPoolExecutor(1) as thread:  # a notebook has an event loop of its own
        return thread.submit(asyncio.run, _crowd(url, load, users)).result()


def secret(user: int) -> tuple[str, bytes]:
    """Key and message of a user, so that results can be checked afterwards."""
    return f"key of user {user}", hashlib.shake_256(b"user %d" % user).digest(1 << 20)


async def _crowd(url: str, load: Load, users: int) -> list[Visit]:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    run = secrets.token_hex(4)
    async with httpx.AsyncClient(
        base_url=url, limits=limits, timeout=load.seconds, trust_env=False
    ) as client:
        visits = await asyncio.gather(*(_user(client, load, run, user) for user in range(users)))
    return [visit for many in visits for visit in many]


async def _user(client: httpx.AsyncClient, load: Load, run: str, user: int) -> list[Visit]:
    import httpx

    started = time.monotonic()
    visits = []
    for _ in range(load.rounds):
        began = time.monotonic()
        left = load.seconds - (began - started)
        if left <= 0:
            break
        try:
            async with asyncio.timeout(left):
                visits.append(await _visit(client, load, f"{run}-{user}", user))
        except TimeoutError:
            visits.append(Visit(user, "late", time.monotonic() - began, error="out of time"))
        except httpx.HTTPError as error:
            visits.append(Visit(user, "lost", time.monotonic() - began, error=repr(error)))
    return visits


async def _visit(client: httpx.AsyncClient, load: Load, api_key: str, user: int) -> Visit:
    began = time.monotonic()
    key, message = secret(user)
    message = message[: load.payload_bytes]
    headers = {"X-API-Key": api_key}

    def visit(outcome: str, error: str = "", **more: Any) -> Visit:
        told: dict[str, Any] = {"status": sent.status_code, "refusals": refusals, "error": error} | more
        return Visit(user, outcome, time.monotonic() - began, **told)

    for refusals in range(load.tries):
        with load.cover.open("rb") as video:  # read as it is sent, so that many clients fit in one process
            form: dict[str, Any] = {
                "data": {"key": key, "payload": message, "method": load.method},
                "files": {"video": ("v", video)},
            }
            sent = await client.post("/embed", headers=headers, **form)
        if sent.status_code not in (429, 503) or "Retry-After" not in sent.headers:
            break
        if refusals + 1 < load.tries:
            await asyncio.sleep(int(sent.headers["Retry-After"]))
    else:
        return visit("refused", sent.json()["error"], refusals=load.tries)
    if sent.status_code != 202:
        return visit("lost", sent.text[:200])
    job = sent.json()
    while job.get("state") in ("queued", "running"):
        job = (await client.get(f"/jobs/{job['id']}", params={"wait": 10}, headers=headers)).json()
    if job.get("state") != "done" or job["result"]["digest"] != hashlib.sha256(message).hexdigest():
        return visit("failed", job.get("error", "another digest"))
    size = await _download(client, job["id"], load.keep and load.keep / f"{user}-{job['result']['name']}")
    outcome, error = ("done", "") if size == job["result"]["bytes"] else ("lost", "a short download")
    done = visit(outcome, error, bytes=size)
    await client.delete(f"/jobs/{job['id']}", headers=headers)
    return done


async def _download(client: httpx.AsyncClient, id: str, target: Path | None) -> int:
    size = 0
    with open(target or os.devnull, "wb") as out:  # noqa: PTH123  devnull is no path everywhere
        async with client.stream("GET", f"/jobs/{id}/result") as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_raw():
                size += out.write(chunk)
    return size


def read_back(folder: Path, payload_bytes: int) -> int:
    """Extract what every kept result carries with a fresh reader; how many were right. Deletes them."""

    def right(path: Path) -> bool:
        key, message = secret(int(path.name.split("-")[0]))
        found = vidstega.extract(path, key=key, progress=False)
        path.unlink()
        return found == message[:payload_bytes]

    with ThreadPoolExecutor(os.cpu_count()) as readers:
        return sum(readers.map(right, sorted(folder.iterdir())))


# -- levels ----------------------------------------------------------------------------------------------


def level(server: Server, load: Load, users: int) -> Level:
    """Run one level against a server, watching the memory of its whole process tree."""
    with PeakMemory(server.process.pid) as memory:
        began, spent, own = time.monotonic(), tree_cpu_s(server.process.pid), time.process_time()
        visits = crowd(server.url, load, users)
        wall, own = time.monotonic() - began, time.process_time() - own
        spent = tree_cpu_s(server.process.pid) - spent
    _until_idle(server, load.seconds)
    checked = read_back(load.keep, load.payload_bytes) if load.keep else 0
    return summary(
        users,
        visits,
        wall,
        memory.values,
        read_back=checked,
        core_s=spent,
        client_core_s=own,
        bytes_up=load.cover.stat().st_size * sum(visit.status == 202 for visit in visits),
        bytes_down=sum(visit.bytes for visit in visits),
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


def summary(users: int, visits: Sequence[Visit], wall_s: float, memory: Sequence[int], **more: Any) -> Level:
    """Percentiles over the users who got a result; outcomes of all; and more fields of a level."""
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
        errors=tuple(sorted(bad))[:5],
        refusals=sum(visit.refusals for visit in visits),
        **more,
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
    running = [psutil.Popen(list(command(user)), **how) for user in range(users)]
    visits: list[Visit] = []
    memory: list[int] = []
    why = ""

    def over(process: Any) -> None:
        code, passed = process.returncode, time.monotonic() - began
        error = (why or f"exit code {code}") if code else ""
        visits.append(Visit(len(visits), "failed" if code else "done", passed, error=error))

    while running:
        asked = time.monotonic()
        memory.append(sum(tree_bytes(process.pid) for process in running))
        why = (
            "out of memory" if memory[-1] > budget_bytes else "out of time" if asked - began > seconds else ""
        )
        for process in running if why else ():
            process.kill()
        pause = max(0.05, 9 * (time.monotonic() - asked))
        _, running = psutil.wait_procs(running, timeout=pause, callback=over)
    return summary(users, visits, time.monotonic() - began, memory, core_s=_children_core_s() - spent)


def _children_core_s() -> float:
    times = os.times()
    return times.children_user + times.children_system
