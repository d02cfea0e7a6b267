"""Files appear whole or not at all: written in a private folder beside their place, then renamed.

Pipes and devices cannot be renamed onto: what is ready is poured into them, every byte or an error.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from vidstega.errors import InputError, OutputError

PathLike = str | os.PathLike[str]

_MARGIN_BYTES = 1 << 20
_PIECE = 1 << 20
_PREFIX = ".vidstega-"
_OLD_S = 24 * 3600
_TRIES = 40
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


# -- inputs ---------------------------------------------------------------------------------------------


def video_at(name: PathLike) -> Path:
    """The path of a video that is to be read; InputError if the name cannot be one's."""
    path, kind = Path(name), _kind(name)
    if not os.fspath(name):
        raise InputError("the name of the video is empty; give a video file")
    if os.fspath(name) == "-" and kind is None:
        raise InputError("a video cannot come from standard input, it is read twice; save it to a file first")
    if kind in _KINDS:
        raise InputError(f"{path} is {_KINDS[kind]}; a video is read twice: save it to a file first")
    return path


def size_of(path: Path) -> int:
    """Bytes of a file that is to be read."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def is_pipe(file: BinaryIO) -> bool:
    """Whether a file object is a pipe, a device or a socket: something that another has to fill."""
    try:
        return not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):  # it is in memory, or closed
        return False


def known_size(file: BinaryIO) -> int | None:
    """Bytes that are left in a file object, or None if it cannot say without being read."""
    if isinstance(file, io.BytesIO):
        return max(0, file.getbuffer().nbytes - file.tell())
    if not isinstance(file, io.FileIO | io.BufferedReader | io.BufferedRandom) or is_pipe(file):
        return None  # of a compressed file, say, the size of what lies below tells nothing
    try:
        return max(0, os.fstat(file.fileno()).st_size - file.tell())
    except (OSError, ValueError):
        return None


def position(file: BinaryIO) -> int:
    """Where a file object stands; 0 if it is one that only goes forward."""
    try:
        return file.tell()
    except (AttributeError, OSError, ValueError):
        return 0


def _kind(name: PathLike) -> int | None:
    """The file type of what is there, or None if nothing is that can be looked at."""
    try:
        return stat.S_IFMT(Path(name).stat().st_mode)
    except (OSError, ValueError):
        return None


# -- outputs --------------------------------------------------------------------------------------------


class Output:
    """Where a result goes: a file that appears under its name, or a pipe or device that is written to.

    Parameters
    ----------
    name : as the user gave it; a link is followed, and what it leads to is replaced
    overwrite : replace a regular file; nothing else is ever replaced
    inputs : paths and files that the result is made of, which are not written over
    streams : whether a pipe or a character device will do

    Raises
    ------
    OutputError
        If it cannot be there.
    """

    def __init__(
        self, name: PathLike, overwrite: bool, *inputs: PathLike | BinaryIO, streams: bool = False
    ) -> None:
        if not os.fspath(name):
            raise OutputError("the name of the output is empty; give a file name")
        self.name, self._overwrite, self._sink = Path(name), overwrite, None
        try:
            followed = os.path.realpath(self.name) if self.name.is_symlink() else self.name.absolute()
            self.path = Path(followed)
            self._check(inputs, streams)
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.name} cannot be a file: {error}") from None

    def _check(self, inputs: Sequence[PathLike | BinaryIO], streams: bool) -> None:
        name, kind = self.name, _kind(self.name)
        self._streams = kind in (stat.S_IFIFO, stat.S_IFCHR)
        if kind == stat.S_IFDIR:
            raise OutputError(f"{name} is a directory; give a file name")
        if any(is_same(name, one) for one in inputs):
            raise OutputError(f"{name} is the input itself; write somewhere else")
        if kind in _KINDS and not (self._streams and streams):
            raise OutputError(f"{name} is {_KINDS[kind]}, which is never replaced; give a file name")
        if self._streams:
            return
        if kind is not None and not self._overwrite:
            raise OutputError(f"{name} exists; pass overwrite=True (--overwrite) to replace it")
        if self.path.is_symlink() or (kind is not None and not is_same(name, self.path)):
            raise OutputError(f"{name} is a link that leads to no file; give a file name")
        if not self.path.parent.is_dir():
            raise OutputError(f"{self.path.parent} is no directory; create it first")

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A private folder to work in; a pipe is open as long, so that its reader sees an end in any case."""
        with contextlib.ExitStack() as stack:
            if self._streams:
                self._sink = stack.enter_context(self._opened())
            yield stack.enter_context(private_folder(None if self._streams else self.path.parent))

    def _opened(self) -> Any:
        try:
            return self.name.open("wb", buffering=0)
        except OSError as error:
            raise OutputError(f"{self.name} cannot be written: {error.strerror}") from None

    def publish(self, finished: Path) -> None:
        """Let the finished file appear under its name, whole, in one step; or pour it."""
        if self._sink is not None:
            pour(finished, self._sink, str(self.name))
            return
        try:
            self._rename(finished)
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.name} cannot be written: {error}") from None

    def _rename(self, finished: Path) -> None:
        with finished.open("rb+") as file:
            os.fsync(file.fileno())
        if not self._overwrite:
            with contextlib.suppress(OSError):  # where hard links exist, nothing can slip in between
                os.link(finished, self.path)
                return
        kind = _kind(self.path)
        if kind is not None and not (self._overwrite and kind == stat.S_IFREG):
            raise OutputError(f"{self.name} exists by now; pass overwrite=True (--overwrite) to replace it")
        finished.replace(self.path)


def pour(finished: Path, sink: Any, name: str) -> None:
    """Copy a file into an open one; OutputError, which says how far it came, unless every byte was taken."""
    done, size = 0, finished.stat().st_size
    try:
        sink.flush()
        with finished.open("rb") as file:
            while piece := file.read(_PIECE):
                for written in write_all(sink, piece):
                    done += written
    except BrokenPipeError:
        raise OutputError(f"{name}: its reader went away after {done:,} of {size:,} bytes") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{name} cannot be written after {done:,} of {size:,} bytes: {reason}") from None


def write_all(sink: Any, data: bytes | memoryview) -> Iterator[int]:
    """Write all of it, whatever part an unbuffered file or a full pipe takes at a time; give the parts."""
    sink, left = getattr(sink, "raw", sink), memoryview(data).cast("B")
    while left:
        written = sink.write(left)
        if written is None:  # a pipe that does not block, and is full
            time.sleep(0.005)
            continue
        left = left[written:]
        yield written


def is_same(name: PathLike, other: PathLike | BinaryIO | TextIO) -> bool:
    """Whether two are one file, whatever they are called."""
    try:
        where = Path(other).stat() if isinstance(other, str | os.PathLike) else os.fstat(other.fileno())
        return os.path.samestat(Path(name).stat(), where)
    except (AttributeError, OSError, ValueError):  # one is not there, or in memory
        return False


# -- private folders and the disk -----------------------------------------------------------------------


@contextlib.contextmanager
def private_folder(beside: Path | None) -> Iterator[Path]:
    """A folder of our own, by default among the temporary ones; gone in the end.

    What a killed process left beside it a day ago or more is removed on the way.
    """
    try:
        where = Path(tempfile.gettempdir()) if beside is None else beside
        _remove_litter(where)
    except OSError as error:
        raise _no_folder(beside, error) from None
    made, lock = where / f"{_PREFIX}{secrets.token_hex(8)}", None
    try:  # a signal may come as soon as it is there
        try:
            made.mkdir(0o700)
        except OSError as error:
            raise _no_folder(beside, error) from None
        lock = _lock(made)
        yield made
    finally:
        try:
            remove(made)
        except BaseException:  # a signal, after which nobody would
            remove(made)
            raise
        finally:
            if lock is not None:
                os.close(lock)


def _no_folder(beside: Path | None, error: OSError) -> OutputError:
    name = beside or "the folder of temporary files"
    return OutputError(f"{name} cannot be written: {error.strerror or error}")


@contextlib.contextmanager
def copy_of(source: Path, target: Path) -> Iterator[BinaryIO]:
    """A new copy of a file, open to be changed in place; OutputError if the disk does not take it."""
    try:
        _copy(source, target)
        with target.open("r+b") as file:
            yield file
    except OSError as error:
        raise OutputError(f"{target.name} cannot be written: {error.strerror}") from None


def remove(folder: Path) -> None:
    """Remove a folder, though a worker that was told to stop may be writing there for a moment yet."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def _copy(source: Path, target: Path) -> None:
    """Copy within the kernel, which shares blocks where the file system can; or else as Python does."""
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as old, target.open("wb") as new:
        left = os.fstat(old.fileno()).st_size
        with contextlib.suppress(OSError):  # across file systems, or on one that knows nothing of it
            while left and (done := os.copy_file_range(old.fileno(), new.fileno(), left)):
                left -= done
        if left:
            old.seek(0), new.seek(0)
            shutil.copyfileobj(old, new, _PIECE)


def _remove_litter(folder: Path) -> None:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and _is_old_and_ours(entry.stat(follow_symlinks=False)):
                _remove_if_nobodys(Path(entry.path))


def _is_old_and_ours(status: os.stat_result) -> bool:
    ours = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return stat.S_ISDIR(status.st_mode) and ours and time.time() - status.st_mtime > _OLD_S


def _remove_if_nobodys(folder: Path) -> None:
    lock = _lock(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    """A lock that ends with this process at the latest, or None if another holds it or there are no locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def check_disk(folder: Path, needed: int) -> None:
    """OutputError if the disk of `folder` has no room for so many bytes."""
    needed += _MARGIN_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"the disk has {free:,} bytes free, at least {needed:,} are needed; free some or write elsewhere"
        )
