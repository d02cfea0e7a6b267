"""What runs in child processes: look into an upload, hide, recover. Nothing else opens a stranger's file."""

from __future__ import annotations

import contextlib
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from vidstega import ask, engine
from vidstega.carriers import Robust
from vidstega.carriers.base import Carrier, Wish
from vidstega.errors import PayloadError, UnsupportedError, VidstegaError
from vidstega.lab.detect.verdict import forensics
from vidstega.media.mux import container_of
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.results import Estimate
from vidstega.seal import sealed_bytes
from vidstega.seal.short import OVERHEAD_BYTES
from vidstega.service.child import Send

COVER, PAYLOAD, KEY = "cover", "payload", "key"
_DISK = "the server's disk"
_MOST_TEXT = 1 << 20
_REPORT_EVERY_S = 0.2
_CONNECT_S = 20
_STAGES = {"embed": (0.05, 0.6), "verify": (0.65, 0.35), "extract": (0.05, 0.95)}
"""Where in the whole of a job a stage begins, and its share."""
_EMBEDDED = (
    *("method", "mode", "reason", "frames", "carrying"),
    *("payload_bytes", "digest", "verified", "notes"),
)
_PROBED = ("width", "height", "frames", "duration_s", "codec", "pix_fmt", "splice", "reason")
_END = r"(?![\w-]|\.\w)"  # of a path: nothing follows that belongs to it
_BELOW = r"(?:/[^\s:;,'\"()]+)?"
_ELSEWHERE = r"""'/[^']*'|"/[^"]*"|(?<![\w/.])/(?!/)[^\s:;,'"()]+"""

_SUFFIXES = {"mov,mp4": ".mp4", "matroska,webm": ".mkv", "mpegts": ".ts", "flv": ".flv"}


class ClusterError(VidstegaError):
    """There is no Dask scheduler where there should be one."""

    kind = "cluster"


def probe(task: dict[str, Any], send: Send) -> dict[str, Any]:
    """Predict what a job will take, or answer what a video carries or shows; refuse what cannot be done."""
    folder = Path(task["folder"])
    with _named(folder):
        if task["operation"] == "capacity":
            return _capacity(folder / COVER)
        if task["operation"] == "detect":
            return _detect(folder / COVER)
        scan = scan_file(folder / COVER)
        if task["operation"] == "extract":
            most = task["most_payload"]
            guess = ask.estimate_extraction(scan, method=task["method"], most_payload_bytes=most)
            return _needs(guess, "")
        size = (folder / PAYLOAD).stat().st_size
        suffix, guess = _embedding(scan, size, task)
        return _needs(guess, suffix)


def embed(task: dict[str, Any], send: Send) -> dict[str, Any]:
    """Hide the payload; the result is a file in the job's folder."""
    folder, out = Path(task["folder"]), f"stego-{task['attempt']}{task['suffix']}"
    how: dict[str, Any] = {
        "key": _key(folder),
        "method": _carrier(task),
        "spread": task["spread"],
        "progress": _Reporter(send),
    }
    with _named(folder), _engine(task["scheduler"]) as n_jobs:
        cover, stego, payload = folder / COVER, folder / out, folder / PAYLOAD
        result = engine.embed(cover, stego, payload, n_jobs=n_jobs, overwrite=True, **how)
    return _file(stego, f"hidden{task['suffix']}", _pick(result, _EMBEDDED))


def extract(task: dict[str, Any], send: Send) -> dict[str, Any]:
    """Recover the payload; the result is a file in the job's folder."""
    folder = Path(task["folder"])
    cover, out = folder / COVER, folder / f"payload-{task['attempt']}"
    how: dict[str, Any] = {
        "key": _key(folder),
        "method": task["method"],
        "out": out,
        "overwrite": True,
        "progress": _Reporter(send),
    }
    with _named(folder), _engine(task["scheduler"]) as n_jobs:
        result = engine.extract(cover, n_jobs=n_jobs, **how)
    text = _is_text(out)
    facts = {"text": text} | _pick(result, ("payload_bytes", "digest"))
    return _file(out, "message.txt" if text else "payload.bin", facts)


# -- helpers --------------------------------------------------------------------------------------------


def _capacity(cover: Path) -> dict[str, Any]:
    info, room = ask.probe(cover), ask.capacity(cover)
    rows = [_pick(row, ("method", "spread", "frames", "payload_bytes")) for row in room.rows]
    return {"payload_bytes": room.payload_bytes, "rows": rows} | _pick(info, _PROBED)


def _detect(cover: Path) -> dict[str, Any]:
    told = forensics(cover)
    return {"found": told.found, "by": told.by, "findings": [asdict(one) for one in told.findings]}


def _embedding(scan: Scan, payload_bytes: int, task: dict[str, Any]) -> tuple[str, Estimate]:
    """The extension of the result: as the upload was, or Matroska, which takes everything."""
    known = next((suffix for name, suffix in _SUFFIXES.items() if scan.format.startswith(name)), ".mkv")
    for suffix in (known, ".mkv"):
        try:
            container = container_of(Path(suffix.replace(".", "x.")))
            short = payload_bytes + OVERHEAD_BYTES
            wish = Wish(sealed_bytes(payload_bytes), task["spread"], container, short_bytes=short)
            return suffix, ask.estimate_embedding(scan, wish, _carrier(task))
        except UnsupportedError:
            if suffix == ".mkv":
                raise
    raise AssertionError("unreachable")


def _carrier(task: dict[str, Any]) -> str | Carrier:
    return Robust(survive=task["survive"]) if task["method"] == Robust.method else str(task["method"])


def _needs(guess: Estimate, suffix: str) -> dict[str, Any]:
    names = ("memory_bytes", "output_bytes", "disk_bytes", "mode")
    return _pick(guess, names) | {"suffix": suffix}


def _pick(record: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def _key(folder: Path) -> str:
    return (folder / KEY).read_bytes().decode()


def _file(path: Path, name: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {"file": path.name, "name": name, "bytes": path.stat().st_size} | facts


def _is_text(path: Path) -> bool:
    if path.stat().st_size > _MOST_TEXT:
        return False
    try:
        return "\0" not in path.read_bytes().decode()
    except UnicodeDecodeError:
        return False


@contextlib.contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Errors speak of "the video", not of a path on the server."""
    try:
        yield
    except PayloadError:
        raise
    except VidstegaError as error:
        raise type(error)(without_paths(str(error), folder)) from None


def without_paths(text: str, folder: Path) -> str:
    """`text` without a path of the server, where `folder` is a job's.

    Places that are known go first and as a whole, since their names may hold spaces; then all else that
    looks like an absolute path.

    Examples
    --------
    >>> print(without_paths("/my data/jobs/x/cover is none; /etc is full", Path("/my data/jobs/x")))
    the video is none; the server's disk is full
    """
    for name, words in ((COVER, "the video"), (PAYLOAD, "the payload")):
        text = re.sub(_any_of([place / name for place in _spellings([folder])]) + _END, words, text)
    known = _spellings([folder, *folder.parents, Path(tempfile.gettempdir())])
    text = re.sub(_any_of(known) + _BELOW + _END, _DISK, text)
    return re.sub(_ELSEWHERE, _DISK, text)


def _spellings(places: list[Path]) -> list[Path]:
    return [path for place in places for path in (place, place.resolve()) if path.name]


def _any_of(paths: list[Path]) -> str:
    """A pattern for one of these paths, plain or as `repr` writes it; what is within another goes first."""
    written = {text for path in paths for text in (str(path), repr(str(path))[1:-1])}
    return f"(?:{'|'.join(map(re.escape, sorted(written, key=len, reverse=True)))})"


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
