"""Users: each uploads a video with a key and a message of their own, waits, and downloads the result."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vidstega

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
                "data": {"key": key, "payload": message},
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
