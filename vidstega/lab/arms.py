"""The arms of the stress matrix, each run in a process of its own: ``python -m vidstega.lab.arms ARM``.

The process imports what its arm needs, writes ``{"ready": ...}``, and then answers jobs line by line
(see `measure.Worker`): ``hide`` writes a file, ``read`` reads one back and compares it, ``quality`` compares
carrying frames with the cover's. A failed job answers ``{"error": "Kind: message"}``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vidstega.clock import Clock

ARMS = (
    "current",
    "current+streaming",
    "current+parallel",
    "whole",
    "whole+parallel",
    "splice",
    "floor",
    "copy",
)
"""In the order of the report. `floor` and `copy` carry nothing: they are the limits of what I/O costs."""

LIMITS = ("floor", "copy")
PARALLEL = {"current+parallel": "current", "whole+parallel": "whole"}
"""Arms with several workers, and the arm that is the same with one."""

QUALITY_FRAMES = 3
"""Carrying frames that are compared; they are spread evenly over all that carry."""

Job = dict[str, Any]


def is_control(arm: str) -> bool:
    """Whether this arm is the study's present system or a variant of it."""
    return arm.startswith("current")


# -- hiding ---------------------------------------------------------------------------------------------


def hide(arm: str, job: Job) -> Job:
    """Do what the arm does to `job["cover"]`, and leave it in `job["stego"]`."""
    message = Path(job["payload"]).read_bytes() if job.get("payload") else b""
    cover, stego = Path(job["cover"]), Path(job["stego"])
    started = time.perf_counter()
    if is_control(arm):
        reply = _hide_control(arm, cover, stego, message, job)
    elif arm in LIMITS:
        reply = _LIMITS[arm](cover, stego)
    else:
        reply = _hide_vidstega(arm, cover, stego, message, job)
    return {"wall_s": time.perf_counter() - started, "bytes_out": stego.stat().st_size, **reply}


def _hide_control(arm: str, cover: Path, stego: Path, message: bytes, job: Job) -> Job:
    from vidstega.lab import baseline

    done = baseline.hide(
        cover, stego, message, job["key"],
        fourcc=job["fourcc"], variant=arm.partition("+")[2] or "read_all",
        batch=job["batch"], workers=job["workers"],
    )  # fmt: skip
    samples = 3 * done.size[0] * done.size[1]
    return {
        "stages": done.seconds,
        "frames": done.frames,
        "frames_used": done.frames_used,
        "frames_coded": done.frames,
        "sealed_bytes": done.sealed_bytes,
        "capacity_bytes": done.capacity_bytes,
        "alpha": 8 * done.sealed_bytes / (done.frames_used * samples),
        "mode": "re-write",
        "reason": f"OpenCV writes every frame as {job['fourcc']}, without sound",
    }


def _hide_vidstega(arm: str, cover: Path, stego: Path, message: bytes, job: Job) -> Job:
    import vidstega

    spread = "fewest" if arm == "splice" else "all"
    n_jobs = job["workers"] if arm in PARALLEL else 1
    how: Job = {"method": "lsb", "spread": spread, "n_jobs": n_jobs, "progress": False}
    done = vidstega.embed(cover, stego, message, key=job["key"], **how)
    return {
        "stages": done.seconds,
        "frames": done.frames,
        "frames_used": done.carrying,
        "frames_coded": done.carrying if done.mode == "splice" else done.frames,
        "sealed_bytes": done.sealed_bytes,
        "alpha": done.alpha,
        "mode": done.mode,
        "reason": done.reason,
    }


def _floor(cover: Path, stego: Path) -> Job:
    """What `whole` does, with nothing to carry and no check: its segments, its codec, its one thread."""
    from vidstega.carriers import get
    from vidstega.carriers.base import Wish
    from vidstega.media.mux import container_of
    from vidstega.media.rewrite import piece_of, rewrite
    from vidstega.media.scan import scan as scan_file
    from vidstega.pool import Pool, Work
    from vidstega.progress import Progress

    clock = Clock()
    scan = scan_file(cover)
    clock.lap("probe")
    plan: Any = get("lsb").plan(scan, Wish(64, "all", container_of(stego)))
    clock.lap("plan")
    with tempfile.TemporaryDirectory(prefix=".floor-", dir=stego.parent) as folder:
        target = Path(folder) / f"floor{stego.suffix}"
        pieces = [piece_of(scan, stretch.span) for stretch in plan.stretches]
        work = Work(Pool(1), Path(folder), Progress(False), digest=False)
        done = rewrite(scan, target, pieces, plan.recipe, work)
        target.replace(stego)
    clock.add(done.seconds)
    return {
        "stages": clock.seconds,
        "frames": plan.frames,
        "frames_coded": plan.frames,
        "mode": "limit",
        "reason": "every frame decoded and coded again as in `whole`, nothing embedded",
    }


def _copy(cover: Path, stego: Path) -> Job:
    """Every packet of every stream from one file into another."""
    import av

    from vidstega.media.open import best_video, reading

    clock, frames = Clock(), 0
    with reading(cover) as source, av.open(str(stego), "w") as output:
        streams = {s.index: output.add_stream_from_template(s, opaque=True) for s in source.streams}
        carrying = best_video(source).index
        for packet in source.demux():
            if packet.size:
                frames += packet.stream_index == carrying
                packet.stream = streams[packet.stream_index]
                output.mux_one(packet)
    with stego.open("rb+") as file:
        os.fsync(file.fileno())
    clock.lap("mux")
    return {
        "stages": clock.seconds,
        "frames": frames,
        "frames_coded": 0,
        "mode": "limit",
        "reason": "every packet copied",
    }


_LIMITS: dict[str, Callable[[Path, Path], Job]] = {"floor": _floor, "copy": _copy}


# -- reading back ---------------------------------------------------------------------------------------


def read(arm: str, job: Job) -> Job:
    """Read `job["stego"]` back and compare it with what it should hold; raises if it does not."""
    stego = Path(job["stego"])
    started = time.perf_counter()
    if arm in LIMITS:
        compared = _compare_limit(arm, Path(job["cover"]), stego)
        return {"wall_s": time.perf_counter() - started, "compared": compared}
    payload = _recover(arm, stego, job)
    wall_s = time.perf_counter() - started
    if hashlib.sha256(payload).hexdigest() != job["sha256"]:
        raise _Different(f"{len(payload):,} bytes came back, but not those that were hidden")
    return {"wall_s": wall_s, "compared": "payload"}


class _Different(Exception):
    """What was read back is not what was meant."""


def _recover(arm: str, stego: Path, job: Job) -> bytes:
    if is_control(arm):
        from vidstega.lab import baseline

        batch = job["batch"] if arm == "current+streaming" else None
        return baseline.recover(stego, job["key"], batch=batch)
    import vidstega

    n_jobs = job["workers"] if arm in PARALLEL else 1
    return vidstega.extract(stego, key=job["key"], n_jobs=n_jobs, progress=False)


def _compare_limit(arm: str, cover: Path, stego: Path) -> str:
    import numpy as np

    from vidstega.media import compare as checks
    from vidstega.media.scan import scan
    from vidstega.progress import Progress

    before, after = scan(cover, digest=True), scan(stego, digest=True)
    packets = np.zeros(len(before.packets), bool) if arm == "copy" else None
    nothing = checks.Promise(packets, np.zeros(len(before.pts), bool))
    checks.compare_streams(before, after, nothing)
    if arm == "copy":
        return "packets"
    checks.compare_frames(before, after, nothing, Progress(False))
    return "every frame"


# -- quality --------------------------------------------------------------------------------------------


def quality(arm: str, job: Job) -> Job:
    """Compare some carrying frames with the cover's: in the samples the arm embeds in."""
    cover, stego = Path(job["cover"]), Path(job["stego"])
    import numpy as np

    from vidstega.lab import quality as measures

    pairs, depth = (_control_pairs if is_control(arm) else _luma_pairs)(cover, stego, job)
    rows: list[dict[str, float]] = []
    for before, after in pairs:
        planes = [(before, after)]
        if before.ndim == 3:
            planes = [(before[..., channel], after[..., channel]) for channel in range(3)]
        rows += [
            {
                "mse": measures.mse(a, b),
                "ssim": measures.ssim(a, b, depth) if min(a.shape) >= 11 else math.nan,
                "change_rate": measures.change_rate(a, b),
                "ws_alpha": measures.estimate_alpha(b),
                "ws_alpha_cover": measures.estimate_alpha(a),
            }
            for a, b in planes
        ]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    error = mean.pop("mse")
    psnr = 10 * math.log10((2**depth - 1) ** 2 / error) if error else None
    domain = "bgr" if is_control(arm) else "luma"
    reply = {**mean, "psnr_db": psnr, "quality_frames": len(rows) // (3 if is_control(arm) else 1)}
    if not is_control(arm):
        import vidstega

        reply["capacity_bytes"] = vidstega.capacity(cover).payload_bytes
    return {**reply, "quality_domain": domain}


def _even(numbers: Any) -> list[int]:
    """At most `QUALITY_FRAMES` of the numbers, evenly spaced, ascending."""
    import numpy as np

    at = np.linspace(0, len(numbers) - 1, min(QUALITY_FRAMES, len(numbers))).round().astype(int)
    return sorted({int(numbers[k]) for k in at})


def _control_pairs(cover: Path, stego: Path, job: Job) -> tuple[Iterator[Any], int]:
    from vidstega.lab import baseline

    wanted = _even(range(job["frames_used"]))
    pairs = zip(baseline.read_frames(cover, wanted), baseline.read_frames(stego, wanted), strict=True)
    return pairs, 8


def _luma_pairs(cover: Path, stego: Path, job: Job) -> tuple[Iterator[Any], int]:
    import numpy as np

    import vidstega
    from vidstega.carriers import get
    from vidstega.media.scan import scan as scan_file
    from vidstega.seal import Key

    before, scan, carrier = scan_file(cover), scan_file(stego), get("lsb")
    _, promise = carrier.promise(before, scan, carrier.locate(scan, Key(job["key"])))
    carrying = np.flatnonzero(promise.frames)
    wanted = _even(np.sort(carrying))

    def pairs() -> Iterator[Any]:
        for number in wanted:
            (before,), (after,) = (vidstega.frames(path, number, number + 1) for path in (cover, stego))
            yield before.luma, after.luma

    return pairs(), scan.depth


# -- the process ----------------------------------------------------------------------------------------


def _codec(arm: str, job: Job) -> Job:
    """Which codec the control arm writes here, and how all did that were tried."""
    from vidstega.lab import baseline

    best, trials = baseline.pick_codec()
    return {**dataclasses.asdict(best), "trials": [dataclasses.asdict(trial) for trial in trials]}


def _fail(arm: str, job: Job) -> Job:
    """For tests: a job that fails as told to."""
    if job.get("how") == "die":
        os._exit(3)
    raise RuntimeError(f"{arm} fails because it was asked to")


_JOBS: dict[str, Callable[[str, Job], Job]] = {
    "hide": hide,
    "read": read,
    "quality": quality,
    "codec": _codec,
    "fail": _fail,
}


def _load(arm: str) -> Job:
    """Import all the arm will need, so that importing is no part of what is measured."""
    if is_control(arm):
        from vidstega.lab import baseline

        baseline.load_opencv()
        if arm in PARALLEL:
            importlib.import_module("joblib")
    else:
        importlib.import_module("vidstega")
    return {"ready": arm}


def main() -> None:
    """Answer jobs until the input ends."""
    arm = sys.argv[1]
    out = os.fdopen(os.dup(1), "w")  # what libraries print must not get between the answers
    os.dup2(2, 1)

    def answer(reply: Job) -> None:
        out.write(json.dumps(reply, default=float) + "\n")
        out.flush()

    def guarded(work: Callable[[], Job]) -> None:
        try:
            reply = work()
        except Exception as error:
            reply = {"error": f"{type(error).__name__.lstrip('_')}: {error}"}
        answer(reply)

    guarded(lambda: _load(arm))
    for line in sys.stdin:
        job = json.loads(line)
        guarded(lambda job=job: _JOBS[job["do"]](arm, job))  # type: ignore[misc]


if __name__ == "__main__":
    main()
