"""The command line: embed, extract, capacity, probe, verify, detect; stress, report, serve come with extras.

Exit codes: 0; 1 for an error, with one line on stderr; 2 for a command line that makes no sense; 3 if
`detect` finds something; 130 after Ctrl-C and 128 + n after another signal n, when everything unfinished is
removed as after an error.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from vidstega.cli.parser import EXTRAS, make_parser
from vidstega.cli.streams import STDOUT, one_line, plain_streams, plain_warnings, signals_unwind
from vidstega.errors import ParameterError, VidstegaError

_BROKEN_PIPE = 141  # 128 + SIGPIPE, what a shell reports for programs that do not catch it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a command line that cannot be parsed raises SystemExit(2)."""
    words = sys.argv[1:] if argv is None else argv
    with signals_unwind(), plain_streams(), plain_warnings():
        try:
            args = make_parser().parse_args(words)
            code: int = args.run(args)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            if "--debug" in words:
                traceback.print_exception(error)
            return _fail(error, words)
    return code


def _fail(error: BaseException, words: Sequence[str]) -> int:
    """Say on one line what went wrong, and give the exit code."""
    if isinstance(error, OSError):
        _discard_stdout()
    if isinstance(error, BrokenPipeError) and error.filename == STDOUT:
        return _BROKEN_PIPE
    text, code = _explained(error, words)
    with suppress(OSError, ValueError):
        sys.stderr.write(f"vidstega: error: {one_line(text)}\n")
    return code


def _explained(error: BaseException, words: Sequence[str]) -> tuple[object, int]:
    if isinstance(error, VidstegaError):
        return error, 2 if isinstance(error, ParameterError) else 1
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 128 + signal.SIGINT
    if isinstance(error, MemoryError):
        return "out of memory; use fewer --jobs or a smaller video", 1
    if isinstance(error, OSError):
        reason = error.strerror or error
        return (f"{error.filename}: {reason}" if error.filename else reason), 1
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("vidstega"):
        for command in EXTRAS.keys() & set(words):
            extra = f"pip install 'vidstega[{EXTRAS[command]}]'"
            return f"vidstega {command} needs the extra: {extra} ({error.name} is missing)", 1
    what = f"{type(error).__name__}: {error}"
    return (
        f"something went wrong in vidstega itself ({what}); with --debug it says where, please report it",
        1,
    )


def _discard_stdout() -> None:
    """Let what is still buffered go nowhere, or the interpreter complains about it at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
