"""The commands `stress`, `report` and `detect`. Nothing heavy is imported until one of them runs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

OUT = "results/local"
_CONFIG = "smoke, standard, full, own, or the path of a .toml file (default: smoke, or own with --cover)"
_ONLY = "runs that this names, such as 1440p, splice, 1440p/100/1KB or 720p,floor; can be repeated"
_COVER = "measure your own video, or all in a folder, instead of synthetic ones; can be repeated"
_FOUND = 3
_DETECT = """\
Look for what a method leaves in a file's packets and headers: no cover and no key are needed. "Nothing found"
means that these figures are those of covers. Exit codes: 0 nothing found, 3 found in one file or more, 1 if
a file cannot be read."""
_LIMIT = "begin no run after so many seconds; the same command goes on (0: never stop)"


def add_parsers(commands: Any) -> None:
    """Add `stress`, `report` and `detect` to a command line's subparsers."""
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
    detect = commands.add_parser("detect", help="whether files show a message", allow_abbrev=False)
    detect.description = _DETECT
    detect.add_argument("files", nargs="+", metavar="FILE", help="video to look at")
    deep = "decode what signs would be in, too: seconds instead of milliseconds"
    detect.add_argument("--deep", action="store_true", help=deep)
    detect.add_argument("--json", action="store_true", help="print the verdicts as JSON, an array of them")
    detect.set_defaults(run=_detect)


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


def _detect(args: argparse.Namespace) -> int:
    """All files are looked at; those that cannot be read are named on standard error, one line each."""
    from vidstega.errors import VidstegaError
    from vidstega.lab.detect import forensics

    done, failed = [], False
    for path in args.files:
        try:
            done.append(forensics(path, deep=args.deep))
        except VidstegaError as error:
            failed = True
            print(f"vidstega: error: {error}", file=sys.stderr)
        else:
            if not args.json:
                print(done[-1])
    if args.json:
        told = [dataclasses.asdict(one) | {"path": str(one.path), "by": one.by} for one in done]
        print(json.dumps(told, indent=2))
    return 1 if failed else _FOUND if any(one.found for one in done) else 0
