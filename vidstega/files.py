"""Files appear whole or not at all: written in a private folder beside their place, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vidstega.errors import InputError, OutputError

_MARGIN_BYTES = 1 << 20


def size_of(path: Path) -> int:
    """Bytes of a file that is to be read."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def check_target(source: Path, target: Path, overwrite: bool) -> None:
    """OutputError unless `target` may be written from `source`."""
    try:
        if target.is_dir():
            raise OutputError(f"{target} is a directory; give a file name")
        if target.exists() and source.exists() and target.samefile(source):
            raise OutputError(f"{target} is the input itself; write somewhere else")
        if target.exists() and not overwrite:
            raise OutputError(f"{target} exists; pass overwrite=True (--overwrite) to replace it")
        if not target.absolute().parent.is_dir():
            raise OutputError(f"{target.parent} is no directory; create it first")
    except (OSError, ValueError) as error:
        raise OutputError(f"{target} cannot be a file: {error}") from None


@contextlib.contextmanager
def private_folder(target: Path | None) -> Iterator[Path]:
    """A folder of our own beside the target, so that its files can be renamed into place; gone in the end."""
    beside = None if target is None else target.absolute().parent
    try:
        made = tempfile.mkdtemp(prefix=".vidstega-", dir=beside)
    except OSError as error:
        raise OutputError(f"{beside} cannot be written: {error.strerror}") from None
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def copy_of(source: Path, target: Path) -> Iterator[BinaryIO]:
    """A new copy of a file, open to be changed in place; OutputError if the disk does not take it."""
    try:
        shutil.copyfile(source, target)
        with target.open("r+b") as file:
            yield file
    except OSError as error:
        raise OutputError(f"{target.name} cannot be written: {error.strerror}") from None


def publish(finished: Path, target: Path, overwrite: bool) -> None:
    """Let the finished file appear under its name, whole, in one step."""
    try:
        with finished.open("rb+") as file:
            os.fsync(file.fileno())
        if not overwrite:
            with contextlib.suppress(OSError):  # where hard links exist, nothing can slip in between
                os.link(finished, target)
                return
            if target.exists():
                raise OutputError(f"{target} exists by now; pass overwrite=True (--overwrite) to replace it")
        finished.replace(target)
    except (OSError, ValueError) as error:
        raise OutputError(f"{target} cannot be written: {error}") from None


def check_disk(folder: Path, needed: int) -> None:
    """OutputError if the disk of `folder` has no room for so many bytes."""
    needed += _MARGIN_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"the disk has {free:,} bytes free, at least {needed:,} are needed; free some or write elsewhere"
        )
