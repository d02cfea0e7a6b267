"""How many users a machine carries: vidstega's server, and the study's way as processes, under one budget.

    python experiments/users.py [--resolutions 480p 720p 1080p 1440p] [--budget 4G] [--out results/local]

Writes ``users.json`` beside the stress results. Bounded by --most users, --seconds a resolution and arm.
Needs the extras ``service`` and ``notebooks`` and the test extra's httpx; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidstega.errors import VidstegaError
from vidstega.lab import baseline, users
from vidstega.lab.config import parse_resolution
from vidstega.lab.stamp import stamp
from vidstega.lab.synth import make_cover
from vidstega.predict import estimate
from vidstega.service.settings import parse_size

_CURRENT = """
import sys
from pathlib import Path
from vidstega.lab import baseline
cover, stego, user, size, fourcc = sys.argv[1:]
from vidstega.lab.users import secret
key, message = secret(int(user))
baseline.hide(Path(cover), Path(stego), message[: int(size)], key, fourcc=fourcc)
"""


def main() -> int:
    """Measure, say what comes out as it comes, and write it down."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {
        "stamp": stamp(), "budget_bytes": parse_size(args.budget), "limit_s": users.LIMIT_S,
        "frames": args.frames, "payload_bytes": args.payload, "carried": [], "levels": [], "needs": [],
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="users-", dir=args.scratch) as folder:
        for resolution in args.resolutions:
            width, height = parse_resolution(resolution)
            cover = Path(folder) / f"{resolution}.mp4"
            make_cover(cover, width=width, height=height, frames=args.frames)
            for arm in args.arms:
                levels = _climb(arm, cover, Path(folder), args)
                told["levels"] += [{"arm": arm, "resolution": resolution} | one.row() for one in levels]
                if levels:
                    count = users.carried(levels)
                    told["carried"].append({"arm": arm, "resolution": resolution, "users": count})
                    print(f"{resolution} {arm}: {count} users", flush=True)
                if levels and arm == "splice":
                    cost = users.Cost.of(levels[-1], estimate(cover, args.payload).memory_bytes)
                    for count in (50, 100):
                        told["needs"].append(
                            {"resolution": resolution} | asdict(cost) | asdict(users.need(count, cost))
                        )
        if args.crowd:
            told["crowd"] = _crowd(Path(folder), args)
    (args.out / "users.json").write_text(json.dumps(told, indent=1) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--resolutions", nargs="+", default=["480p", "720p", "1080p", "1440p"])
    add("--arms", nargs="+", default=["splice", "current"], choices=["splice", "current"])
    add("--frames", type=int, default=100)
    add("--payload", type=int, default=1000, metavar="BYTES")
    add("--budget", default="4G", help="memory for the server with all its jobs, or for all processes")
    add("--workers", type=int, help="jobs at a time (default: one a core)")
    add("--most", type=int, default=128, help="never more users than this")
    add("--seconds", type=float, default=600, help="no new level after so long, by resolution and arm")
    add(
        "--crowd",
        type=int,
        default=100,
        help="users at once at 480p with the limits in force; 0 leaves it out",
    )
    add("--out", type=Path, default=Path("results/local"))
    add("--scratch", type=Path, help="folder for covers, uploads and results")
    return parser.parse_args()


def _climb(arm: str, cover: Path, folder: Path, args: argparse.Namespace) -> list[users.Level]:
    if arm == "current":
        return _climb_current(cover, folder, args)
    kept = folder / "kept"
    kept.mkdir(exist_ok=True)
    load = users.Load(cover, args.payload, seconds=4 * users.LIMIT_S, keep=kept)
    options = (*_options(args), "--queue", str(2 * args.most), *users.NO_RATES)
    with users.serving(folder / f"data-{cover.stem}", *options) as server:
        users.level(server, load, 1)  # the first of all pays for a cold start
        return users.climb(
            lambda count: _said(users.level(server, load, count)), most=args.most, seconds=args.seconds
        )


def _climb_current(cover: Path, folder: Path, args: argparse.Namespace) -> list[users.Level]:
    """The study's application, one process a user: it has no server that would make anyone wait."""
    try:
        codec, _ = baseline.pick_codec()
    except VidstegaError as error:
        print(f"no current arm: {error}", file=sys.stderr)
        return []

    def command(user: int) -> list[str]:
        stego = folder / f"current-{user}{codec.suffix}"
        stego.unlink(missing_ok=True)
        return [
            sys.executable,
            "-c",
            _CURRENT,
            str(cover),
            str(stego),
            str(user),
            str(args.payload),
            codec.fourcc,
        ]

    def run(count: int) -> users.Level:
        budget = parse_size(args.budget)
        return _said(
            users.processes(command, count, budget_bytes=budget, seconds=4 * users.LIMIT_S, cwd=folder)
        )

    return users.climb(run, most=args.most, seconds=args.seconds)


def _crowd(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Past capacity, with the limits in force: all end with a result or an honest refusal."""
    cover = make_cover(folder / "crowd.mp4", frames=args.frames)
    kept = folder / "kept-crowd"
    kept.mkdir()
    load = users.Load(cover, args.payload, tries=3, seconds=600, keep=kept)
    with users.serving(folder / "data-crowd", *_options(args), "--queue", "64") as server:
        return _said(users.level(server, load, args.crowd)).row()


def _options(args: argparse.Namespace) -> tuple[str, ...]:
    workers = ("--workers", str(args.workers)) if args.workers else ()
    return ("--memory-budget", args.budget, "--disk-quota", "50G", *workers)


def _said(one: users.Level) -> users.Level:
    outcomes = ", ".join(f"{count} {name}" for name, count in one.outcomes.items())
    print(
        f"  {one.users:4} users: {outcomes}; p50 {one.p50_s:.2f} s, p95 {one.p95_s:.2f} s, "
        f"{one.per_minute:.0f} a minute, peak {one.peak_bytes / users.MIB:,.0f} MiB, "
        f"{one.core_s:.1f} core-seconds, {one.read_back} read back {' '.join(one.errors)}",
        flush=True,
    )
    return one


if __name__ == "__main__":
    raise SystemExit(main())
