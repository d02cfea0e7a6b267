"""The commands `stress` and `report`. Nothing heavy is imported until one of them runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

OUT = "results/local"
_CONFIG = "smoke, standard, full, own, or the path of a .toml file (default: smoke, or own with --cover)"
_ONLY = "runs that this names, such as 1440p, splice, 1440p/100/1KB or 720p,floor; can be repeated"
_COVER = "measure your own video, or all in a folder, instead of synthetic ones; can be repeated"
_LIMIT = "begin no run after so many seconds; the same command goes on (0: never stop)"


def add_parsers(commands: Any) -> None:
    """Add `stress` and `report` to a command line's subparsers."""
    stress = commands.add_parser("stress", help="measure a matrix of videos and payloads", allow_abbrev=False)
    stress.description = (
        "Measure a matrix of videos, payloads and arms, and write the report. Goes on where it stopped."
    )
    add = stress.add_argument
    add("--config", metavar="NAME", help=_CONFIG)
    add("--only", action="append", default=[], metavar="TERM", help=_ONLY)
    add("--cover", action="append", default=[], metavar="PATH", help=_COVER)
    add("--limit", type=int, metavar="SECONDS", help=_LIMIT)
    add("--out", default=OUT, metavar="DIR", help=f"where results go (default: {OUT})")
    add("--repeats", type=int, metavar="N", help="run everything so many times")
    add("--quiet", action="store_true", help="no progress and no summary")
    stress.set_defaults(run=_stress)
    report = commands.add_parser(
        "report", help="write the report on the results in a folder", allow_abbrev=False
    )
    report.description = "Rewrite DIR/analysis_report.md, details.md and figures from the results in DIR."
    report.add_argument("dir", nargs="?", default=OUT, metavar="DIR", help=f"folder (default: {OUT})")
    report.set_defaults(run=_report)


def _stress(args: argparse.Namespace) -> int:
    from vidstega.lab import matrix
    from vidstega.lab.covers import files
    from vidstega.lab.report import write_report
    from vidstega.lab.runner import run_matrix

    say = (lambda _: None) if args.quiet else print
    own = files.expand(args.cover, say) or None
    base = matrix.load_matrix(args.config or ("own" if own else "smoke"))
    chosen = matrix.change(base, covers=own, repeats=args.repeats, limit_s=args.limit)
    progress = False if args.quiet else None
    done = run_matrix(chosen, args.out, only=args.only, progress=progress, say=say)
    path = write_report(args.out)
    if not args.quiet:
        print(_for_terminal(path))
    return 0 if all(row.success for row in done.rows) else 1


def _for_terminal(report: Path) -> str:
    """The report without its figures and links, and where everything is."""
    lines = [line for line in report.read_text(encoding="utf-8").splitlines() if not line.startswith("![")]
    return "\n".join([*lines, "", f"Report and figures: {report}"])


def _report(args: argparse.Namespace) -> int:
    from vidstega.lab.report import write_report

    print(write_report(args.dir))
    return 0
