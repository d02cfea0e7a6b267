"""What an arm is: how it hides, how its file is read back, what it needs, how it is drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidstega.errors import VidstegaError
from vidstega.lab.quality import Frames

MIB = 1 << 20


@dataclass(frozen=True)
class Job:
    """What a fresh process is told to do: paths and numbers. Pixels and frames are the cover's."""

    cover: str
    stego: str
    payload: str | None = None
    sha256: str = ""
    key: str = ""
    fourcc: str = ""
    batch: int = 10
    workers: int = 1
    pixels: int = 0
    frames: int = 0

    @property
    def message(self) -> bytes:
        """The payload itself."""
        return Path(self.payload).read_bytes() if self.payload else b""

    @property
    def payload_bytes(self) -> int:
        """Its size."""
        return Path(self.payload).stat().st_size if self.payload else 0


@dataclass(frozen=True)
class Did:
    """What an arm did, by the names of a row; `frames` are those of the file it wrote."""

    stages: dict[str, float]
    frames: int
    frames_coded: int
    mode: str
    reason: str
    frames_used: int = 0
    encrypted_size: int = 0
    alpha: float | None = None
    capacity_bytes: int | None = None


@dataclass(frozen=True)
class Arm:
    """One way to write a video.

    Parameters
    ----------
    kind : "control" (the study's way), "vidstega", or "limit" (carries nothing)
    look : of its lines in figures
    hide : writes `Job.stego`
    read : reads it back, raises if it is not what it should be, and says what was compared
    needs : bytes of memory and of disk at its peak, on the safe side
    frames : the planes it may change; of a limit, None
    alone : the arm that is the same with one worker
    short : whether it holds less than the others do, and so runs where it is asked for by name
    """

    name: str
    kind: str
    look: Mapping[str, Any]
    hide: Callable[[Job], Did]
    read: Callable[[Job], str]
    needs: Callable[[Job], tuple[float, float]]
    frames: Frames | None = None
    alone: str = ""
    short: bool = False


class MissingError(VidstegaError):
    """A package or a system library that the lab needs is not there; the message says what to install."""


class Different(Exception):
    """What was read back is not what was meant."""


def same_payload(job: Job, payload: bytes) -> str:
    """Whether this is what was hidden."""
    if hashlib.sha256(payload).hexdigest() != job.sha256:
        raise Different(f"{len(payload):,} bytes came back, but not those that were hidden")
    return "payload"
