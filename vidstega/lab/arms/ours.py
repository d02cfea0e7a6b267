"""Arms that are vidstega itself: a method, how far it spreads, and with how many workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import vidstega
from vidstega import carriers
from vidstega.errors import CapacityError, UnsupportedError
from vidstega.lab.arms.base import Arm, Did, Job, same_payload
from vidstega.lab.quality import Planes


def vidstega_arm(name: str, look: Mapping[str, Any], alone: str = "", short: bool = False, **how: Any) -> Arm:
    """An arm that calls `vidstega.embed` with `how`, such as ``method="lsb", spread="all"``."""

    def hide(job: Job) -> Did:
        done = vidstega.embed(
            job.cover, job.stego, job.message, key=job.key, n_jobs=job.workers, progress=False, **how
        )
        return Did(
            stages=done.seconds,
            frames=done.frames,
            frames_coded={"splice": done.carrying, "patch": 0, "remux": 0}.get(done.mode, done.frames),
            mode=done.mode,
            reason=done.reason,
            frames_used=done.carrying,
            encrypted_size=done.sealed_bytes,
            alpha=done.alpha,
        )

    def needs(job: Job) -> tuple[float, float]:
        return estimate(job, job.payload_bytes, n_jobs=job.workers, **how)

    def read(job: Job) -> str:
        named = None if carriers.get(how["method"]).searched else how["method"]
        payload = vidstega.extract(job.stego, key=job.key, method=named, n_jobs=job.workers, progress=False)
        assert isinstance(payload, bytes)
        return same_payload(job, payload)

    return Arm(name, "vidstega", look, hide, read, needs, luma_frames, alone, short)


def estimate(job: Job, payload_bytes: int, **how: Any) -> tuple[float, float]:
    """Bytes of memory and disk by `vidstega.estimate`.

    Raises CapacityError or UnsupportedError where the cover is nothing for it; none else, the run will say
    why.
    """
    try:
        told = vidstega.estimate(job.cover, payload_bytes, **how)
    except (CapacityError, UnsupportedError):
        raise
    except vidstega.VidstegaError:
        return 0.0, 0.0
    return told.memory_bytes, told.disk_bytes


def luma_frames(path: str) -> Iterator[tuple[Planes, int]]:
    """The luma of each frame, and its depth in bits."""
    for frame in vidstega.frames(path):
        yield (frame.luma,), frame.depth
