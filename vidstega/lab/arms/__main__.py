"""One arm in a process of its own: ``python -m vidstega.lab.arms ARM``.

The process loads what its arm needs, writes ``{"ready": ...}``, and then answers jobs line by line
(see `vidstega.lab.runner.process.Worker`). A failed job answers ``{"error": "Kind: message"}``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import vidstega
from vidstega import carriers
from vidstega.lab.arms import ARMS, control
from vidstega.lab.arms.base import Arm, Job

Reply = dict[str, Any]


def hide(arm: Arm, job: Job) -> Reply:
    """Do what the arm does to the cover."""
    started = time.perf_counter()
    did = arm.hide(job)
    took = time.perf_counter() - started
    return {"total_time": took, "bytes_out": Path(job.stego).stat().st_size, **asdict(did)}


def read(arm: Arm, job: Job) -> Reply:
    """Read the result back and compare it with what it should hold."""
    started = time.perf_counter()
    compared = arm.read(job)
    return {"compared": compared, "readback_s": time.perf_counter() - started}


def quality(arm: Arm, job: Job, frames_used: int) -> Reply:
    """What the message did to the frames that changed; and what would have fitted."""
    from vidstega.lab.quality import compare

    assert arm.frames is not None
    seen: Reply = dict(compare(arm.frames, job.cover, job.stego, frames_used))
    if arm.kind == "vidstega":
        seen["capacity_bytes"] = vidstega.capacity(job.cover).payload_bytes
    return seen


def codec(arm: Arm, job: Job) -> Reply:
    """Which codec the control arms write here, and how all did that were tried."""
    from vidstega.lab.arms.codec import pick_codec

    return pick_codec().model_dump()


_TASKS: dict[str, Callable[..., Reply]] = {"hide": hide, "read": read, "quality": quality, "codec": codec}


def _load(arm: Arm) -> Reply:
    """Importing is no part of what is measured."""
    if arm.kind == "control":
        control.load_opencv()
    elif arm.name in carriers.names():
        for name in carriers.get(arm.name).kernels:
            import_module(name)
    return {"ready": arm.name}


def _answer(line: str, arm: Arm) -> Reply:
    asked = json.loads(line)
    return _TASKS[asked.pop("do")](arm, Job(**asked.pop("job", {"cover": "", "stego": ""})), **asked)


def _guarded(work: Callable[..., Reply], *arguments: Any) -> Reply:
    try:
        return work(*arguments)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer jobs until the input ends."""
    arm = ARMS[sys.argv[1]]
    out = os.fdopen(os.dup(1), "w")  # what libraries print must not get between the answers
    os.dup2(2, 1)
    print(json.dumps(_guarded(_load, arm)), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(_guarded(_answer, line, arm), default=float), file=out, flush=True)


if __name__ == "__main__":
    main()
