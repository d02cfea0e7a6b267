"""The commands `stress` and `report`. Nothing heavy is imported until one of them runs."""

from __future__ import annotations

import argparse
from typing import Any

OUT = "results/local"


def add_parsers(commands: Any) -> None:
    """Add `stress` and `report` to a command line's subparsers."""
    stress = commands.add_parser(
        "stress", help="measure a matrix of videos and payloads", allow_abbrev=False,
        description="Measure a matrix of videos, payloads and arms, and write the report. Goes on "
        "where it was interrupted; experiments/README.md is the guide.",
    )  # fmt: skip
    stress.add_argument(
        "--config", default="smoke", metavar="NAME",
        help="smoke (default), standard, full, or the path of a .toml file",
    )  # fmt: skip
    stress.add_argument(
        "--only", action="append", default=[], metavar="TERM",
        help="runs that this names, such as 1440p, splice, 1440p/100/1KB or 720p,floor; can be repeated",
    )  # fmt: skip
    stress.add_argument(
        "--cover", action="append", default=[], metavar="VIDEO",
        help="measure your own video instead of synthetic ones; can be repeated",
    )  # fmt: skip
    stress.add_argument("--out", default=OUT, metavar="DIR", help=f"where results go (default: {OUT})")
    stress.add_argument("--repeats", type=int, metavar="N", help="run everything so many times")
    stress.add_argument("--quiet", action="store_true", help="no progress and no summary")
    stress.set_defaults(run=_stress)
    report = commands.add_parser(
        "report", help="write analysis_report.md from the results in a folder", allow_abbrev=False,
        description="Rewrite DIR/analysis_report.md and its figures from DIR/stress_test_results.json.",
    )  # fmt: skip
    report.add_argument("dir", nargs="?", default=OUT, metavar="DIR", help=f"folder (default: {OUT})")
    report.set_defaults(run=_report)


def _stress(args: argparse.Namespace) -> int:
    from vidstega.lab import config, matrix

    chosen = config.load(args.config)
    chosen = config.change(chosen, covers=args.cover, repeats=args.repeats)
    data = matrix.run(
        chosen, args.out, only=args.only, progress=False if args.quiet else None,
        say=(lambda _: None) if args.quiet else print,
    )  # fmt: skip
    if not args.quiet:
        print(matrix.summary(data))
        _print_report(args.out)
    failed = sum(not row["success"] for row in data["rows"])
    if failed:
        print(f"{failed} runs failed; their rows in {args.out}/{matrix.RESULTS} say why")
    return 1 if failed else 0


def _print_report(out: str) -> None:
    """Write the report, show its support matrix, and say where everything is."""
    from vidstega.lab.report import write_report

    path = write_report(out)
    title = "## Resolution support matrix"
    section = path.read_text(encoding="utf-8").partition(title)[2].partition("\n## ")[0]
    print(f"\n{title.removeprefix('## ')}\n{section.rstrip()}\n\nReport and figures: {path}")


def _report(args: argparse.Namespace) -> int:
    from vidstega.lab.report import write_report

    print(write_report(args.dir))
    return 0
