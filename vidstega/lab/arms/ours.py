"""Arms that are vidstega itself: a method, how far it spreads, and with how many workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from vidstega.lab.arms.base import Arm, Did, Job, Planes, Task, same_payload


def vidstega_arm(
    name: str, about: str, look: Mapping[str, Any], guess_s: float, alone: str = "", **how: Any
) -> Arm:
    """An arm that calls `vidstega.embed` with `how`, such as ``method="lsb", spread="all"``."""
    return Arm(
        name=name,
        kind="vidstega",
        about=about,
        hide=partial(_hide, how),
        read=_read,
        needs=partial(_needs, how),
        look=look,
        guess_s=guess_s,
        modules=("vidstega",),
        frames=luma_frames,
        alone=alone,
    )


def _hide(how: Mapping[str, Any], job: Job) -> Did:
    import vidstega

    done = vidstega.embed(
        job.cover, job.stego, job.message, key=job.key, n_jobs=job.workers, progress=False, **how
    )
    return Did(
        stages=done.seconds,
        frames=done.frames,
        frames_coded={"transcode": done.frames, "splice": done.carrying}.get(done.mode, 0),
        mode=done.mode,
        reason=done.reason,
        frames_used=done.carrying,
        sealed_bytes=done.sealed_bytes,
        alpha=done.alpha,
    )


def _read(job: Job) -> str:
    import vidstega

    payload = vidstega.extract(job.stego, key=job.key, n_jobs=job.workers, progress=False)
    assert isinstance(payload, bytes)
    return same_payload(job, payload)


def _needs(how: Mapping[str, Any], task: Task) -> tuple[float, float]:
    import vidstega

    try:
        told = vidstega.estimate(task.cover, task.payload_bytes, n_jobs=task.workers, **how)
    except vidstega.VidstegaError:  # it cannot be done; the run will say why
        return 0.0, 0.0
    return told.memory_bytes, told.disk_bytes


def luma_frames(path: str) -> Iterator[tuple[Planes, int]]:
    """The luma of each frame, and its depth in bits."""
    import vidstega

    for frame in vidstega.frames(path):
        yield (frame.luma,), frame.depth
