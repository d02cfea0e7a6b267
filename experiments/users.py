"""How many users a machine carries: vidstega's server, and the study's way as processes, under one budget.

    python experiments/users.py [--resolutions 480p 720p 1080p 1440p] [--budget 4G] [--out results/local]

Writes ``users.json`` beside the stress results (`vidstega.lab.users.UsersFile` says what is in it), from
where ``vidstega report`` takes it. Bounded by --most users and --seconds for each resolution and arm; a
quarter of an hour on two cores. Needs the extras ``service``, ``notebooks`` and ``test``; run it on an
idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

import vidstega
from vidstega.errors import VidstegaError
from vidstega.lab import make_cover, users
from vidstega.lab.arms import codec
from vidstega.lab.matrix import parse_resolution
from vidstega.lab.stamp import now, stamp
from vidstega.lab.users.records import SCHEMA, UsersFile
from vidstega.service.settings import parse_size

_LEVEL_S = 2 * users.LIMIT_S
"""A user who has no result by then gives up."""
_QUEUE = 64
_METHODS = {"splice": "lsb", "signs": "signs"}
"""What users of the server ask for, by arm."""
_CURRENT = """
import sys
from pathlib import Path
from vidstega.lab.arms import control
cover, stego, user, size, fourcc = sys.argv[1:]
from vidstega.lab.users import secret
key, message = secret(int(user))
control.hide(Path(cover), Path(stego), message[: int(size)], key, fourcc=fourcc)
"""


def main() -> int:
    """Measure, say what comes out as it comes, and write it down each time."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="users-", dir=args.scratch) as folder:
        for told in _measure(args, Path(folder)):
            whole = UsersFile.model_validate_json(json.dumps(told))
            text = whole.model_dump_json(by_alias=True, indent=1)
            (args.out / users.USERS).write_text(text + "\n", encoding="utf-8")
    return 0


def _measure(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "stamp": stamp().model_dump(),
        "created": now(),
        "budget_bytes": parse_size(args.budget),
        "limit_s": users.LIMIT_S,
        "workers": args.workers or os.cpu_count(),
        "frames": args.frames,
        "payload_bytes": args.payload,
        "bounds": {"users": args.most, "seconds": args.seconds, "level_s": _LEVEL_S},
        "storage_mb_s": _storage_mb_s(folder),
        "jobs": [],
        "carried": [],
        "levels": [],
        "crowd": None,
    }
    for resolution in args.resolutions:
        width, height = parse_resolution(resolution)
        cover = make_cover(folder / f"{resolution}.mp4", width=width, height=height, frames=args.frames)
        told["jobs"].append({"resolution": resolution} | _job(cover, folder, args.payload))
        for arm in args.arms:
            where = {"arm": arm, "resolution": resolution}
            if not (levels := _climb(arm, cover, folder, args)):
                continue
            count, why = users.carried(levels), users.ended(levels, args.most)
            print(f"{resolution} {arm}: {count} users ({why})", flush=True)
            told["levels"] += [where | one.model_dump() for one in levels]
            told["carried"].append(where | {"users": count, "ended": why})
            yield told
    if args.crowd:
        told["crowd"] = _crowd(folder, args)
        yield told


def _job(cover: Path, folder: Path, payload_bytes: int) -> dict[str, int]:
    """What a job is predicted to take of memory, and what one was seen to read and write."""
    before = psutil.Process().io_counters()
    how: dict[str, Any] = {"method": _METHODS["splice"], "progress": False}
    vidstega.embed(cover, folder / "one.mp4", os.urandom(payload_bytes), key="k", **how)
    after = psutil.Process().io_counters()
    (folder / "one.mp4").unlink()
    return {
        "memory_bytes": vidstega.estimate(cover, payload_bytes, method=_METHODS["splice"]).memory_bytes,
        "read_bytes": after.read_chars - before.read_chars,
        "written_bytes": after.write_chars - before.write_chars,
    }


def _storage_mb_s(folder: Path) -> float:
    """How fast a large file is written and synced here."""
    began = time.monotonic()
    with (folder / "large").open("wb") as file:
        for _ in range(256):
            file.write(bytes(1 << 20))
        os.fsync(file.fileno())
    (folder / "large").unlink()
    return 256 * (1 << 20) / 1e6 / (time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--resolutions", nargs="+", default=["480p", "720p", "1080p", "1440p"])
    add("--arms", nargs="+", default=["splice", "current"], choices=[*_METHODS, "current"])
    add("--frames", type=int, default=100)
    add("--payload", type=int, default=1000, metavar="BYTES")
    add("--budget", default="4G", help="memory for the server with all its jobs, or for all processes")
    add("--workers", type=int, help="jobs at a time (default: one a core)")
    add("--most", type=int, default=256, help="never more users than this")
    add("--seconds", type=float, default=180, help="no new level after so long, by resolution and arm")
    add("--crowd", type=int, default=100, help="users at once at 480p, limits in force; 0 leaves it out")
    add("--out", type=Path, default=Path("results/local"))
    add("--scratch", type=Path, help="folder for covers, uploads and results")
    return parser.parse_args()


def _climb(arm: str, cover: Path, folder: Path, args: argparse.Namespace) -> list[users.Level]:
    if arm == "current":
        return _climb_current(cover, folder, args)
    kept = folder / "kept"
    kept.mkdir(exist_ok=True)
    load = users.Load(cover, args.payload, seconds=_LEVEL_S, keep=kept, method=_METHODS[arm])
    options = (*_options(args), "--queue", str(2 * args.most), *users.NO_RATES)
    with users.serving(folder / f"data-{cover.stem}", *options) as server:
        users.level(server, load, 1)  # the first of all pays for a cold start
        return users.climb(
            lambda count: _said(users.level(server, load, count)), most=args.most, seconds=args.seconds
        )


def _climb_current(cover: Path, folder: Path, args: argparse.Namespace) -> list[users.Level]:
    """The study's application, one process a user: it has no server that would make anyone wait."""
    try:
        best = codec.pick_codec()
    except VidstegaError as error:
        print(f"no current arm: {error}", file=sys.stderr)
        return []

    def command(user: int) -> list[str]:
        stego = folder / f"current-{user}{best.suffix}"
        stego.unlink(missing_ok=True)
        what = (cover, stego, user, args.payload, best.fourcc)
        return [sys.executable, "-c", _CURRENT, *map(str, what)]

    def run(count: int) -> users.Level:
        budget = parse_size(args.budget)
        return _said(users.processes(command, count, budget_bytes=budget, seconds=_LEVEL_S, cwd=folder))

    return users.climb(run, most=args.most, seconds=args.seconds)


def _crowd(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Past capacity, with the limits in force: each is to end with a result or an honest refusal."""
    cover = make_cover(folder / "crowd.mp4", frames=args.frames)
    kept = folder / "kept-crowd"
    kept.mkdir()
    load = users.Load(cover, args.payload, tries=3, seconds=600, keep=kept, method=_METHODS["splice"])
    with users.serving(folder / "data-crowd", *_options(args), "--queue", str(_QUEUE)) as server:
        one = _said(users.level(server, load, args.crowd)).model_dump()
    return {"resolution": "480p", "queue": _QUEUE, "tries": load.tries} | one


def _options(args: argparse.Namespace) -> tuple[str, ...]:
    workers = ("--workers", str(args.workers)) if args.workers else ()
    return ("--memory-budget", args.budget, "--disk-quota", "50G", *workers)


def _said(one: users.Level) -> users.Level:
    outcomes = ", ".join(f"{count} {name}" for name, count in one.outcomes.items())
    print(
        f"  {one.users:4} users: {outcomes}, {one.refusals} refusals; p50 {one.p50_s or 0:.2f} s, "
        f"p95 {one.p95_s or 0:.2f} s, {one.per_minute:.0f} a minute, peak {one.peak_bytes / 2**20:,.0f} MiB, "
        f"{one.core_s:.1f} core-seconds, {one.read_back} read back {' '.join(one.errors)}",
        flush=True,
    )
    return one


if __name__ == "__main__":
    raise SystemExit(main())
