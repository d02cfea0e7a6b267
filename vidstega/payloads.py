"""How a payload comes in: bytes, files, pipes."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from vidstega import files
from vidstega import seal as sealing
from vidstega.errors import InputError, ParameterError
from vidstega.files import PathLike
from vidstega.pool import Work
from vidstega.seal import Key, Sealed
from vidstega.seal.short import Short

Payload = bytes | bytearray | memoryview | PathLike | BinaryIO

_LONG = 64 << 20  # bytes from which on sealing takes long enough to be told of
_SHORT = 1 << 20  # bytes up to which a payload is kept for a short seal


@contextlib.contextmanager
def opened(payload: Payload) -> Iterator[BinaryIO]:
    """The payload as a file."""
    if isinstance(payload, bytes | bytearray | memoryview):
        yield io.BytesIO(payload)
    elif isinstance(payload, str | os.PathLike):
        if not os.fspath(payload):
            raise InputError("the name of the payload is empty; give a file")
        try:
            file = Path(payload).open("rb")  # noqa: SIM115
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"the payload {payload} cannot be read: {reason}") from None
        with file:
            yield file
    elif hasattr(payload, "read"):
        yield payload
    else:
        kind = type(payload).__name__
        raise ParameterError(f"the payload is a {kind}; give bytes, a path or a binary file")


def files_of(payload: Payload) -> list[PathLike | BinaryIO]:
    """What of a payload must not be written over."""
    return [] if isinstance(payload, bytes | bytearray | memoryview) else [payload]


class _Kept:
    """A payload as it is read, and its bytes as long as they are few."""

    def __init__(self, data: BinaryIO) -> None:
        self._data = data
        self.bytes: bytes | None = b""

    def read(self, size: int) -> bytes:
        piece = self._data.read(size)
        if self.bytes is not None and isinstance(piece, bytes | bytearray | memoryview):
            self.bytes = self.bytes + piece if len(self.bytes) + len(piece) <= _SHORT else None
        return piece


def seal(data: BinaryIO, key: Key, compress: bool, most: int, work: Work) -> Sealed:
    """Seal it into the private folder under a new salt, as far as `most` bytes of stream go.

    Raises
    ------
    InputError
        If it cannot be read, or is empty as a pipe is whose other end failed, or a file after its end.
    CapacityError
        If it is too large to be even read.
    """
    size, was_read = files.known_size(data), files.position(data) > 0
    bound = sealing.most_read(most) if size is None else size
    told = work.progress.stage("seal", bound, "B") if bound > _LONG else contextlib.nullcontext()
    kept, keys, spool = _Kept(data), key.at(sealing.new_salt()), work.folder / "payload"
    with told as advance:
        how: dict[str, Any] = {"compress": compress, "progress": advance, "most": most, "size": size}
        sealed = sealing.seal(cast(BinaryIO, kept), spool, keys, **how)
    if sealed.payload_bytes == 0 and was_read:
        raise InputError("the payload is a file that was read to its end already; seek to its start first")
    if sealed.payload_bytes == 0 and files.is_pipe(data):
        raise InputError(
            "the payload came out of a pipe or device and is empty, as if what should fill it had failed; "
            'to hide nothing give b"" (--message "") or an empty file'
        )
    return sealed if kept.bytes is None else replace(sealed, short=Short(key, kept.bytes))
