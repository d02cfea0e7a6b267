"""What runs in child processes: look into an upload, hide, recover. Nothing else opens a stranger's file."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from vidstega import ask, engine
from vidstega.carriers.base import Wish
from vidstega.errors import PayloadError, UnsupportedError, VidstegaError
from vidstega.media.mux import container_of
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.results import Estimate
from vidstega.seal import sealed_bytes
from vidstega.service.child import Send

COVER, PAYLOAD, KEY = "cover", "payload", "key"
_MOST_TEXT = 1 << 20
_REPORT_EVERY_S = 0.2
_CONNECT_S = 20
_STAGES = {"embed": (0.05, 0.6), "verify": (0.65, 0.35), "extract": (0.05, 0.95)}
"""Where in the whole of a job a stage begins, and its share."""
_SUFFIXES = {"mov,mp4": ".mp4", "matroska,webm": ".mkv", "mpegts": ".ts", "flv": ".flv"}


class ClusterError(VidstegaError):
    """There is no Dask scheduler where there should be one."""

    kind = "cluster"


def probe(task: dict[str, Any], send: Send) -> dict[str, Any]:
    """Predict what a job will take, or answer how much a video carries; refuse what cannot be done."""
    with _named():
        folder = Path(task["folder"])
        if task["operation"] == "capacity":
            return _capacity(folder / COVER)
        scan = scan_file(folder / COVER)
        if task["operation"] == "extract":
            guess = ask.estimate_extraction(scan, most_payload_bytes=task["most_payload"])
            return _needs(guess, "")
        size = (folder / PAYLOAD).stat().st_size
        suffix, guess = _embedding(scan, size, task["spread"])
        return _needs(guess, suffix)


def embed(task: dict[str, Any], send: Send) -> dict[str, Any]:
    """Hide the payload; the result is a file in the job's folder."""
    with _named(), _engine(task["scheduler"]) as n_jobs:
        folder, out = Path(task["folder"]), f"stego-{task['attempt']}{task['suffix']}"
        result = engine.embed(
            folder / COVER, folder / out, folder / PAYLOAD, key=_key(folder), spread=task["spread"],
            n_jobs=n_jobs, overwrite=True, progress=_Reporter(send),
        )  # fmt: skip
        facts = {
            "mode": result.mode, "reason": result.reason, "frames": result.frames,
            "carrying": result.carrying, "payload_bytes": result.payload_bytes, "digest": result.digest,
            "verified": result.verified, "notes": list(result.notes),
        }  # fmt: skip
        return _file(folder, out, f"hidden{task['suffix']}", facts)


def extract(task: dict[str, Any], send: Send) -> dict[str, Any]:
    """Recover the payload; the result is a file in the job's folder."""
    with _named(), _engine(task["scheduler"]) as n_jobs:
        folder, out = Path(task["folder"]), f"payload-{task['attempt']}"
        result = engine.extract(
            folder / COVER, key=_key(folder), out=folder / out, n_jobs=n_jobs, overwrite=True,
            progress=_Reporter(send),
        )  # fmt: skip
        text = _is_text(folder / out)
        facts = {"payload_bytes": result.payload_bytes, "digest": result.digest, "text": text}
        return _file(folder, out, "message.txt" if text else "payload.bin", facts)


# -- helpers --------------------------------------------------------------------------------------------


def _capacity(cover: Path) -> dict[str, Any]:
    info, room = ask.probe(cover), ask.capacity(cover)
    rows = [
        {"method": r.method, "spread": r.spread, "frames": r.frames, "payload_bytes": r.payload_bytes}
        for r in room.rows
    ]
    return {
        "payload_bytes": room.payload_bytes, "rows": rows, "width": info.width, "height": info.height,
        "frames": info.frames, "duration_s": info.duration_s, "codec": info.codec, "pix_fmt": info.pix_fmt,
        "splice": info.splice, "reason": info.reason,
    }  # fmt: skip


def _embedding(scan: Scan, payload_bytes: int, spread: str | float) -> tuple[str, Estimate]:
    """The extension of the result: as the upload was, or Matroska, which takes everything."""
    known = next((suffix for name, suffix in _SUFFIXES.items() if scan.format.startswith(name)), ".mkv")
    for suffix in (known, ".mkv"):
        try:
            container = container_of(Path(suffix.replace(".", "x.")))
            return suffix, ask.estimate_embedding(scan, Wish(sealed_bytes(payload_bytes), spread, container))
        except UnsupportedError:
            if suffix == ".mkv":
                raise
    raise AssertionError("unreachable")


def _needs(guess: Estimate, suffix: str) -> dict[str, Any]:
    return {
        "memory_bytes": guess.memory_bytes, "output_bytes": guess.output_bytes,
        "disk_bytes": guess.disk_bytes, "mode": guess.mode, "suffix": suffix,
    }  # fmt: skip


def _key(folder: Path) -> str:
    return (folder / KEY).read_bytes().decode()


def _file(folder: Path, file: str, name: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {"file": file, "name": name, "bytes": (folder / file).stat().st_size} | facts


def _is_text(path: Path) -> bool:
    if path.stat().st_size > _MOST_TEXT:
        return False
    try:
        return "\0" not in path.read_bytes().decode()
    except UnicodeDecodeError:
        return False


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Errors speak of "the video", not of a path on the server."""
    try:
        yield
    except PayloadError:
        raise
    except VidstegaError as error:
        raise type(error)(_without_paths(str(error))) from None


def _without_paths(text: str) -> str:
    words = []
    for word in text.split(" "):
        bare = word.rstrip(":,;.")
        if not bare.startswith("/"):
            words.append(word)
            continue
        name = {COVER: "the video", PAYLOAD: "the payload"}.get(Path(bare).name, "the server's disk")
        words.append(name + word[len(bare) :])
    return " ".join(words)


class _Reporter:
    """Tells the server how far a job is, a few times a second."""

    def __init__(self, send: Send) -> None:
        self._send, self._last = send, 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _REPORT_EVERY_S and done < total:
            return
        self._last = now
        begin, share = _STAGES.get(stage, (0.0, 0.0))
        self._send({"stage": stage, "progress": round(begin + share * done / max(total, 1), 4)})


@contextlib.contextmanager
def _engine(scheduler: str | None) -> Iterator[int]:
    """How tasks are run, and by how many: here by one, or by all of a Dask cluster."""
    tqdm.set_lock(threading.RLock())  # its own is a semaphore with a name, which would outlive this process
    if scheduler is None:
        yield 1
        return
    from distributed import Client

    from vidstega.service.cluster import on_cluster

    try:
        client = Client(scheduler, timeout=_CONNECT_S)  # type: ignore[no-untyped-call]
    except OSError:
        raise ClusterError("the cluster cannot be reached; try again later") from None
    with client, on_cluster(client):
        yield -1
