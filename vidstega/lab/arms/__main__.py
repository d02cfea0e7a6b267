"""One arm in a process of its own: ``python -m vidstega.lab.arms ARM``.

The process imports what its arm needs, writes ``{"ready": ...}``, and then answers jobs line by line
(see `vidstega.lab.run.process.Worker`). A failed job answers ``{"error": "Kind: message"}``.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidstega.lab.arms import ARMS
from vidstega.lab.arms.base import Arm, Job

Reply = dict[str, Any]


def hide(arm: Arm, job: Job, **_: Any) -> Reply:
    """Do what the arm does to the cover."""
    started = time.perf_counter()
    did = arm.hide(job)
    wall_s = time.perf_counter() - started
    return {"wall_s": wall_s, "bytes_out": Path(job.stego).stat().st_size, **dataclasses.asdict(did)}


def read(arm: Arm, job: Job, **_: Any) -> Reply:
    """Read the result back and compare it with what it should hold."""
    started = time.perf_counter()
    compared = arm.read(job)
    return {"compared": compared, "wall_s": time.perf_counter() - started}


def quality(arm: Arm, job: Job, frames_used: int) -> Reply:
    """What the message did to the frames that changed; and what would have fitted."""
    from vidstega.lab.arms.quality import compare

    seen = compare(arm, job, frames_used)
    if arm.kind == "vidstega":
        import vidstega

        seen["capacity_bytes"] = vidstega.capacity(job.cover).payload_bytes
    return seen


def codec(arm: Arm, job: Job, **_: Any) -> Reply:
    """Which codec the control arms write here, and how all did that were tried."""
    from vidstega.lab.arms.codec import pick_codec

    best, trials = pick_codec()
    return {**dataclasses.asdict(best), "trials": [dataclasses.asdict(trial) for trial in trials]}


def fail(arm: Arm, job: Job, how: str = "") -> Reply:
    """For tests: a job that fails as told to."""
    if how == "die":
        os._exit(3)
    raise RuntimeError(f"{arm.name} fails because it was asked to")


_TASKS: dict[str, Callable[..., Reply]] = {
    "hide": hide,
    "read": read,
    "quality": quality,
    "codec": codec,
    "fail": fail,
}


def _load(arm: Arm) -> Reply:
    """Import all the arm will need, so that importing is no part of what is measured."""
    if arm.kind == "control":
        from vidstega.lab.arms import control

        control.load_opencv()
    for module in arm.modules:
        importlib.import_module(module)
    return {"ready": arm.name}


def _answer(line: str, arm: Arm) -> Reply:
    asked = json.loads(line)
    task, job = _TASKS[asked.pop("do")], Job(**asked.pop("job", {"cover": "", "stego": ""}))
    return task(arm, job, **asked)


def _guarded(work: Callable[[], Reply]) -> Reply:
    try:
        return work()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer jobs until the input ends."""
    arm = ARMS[sys.argv[1]]
    out = os.fdopen(os.dup(1), "w")  # what libraries print must not get between the answers
    os.dup2(2, 1)
    print(json.dumps(_guarded(lambda: _load(arm))), file=out, flush=True)
    for line in sys.stdin:
        reply = _guarded(lambda line=line: _answer(line, arm))  # type: ignore[misc]
        print(json.dumps(reply, default=float), file=out, flush=True)


if __name__ == "__main__":
    main()
