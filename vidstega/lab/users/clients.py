"""How many users a machine carries: real clients against a real server, and processes under a budget.

A *user* uploads a video with a message, waits, and downloads the result; a level of the experiment is so
many users at once. Everything is bounded: users, rounds and seconds of a level. What was measured is rows
of plain JSON, ``users.json``; the questions that the report asks of it and the model on paper are here, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import psutil

import vidstega

if TYPE_CHECKING:
    import httpx

MIB = 1 << 20
LIMIT_S = 30.0
"""Users are carried while 95 of 100 have their result so many seconds after they began to upload."""
NO_RATES = ("--rate-embed", "", "--rate-extract", "", "--rate-work", "", "--rate-address", "")
_READ = 256 << 10


# -- a server -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A server process that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def serving(data: Path, *options: str, start_s: float = 60) -> Iterator[Server]:
    """Run ``vidstega serve`` at a free port of the loopback; ended, and waited for, on the way out."""
    log = data.parent / f"{data.name}.log"
    command = [sys.executable, "-m", "vidstega", "serve", "--port", "0", "--data", str(data), *options]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    try:
        yield Server(_address(process, log, start_s), process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[bytes], log: Path, seconds: float) -> str:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            for word in line.decode().split():
                if word.startswith("http://"):
                    return word.rstrip("/")
    finally:
        timer.cancel()
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")


# -- watching -------------------------------------------------------------------------------------------


class Watch:
    """Asks for a value again and again in a thread, which takes a tenth of its time at most.

    ``seconds`` and ``values`` are what was seen when.
    """

    def __init__(self, get: Callable[[], int], interval_s: float = 0.1) -> None:
        self.seconds: list[float] = []
        self.values: list[int] = []
        self._get, self._interval_s = get, interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set():
            asked = time.monotonic()
            self.values.append(self._get())
            self.seconds.append(time.monotonic() - began)
            self._stop.wait(max(self._interval_s, 9 * (time.monotonic() - asked)))


class PeakMemory(Watch):
    """Samples the memory of process trees: the sum of PSS in bytes, the server and its jobs alike."""

    def __init__(self, *pids: int) -> None:
        roots = [psutil.Process(pid) for pid in pids]
        super().__init__(lambda: sum(map(tree_bytes, roots)))

    @property
    def peak_bytes(self) -> int:
        """The largest sample."""
        return max(self.values, default=0)


def tree_bytes(root: psutil.Process) -> int:
    """Bytes a process and all below it take now; 0 if it is gone."""
    try:
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_own_bytes, tree))


def _own_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.Error, OSError):
        return 0
    return int(getattr(memory, "pss", memory.uss))


def tree_core_s(pid: int) -> float:
    """Core-seconds of a process tree so far, those of children that have ended included."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])
    return total


# -- users ----------------------------------------------------------------------------------------------


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
    upload_s: float = 0.0
    server_s: float = 0.0
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
    for refusals in range(load.tries):
        body = _Body({"key": key.encode(), "payload": message}, load.cover)
        sent = await client.post("/embed", content=body.stream(), headers=headers | body.headers)
        if sent.status_code not in (429, 503) or "Retry-After" not in sent.headers:
            break
        if refusals + 1 < load.tries:
            await asyncio.sleep(int(sent.headers["Retry-After"]))
    else:
        passed = time.monotonic() - began
        return Visit(user, "refused", passed, sent.status_code, load.tries, error=sent.json()["error"])
    upload_s = time.monotonic() - began
    if sent.status_code != 202:
        return Visit(user, "lost", upload_s, sent.status_code, refusals, error=sent.text[:200])
    job = sent.json()
    while job.get("state") in ("queued", "running"):
        job = (await client.get(f"/jobs/{job['id']}", params={"wait": 10}, headers=headers)).json()
    if job.get("state") != "done" or job["result"]["digest"] != hashlib.sha256(message).hexdigest():
        passed = time.monotonic() - began
        return Visit(
            user, "failed", passed, 202, refusals, upload_s, error=job.get("error", "another digest")
        )
    size = await _download(client, job["id"], load.keep and load.keep / f"{user}-{job['result']['name']}")
    whole = size == job["result"]["bytes"]
    passed = time.monotonic() - began
    await client.delete(f"/jobs/{job['id']}", headers=headers)
    return Visit(
        user, "done" if whole else "lost", passed, 202, refusals, upload_s, job["seconds"], size,
        "" if whole else "a short download",
    )  # fmt: skip


class _Body:
    """A form whose video is read from disk as it is sent, so that many clients fit in one process."""

    def __init__(self, fields: dict[str, bytes], video: Path) -> None:
        boundary = secrets.token_hex(16)
        lines = []
        for name, data in fields.items():
            lines += [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode(), data]
            lines.append(b"\r\n")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="video"; filename="v"\r\n\r\n'
        self._head, self._video = b"".join(lines) + head.encode(), video
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        length = len(self._head) + video.stat().st_size + len(self._tail)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }

    async def stream(self) -> AsyncIterator[bytes]:
        yield self._head
        with self._video.open("rb") as file:
            while data := file.read(_READ):
                yield data
        yield self._tail


async def _download(client: httpx.AsyncClient, id: str, target: Path | None) -> int:
    size = 0
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(target.open("wb")) if target is not None else None
        async with client.stream("GET", f"/jobs/{id}/result") as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if out is not None:
                    out.write(chunk)
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


# -- levels ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Level:
    """What so many users at once got."""

    users: int
    outcomes: dict[str, int]
    refused_with: dict[str, int]
    p50_s: float
    p95_s: float
    p99_s: float
    most_s: float
    wall_s: float
    per_minute: float
    peak_bytes: int
    samples: int
    read_back: int
    refusals: int = 0
    """Answers 429 and 503, those after which a user tried again included."""
    core_s: float = 0.0
    """Core-seconds of the server and its jobs (or of the processes), clients left out."""
    client_core_s: float = 0.0
    """Core-seconds of the clients, which share the machine."""
    bytes_up: int = 0
    bytes_down: int = 0
    errors: tuple[str, ...] = field(default=())

    @property
    def carried(self) -> bool:
        """Whether all came through in time."""
        return set(self.outcomes) == {"done"} and self.p95_s <= LIMIT_S

    def row(self) -> dict[str, Any]:
        """As JSON wants it."""
        told = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}
        return told | {"carried": self.carried}


def level(server: Server, load: Load, users: int) -> Level:
    """Run one level against a server, watching the memory of its whole process tree."""
    with PeakMemory(server.process.pid) as memory:
        began, spent, own = time.monotonic(), tree_core_s(server.process.pid), time.process_time()
        visits = crowd(server.url, load, users)
        wall, own = time.monotonic() - began, time.process_time() - own
        spent = tree_core_s(server.process.pid) - spent
    _until_idle(server, load.seconds)
    checked = read_back(load.keep, load.payload_bytes) if load.keep else 0
    one = summary(users, visits, wall, memory.values, checked)
    sent = load.cover.stat().st_size * sum(visit.status == 202 for visit in visits)
    down = sum(visit.bytes for visit in visits)
    return replace(one, core_s=spent, client_core_s=own, bytes_up=sent, bytes_down=down)


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
    done = [visit.seconds for visit in visits if visit.outcome == "done"] or [float("nan")]
    p50, p95, p99 = (float(value) for value in np.percentile(done, [50, 95, 99]))
    return Level(
        users=users,
        outcomes=dict(Counter(visit.outcome for visit in visits)),
        refused_with=dict(Counter(str(visit.status) for visit in visits if visit.outcome == "refused")),
        p50_s=p50, p95_s=p95, p99_s=p99, most_s=max(done), wall_s=wall_s,
        per_minute=60 * sum(visit.outcome == "done" for visit in visits) / wall_s,
        peak_bytes=max(memory, default=0), samples=len(memory), read_back=checked,
        errors=tuple(sorted({v.error for v in visits if v.outcome in ("failed", "late", "lost")}))[:5],
        refusals=sum(visit.refusals for visit in visits),
    )  # fmt: skip


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
    guess = math.ceil(1.1 * one.users * LIMIT_S / one.p95_s)
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


# -- processes instead of a server ----------------------------------------------------------------------


def processes(
    command: Callable[[int], Sequence[str]], users: int, *, budget_bytes: int, seconds: float, cwd: Path
) -> Level:
    """Start one process a user, all at once; past the budget the whole machine is out, as it would be.

    A process counts as "done" if it ends with 0 in time. When the sum of all passes the budget, what still
    runs is killed and counts as "failed": the study's server has no more memory than that.
    """
    began, spent = time.monotonic(), _children_core_s()
    running: dict[int, subprocess.Popen[bytes]] = {}
    visits: list[Visit] = []
    for user in range(users):
        running[user] = subprocess.Popen(
            list(command(user)), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
    memory: list[int] = []
    roots = {user: psutil.Process(process.pid) for user, process in running.items()}
    while running:
        passed = time.monotonic() - began
        for user in [user for user, process in running.items() if process.poll() is not None]:
            code = running.pop(user).returncode
            error = "" if code == 0 else f"exit code {code}"
            visits.append(Visit(user, "failed" if code else "done", passed, error=error))
        asked = time.monotonic()
        now = sum(tree_bytes(roots[user]) for user in running)
        memory.append(now)
        if now > budget_bytes or passed > seconds:
            error = "out of memory" if now > budget_bytes else "out of time"
            for user, process in running.items():
                process.kill()
                process.wait()
                visits.append(Visit(user, "failed", passed, error=error))
            running.clear()
        _wait(running, max(0.05, 9 * (time.monotonic() - asked)))
    one = summary(users, visits, time.monotonic() - began, memory)
    return replace(one, core_s=_children_core_s() - spent)


def _wait(running: Mapping[int, subprocess.Popen[bytes]], seconds: float) -> None:
    """So long, or until a process has ended."""
    end = time.monotonic() + seconds
    while running and time.monotonic() < end and all(process.poll() is None for process in running.values()):
        time.sleep(0.02)


def _children_core_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


# -- what was measured ----------------------------------------------------------------------------------


class Users:
    """Questions to ``users.json``; without it, nothing is known.

    It holds ``stamp``, ``budget_bytes``, ``limit_s``, ``workers``, ``frames``, ``payload_bytes``,
    ``bounds`` (``users``, ``seconds`` and ``level_s``), ``storage_mb_s`` (written and synced), ``jobs`` (by
    resolution: predicted ``memory_bytes``, measured ``read_bytes`` and ``written_bytes``), ``carried`` (by
    arm and resolution: ``users`` and why it ``ended``), ``levels`` (rows of `Level`, with arm and
    resolution) and ``crowd`` (a row of `Level` with ``resolution`` and ``queue``).
    """

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        self.data = data or {}
        self._carried = {(one["arm"], one["resolution"]): one for one in self.data.get("carried", ())}

    def get(self, place: tuple[str, str]) -> int | None:
        """The most users that an arm carried at a resolution."""
        one = self._carried.get(place)
        return None if one is None else int(one["users"])

    def bounded(self, place: tuple[str, str]) -> bool:
        """Whether the measurement ended before the users were too many."""
        return self._carried.get(place, {}).get("ended") in ("most", "seconds")

    def levels(self, arm: str, resolution: str) -> list[Mapping[str, Any]]:
        """Rows of an arm at a resolution, fewest users first."""
        rows = [
            one for one in self.data.get("levels", ()) if (one["arm"], one["resolution"]) == (arm, resolution)
        ]
        return sorted(rows, key=lambda one: one["users"])

    def top(self, arm: str, resolution: str) -> Mapping[str, Any] | None:
        """The level with the most users that were carried."""
        count = self.get((arm, resolution))
        return next((one for one in self.levels(arm, resolution) if one["users"] == count), None)

    def cost(self, resolution: str, below: float = math.inf) -> Cost | None:
        """What a job takes, by the largest level that was carried, or the largest of fewer users."""
        top = self.top("splice", resolution)
        rows = [one for one in self.levels("splice", resolution) if top and one["users"] <= top["users"]]
        rows = [one for one in rows if one["users"] < below]
        job = next((one for one in self.data.get("jobs", ()) if one["resolution"] == resolution), None)
        if not rows or job is None:
            return None
        return Cost.of(rows[-1], job, self.data["stamp"]["machine"]["cores"])


# -- on paper -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What one job takes, measured at `users` at once.

    ``busy`` is the share of the cores' time that was used; ``client_core_s`` is what the user's side took,
    which a service does not pay.
    """

    users: int
    core_s: float
    client_core_s: float
    busy: float
    memory_bytes: int
    bytes_up: int
    bytes_down: int
    storage_bytes: int

    @classmethod
    def of(cls, level: Mapping[str, Any], job: Mapping[str, Any], cores: int) -> Cost:
        """The mean over a level's jobs. What is stored travels as often as it was read and written."""
        done = max(1, level["outcomes"].get("done", 0))
        up, down = level["bytes_up"] // done, level["bytes_down"] // done
        return cls(
            users=level["users"], core_s=level["core_s"] / done,
            client_core_s=level["client_core_s"] / done,
            busy=(level["core_s"] + level["client_core_s"]) / (cores * level["wall_s"]),
            memory_bytes=job["memory_bytes"], bytes_up=up, bytes_down=down,
            storage_bytes=up + job["read_bytes"] + job["written_bytes"] + down,
        )  # fmt: skip

    def per_minute(self, cores: int) -> float:
        """Results a minute of so many cores, clients on them as well."""
        return 60 * self.busy * cores / (self.core_s + self.client_core_s)


@dataclass(frozen=True)
class Need:
    """What it takes to serve so many users who all come at once, each within `within_s`. MB is 10^6 bytes."""

    users: int
    within_s: float
    workers: int
    memory_bytes: int
    upload_mb_s: float
    download_mb_s: float
    storage_mb_s: float


def need(users: int, cost: Cost, within_s: float = LIMIT_S) -> Need:
    """The capacity model: a worker is a core, and every rate is what must be moved within the time."""
    workers = max(1, math.ceil(users * cost.core_s / (within_s * cost.busy)))
    rates = (users * size / within_s / 1e6 for size in (cost.bytes_up, cost.bytes_down, cost.storage_bytes))
    return Need(users, within_s, workers, workers * cost.memory_bytes, *rates)
