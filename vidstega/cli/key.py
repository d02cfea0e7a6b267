"""The key, from where the user keeps it; never from the command line, which all users can read."""

from __future__ import annotations

import getpass
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path

from vidstega.cli.streams import standard_input
from vidstega.errors import InputError, ParameterError

VARIABLE = "VIDSTEGA_KEY"
_MOST_BYTES = 1 << 20


def find_key(file: str | None, *, twice: bool = False) -> str | bytes:
    """The key from a file, the environment or the terminal, in this order.

    Parameters
    ----------
    file : path of a key file, or "-" for standard input
    twice : on a terminal, have it typed twice

    Raises
    ------
    ParameterError
        If there is none.
    InputError
        If the file cannot be read.
    """
    if file is not None:
        return _from_file(file)
    if (key := _from_environment()) is not None:
        return key
    if not _has_terminal():
        raise ParameterError(
            f"no key: give --key-file FILE, or set {VARIABLE}, or run on a terminal to be asked for it"
        )
    typed = _ask("Key: ")
    if twice and typed != _ask("Key again: "):
        raise ParameterError("the two keys differ; nothing was done")
    return typed


def _from_file(path: str) -> bytes:
    if not path:
        raise InputError("the name of the key file is empty; give a file, or - for standard input")
    name = "standard input" if path == "-" else f"the key file {path}"
    try:
        with nullcontext(standard_input()) if path == "-" else Path(path).open("rb") as file:
            key = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from None
    if len(key) > _MOST_BYTES:
        raise InputError(f"{name} has more than {_MOST_BYTES:,} bytes; is it the right file?")
    return re.sub(rb"\r?\n\Z", b"", key)


def _from_environment() -> str | bytes | None:
    """The variable byte by byte, as a key file would hold it, whatever the locale takes bytes for."""
    if sys.platform == "win32":
        return os.environ.get(VARIABLE)
    return os.environb.get(VARIABLE.encode())


def _has_terminal() -> bool:
    if sys.platform == "win32":
        return sys.stdin is not None and sys.stdin.isatty()
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _ask(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise ParameterError("no key was typed") from None
    except UnicodeDecodeError:
        pass  # not within: its chain would carry what was typed
    raise ParameterError("what was typed is no text in this terminal's encoding; give --key-file FILE")
