"""Standard streams, signals and warnings as a command meets them: closed, full, narrow, gone."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from vidstega import files
from vidstega.errors import InputError, OutputError

STDOUT = "standard output"
"""What errors call it."""

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


# -- using them -----------------------------------------------------------------------------------------


def standard_input() -> BinaryIO:
    """Standard input, as bytes."""
    if sys.stdin is None:
        raise InputError("standard input is closed; give a file instead of -")
    return sys.stdin.buffer


def can_print() -> bool:
    """Whether there is a standard output at all."""
    return not isinstance(sys.stdout, _Dropped)


def say(text: str) -> None:
    """Print what was asked for, all of it or an error."""
    _check_stdout()
    sys.stdout.write(text)
    sys.stdout.flush()


def pour(finished: Path) -> None:
    """Write a file to standard output, all of it or an error."""
    _check_stdout()
    files.pour(finished, sys.stdout.buffer, STDOUT)


def _check_stdout() -> None:
    if not can_print():
        raise OutputError("standard output is closed; send it to a file or a pipe")


def one_line(text: object) -> str:
    """The text without line breaks."""
    return " ".join(str(text).splitlines())


# -- making them usable ---------------------------------------------------------------------------------


@contextmanager
def plain_streams() -> Iterator[None]:
    """Let standard output take all that is written to it or raise, and closed streams do no harm."""
    old = sys.stdout, sys.stderr
    _plug_closed()
    if sys.stdout is None:
        sys.stdout = _Dropped()
    elif sys.stdout is sys.__stdout__ and hasattr(sys.stdout, "buffer"):
        sys.stdout = _patient(sys.stdout)
    if sys.stderr is None:
        sys.stderr = _Dropped()
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        sys.stdout, sys.stderr = old


def _plug_closed() -> None:
    """Hold the places of closed standard streams, or a video that is opened would be one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)


def _patient(stdout: Any) -> io.TextIOWrapper:
    """Standard output anew; what its encoding does not know is escaped, as on standard error."""
    raw = _Whole(getattr(stdout.buffer, "raw", stdout.buffer))
    at_once = stdout.line_buffering or stdout.write_through
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, stdout.encoding, "backslashreplace", line_buffering=at_once)


class _Whole(io.RawIOBase):
    """An unbuffered file that takes all it is given, or raises."""

    def __init__(self, below: Any) -> None:
        self._below = below

    def write(self, data: Any) -> int:
        done = 0
        try:
            for written in files.write_all(self._below, data):
                done += written
        except OSError as error:
            if not done:  # the next call says it
                raise OSError(error.errno, error.strerror, STDOUT) from None
        return done

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._below.fileno())

    def isatty(self) -> bool:
        return bool(self._below.isatty())


class _Dropped(io.TextIOBase):
    """Stands for a standard stream that is closed; libraries may print to it."""

    def write(self, text: str) -> int:
        return len(text)


# -- signals and warnings -------------------------------------------------------------------------------


@contextmanager
def signals_unwind() -> Iterator[None]:
    """Let signals raise, so that unfinished files are removed; a second one does not disturb that.

    Signals that are ignored, as under nohup, stay ignored. Outside the main thread nothing changes.
    """
    old: dict[int, Any] = {}

    def unwind(number: int, _: FrameType | None) -> None:
        for one in old:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    with suppress(ValueError):  # not in the main thread
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                old[number] = signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print each warning that is for the user as one line, as it comes."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"vidstega: warning: {one_line(message)}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
