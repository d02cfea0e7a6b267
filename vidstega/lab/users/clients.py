"""Users: each uploads a video with a key and a message of their own, waits, and downloads the result."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import vidstega

if TYPE_CHECKING:
    import httpx

_READ = 256 << 10


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
    outcome, error = ("done", "") if whole else ("lost", "a short download")
    return Visit(user, outcome, passed, 202, refusals, upload_s, job["seconds"], size, error)


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
