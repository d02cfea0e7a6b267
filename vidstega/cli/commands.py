"""What each command does with its arguments."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import stat
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import vidstega
from vidstega import files
from vidstega.carriers import Robust
from vidstega.cli.key import find_key
from vidstega.cli.streams import can_print, pour, say, standard_input
from vidstega.errors import OutputError, ParameterError

_STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def embed(args: argparse.Namespace) -> int:
    """Hide a payload."""
    _check_inputs({"COVER": args.cover, "--payload": args.payload, "--key-file": args.key_file})
    _check_not_the_key(args.stego, args.key_file)
    payload = args.payload if args.message is None else os.fsencode(args.message)
    layout = {"method": _method(args), "spread": args.spread, "compress": args.compress}
    result = vidstega.embed(
        args.cover,
        args.stego,
        standard_input() if payload == "-" else payload,
        key=find_key(args.key_file, twice=True),
        verify=args.verify,
        overwrite=args.overwrite,
        **layout,
        **_work(args),
    )
    _report(args, result, repr(dataclasses.replace(result, notes=())))  # notes came as warnings
    return 0


def _method(args: argparse.Namespace) -> str | Robust:
    """The method, with its knobs."""
    knobs = {"survive": args.survive, "psnr_db": args.psnr}
    given = {name: value for name, value in knobs.items() if value is not None}
    if given and args.method != Robust.method:
        raise ParameterError("--survive and --psnr are knobs of --method robust; add it or leave them out")
    if len(given) > 1:
        raise ParameterError("--survive tries what strength it takes, --psnr sets it; give one of them")
    return Robust(**given) if given else str(args.method)


def extract(args: argparse.Namespace) -> int:
    """Get a payload back."""
    _check_inputs({"STEGO": args.stego, "--key-file": args.key_file})
    _check_not_the_key(args.out, args.key_file)
    how = {"deep": args.deep, "method": args.method, **_work(args)}
    if args.out in _STDOUT:
        _extract_to_stdout(args, how)
        return 0
    key = find_key(args.key_file)
    result = vidstega.extract(args.stego, key=key, out=args.out, overwrite=args.overwrite, **how)
    _report(args, result, f"{result.out}: {result.payload_bytes:,} bytes\n  digest    {result.digest}")
    return 0


def _extract_to_stdout(args: argparse.Namespace, how: dict[str, Any]) -> None:
    """Nothing of it is written before all of it is proved, so it goes through a private file."""
    if args.json:
        raise ParameterError("--json and --out - would both go to standard output; give --out a file")
    if can_print() and files.is_same(args.stego, sys.stdout):
        raise OutputError("standard output is the input itself; write somewhere else")
    key = find_key(args.key_file)
    with files.private_folder(None) as folder:
        vidstega.extract(args.stego, key=key, out=folder / "payload", **how)
        pour(folder / "payload")


def survive(args: argparse.Namespace) -> int:
    """Send a stego through channels and show what comes back."""
    progress = False if args.quiet else None
    key = find_key(args.key_file)
    how = {"method": args.method, "through": args.through, "progress": progress}
    _show(args, vidstega.survive(args.stego, key=key, **how))
    return 0


def capacity(args: argparse.Namespace) -> int:
    """Show how much a video takes."""
    _show(args, vidstega.capacity(args.cover, method=args.method))
    return 0


def probe(args: argparse.Namespace) -> int:
    """Show what a video is."""
    _show(args, vidstega.probe(args.cover))
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check a stego file against its cover."""
    _check_inputs({"COVER": args.cover, "STEGO": args.stego, "--key-file": args.key_file})
    how = {"method": args.method, "full": args.full, **_work(args)}
    result = vidstega.verify(args.cover, args.stego, key=find_key(args.key_file), **how)
    lines = [
        f"{args.stego}: as it should be ({result.mode})",
        f"  payload   {result.payload_bytes:,} bytes",
        f"  frames    {result.carrying:,} of {result.frames:,} carry",
        f"  digest    {result.digest}",
        f"  compared  {', '.join(result.compared)}",
        *(f"  note      {note}" for note in result.notes),
    ]
    _report(args, result, "\n".join(lines))
    return 0


def _work(args: argparse.Namespace) -> dict[str, Any]:
    return {"n_jobs": args.jobs, "progress": False if args.quiet else None}


# -- what comes in --------------------------------------------------------------------------------------


def _check_inputs(named: dict[str, str | None]) -> None:
    """ParameterError if two arguments would read one standard input, pipe or device: each gets half of it."""
    seen: dict[tuple[int, int], str] = {}
    for argument, name in named.items():
        once = None if name is None else _read_once(name)
        if once is not None and seen.setdefault(once, argument) != argument:
            what = "standard input" if name in _STDIN else name
            raise ParameterError(
                f"{seen[once]} and {argument} would both read {what}; give one of them a file"
            )


def _read_once(name: str) -> tuple[int, int] | None:
    """What identifies an input that gives its bytes but once; None for a file."""
    try:
        there = os.fstat(0) if name in _STDIN else Path(name).stat()
    except (OSError, ValueError):
        return None
    is_file = name not in _STDIN and stat.S_ISREG(there.st_mode)
    return None if is_file else (there.st_dev, there.st_ino)


def _check_not_the_key(out: str, key_file: str | None) -> None:
    if key_file is not None and files.is_same(out, key_file) and Path(out).is_file():
        raise OutputError(f"{out} is the key file; write somewhere else")


# -- what comes out -------------------------------------------------------------------------------------


def _report(args: argparse.Namespace, result: Any, text: str) -> None:
    """Say what was done; that is no use to who closed standard output, unless it was asked for as JSON."""
    if args.json or (can_print() and not args.quiet):
        _show(args, result, text)


def _show(args: argparse.Namespace, result: Any, text: str = "") -> None:
    """Print a result record: for people, or as JSON."""
    if args.json:
        text = json.dumps(_plain(dataclasses.asdict(result)), indent=2, allow_nan=False)
    say(f"{text or repr(result)}\n")


def _plain(value: Any) -> Any:
    """`value` in what JSON knows: paths and fractions as text, a number that is none as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path | Fraction) else value
