"""What an arm is: how it hides, how its file is read back, what it needs, how it is drawn."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidstega.errors import VidstegaError

MIB = 1 << 20
Planes = tuple[Any, ...]
"""Arrays of shape (height, width): the samples an arm may change, in one frame."""


@dataclass(frozen=True)
class Job:
    """What a fresh process is told to do: paths and numbers."""

    cover: str
    stego: str
    payload: str | None = None
    sha256: str = ""
    key: str = ""
    fourcc: str = ""
    batch: int = 10
    workers: int = 1

    @property
    def message(self) -> bytes:
        """The payload itself."""
        return Path(self.payload).read_bytes() if self.payload else b""


@dataclass(frozen=True)
class Did:
    """What an arm did, with wall seconds by stage."""

    stages: dict[str, float]
    frames: int
    frames_coded: int
    mode: str
    reason: str
    frames_used: int = 0
    sealed_bytes: int = 0
    alpha: float | None = None
    capacity_bytes: int | None = None


@dataclass(frozen=True)
class Task:
    """A run before it begins, for predictions: the cover, how much is hidden, by how many."""

    cover: str
    width: int
    height: int
    frames: int
    bytes: int
    payload_bytes: int
    workers: int = 1
    batch: int = 10


@dataclass(frozen=True)
class Arm:
    """One way to write a video.

    Parameters
    ----------
    kind : "control" (the study's way), "vidstega", or "limit" (carries nothing)
    about : one sentence for the guide
    hide : writes `Job.stego`
    read : reads it back, raises if it is not what it should be, and says what was compared
    needs : bytes of memory and of disk at its peak, on the safe side
    frames : the planes it may change, frame by frame, and their depth
    look : of its lines in figures
    guess_s : seconds for 100 megapixels with reading back, for the bar's guess of what is left
    modules : imported before anything is measured
    alone : the arm that is the same with one worker
    """

    name: str
    kind: str
    about: str
    hide: Callable[[Job], Did]
    read: Callable[[Job], str]
    needs: Callable[[Task], tuple[float, float]]
    look: Mapping[str, Any]
    guess_s: float
    modules: tuple[str, ...] = ()
    frames: Callable[[str], Iterator[tuple[Planes, int]]] | None = None
    alone: str = ""

    @property
    def domain(self) -> str:
        """The samples that quality is measured in."""
        return "bgr" if self.kind == "control" else "luma"


class MissingError(VidstegaError):
    """A package or a system library that the lab needs is not there; the message says what to install."""


class Different(Exception):
    """What was read back is not what was meant."""


def same_payload(job: Job, payload: bytes) -> str:
    """Whether this is what was hidden."""
    if hashlib.sha256(payload).hexdigest() != job.sha256:
        raise Different(f"{len(payload):,} bytes came back, but not those that were hidden")
    return "payload"


@dataclass
class Clock:
    """Seconds by stage: each `lap` adds what passed since the one before."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
