"""The sealed stream: payload to a private spool file, and back, in bounded memory."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vidstega.errors import CapacityError, InputError, OutputError, ParameterError, PayloadError
from vidstega.seal.blocks import BLOCK, HEAD, pack_blocks, regroup, unpack_blocks
from vidstega.seal.keys import VERSION, Keys
from vidstega.seal.keystream import KeyStream
from vidstega.seal.short import Short

CHUNK = 64 << 10
"""Bytes of plain stream in a chunk."""
TAG_BYTES = 16
_READ_ANYWAY = 256 << 20
LEAST_STREAM_BYTES = TAG_BYTES
"""Bytes of the sealed stream of an empty payload."""


@dataclass(frozen=True, repr=False)
class Sealed:
    """A sealed payload in its spool file, and the keys it was sealed with.

    Parameters
    ----------
    path : the spool
    keys : Keys
    payload_bytes, digest : size of the payload, and its SHA-256 in hex
    stream_bytes : size of the sealed stream
    short : the payload itself, for carriers with a seal of their own, if it is small
    """

    path: Path
    keys: Keys
    payload_bytes: int
    digest: str
    stream_bytes: int
    short: Short | None = None

    def read(self, start: int, size: int) -> bytes:
        """A range of the stream; beyond its end there is keyed padding without end.

        Any range reads the same bytes whoever asks and whenever, so that tasks and retries need no order.

        Raises
        ------
        InputError
            If the spool cannot be read.
        """
        if start < 0 or size < 0:
            raise ParameterError(f"no range of {size} bytes at {start}; both must be 0 or more")
        try:
            with self.path.open("rb") as spool:
                spool.seek(min(start, self.stream_bytes))
                data = spool.read(max(0, min(size, self.stream_bytes - start)))
        except OSError as error:
            raise InputError(
                f"cannot read the sealed payload from {self.path}: {_reason(error)}; "
                "every worker must see the same temporary folder"
            ) from error
        return data + padding(self.keys, start + len(data), size - len(data))


def padding(keys: Keys, start: int, size: int) -> bytes:
    """`size` bytes of padding from position `start` of the stream on."""
    key, segments = keys.subkey("padding"), range(start // CHUNK, -(-(start + size) // CHUNK))
    drawn = (KeyStream(key, segment.to_bytes(8, "big")).bytes(CHUNK).tobytes() for segment in segments)
    return b"".join(drawn)[start % CHUNK :][:size]


def sealed_bytes(payload_bytes: int) -> int:
    """Bytes of the sealed stream of an incompressible payload."""
    plain = payload_bytes + HEAD.size * -(-payload_bytes // BLOCK)
    return plain + TAG_BYTES * max(1, -(-plain // CHUNK))


def largest_payload(stream_bytes: int) -> int:
    """Bytes of the largest incompressible payload whose sealed stream has at most so many bytes."""
    plain = stream_bytes - TAG_BYTES * max(1, -(-stream_bytes // (CHUNK + TAG_BYTES)))
    return max(0, plain - HEAD.size * -(-plain // (BLOCK + HEAD.size)))


# Sealing: payload -> blocks -> chunks -> spool


def seal(
    source: BinaryIO,
    path: Path,
    keys: Keys,
    *,
    compress: bool = True,
    progress: Callable[[int], None] | None = None,
    most: int | None = None,
    size: int | None = None,
) -> Sealed:
    """Seal a payload into a new spool file, in one pass and about 2 MiB of memory.

    Parameters
    ----------
    source : the payload, read to its end; it need not be seekable nor fit in memory
    path : the spool; it must not exist and gets mode 0600. It is removed again if sealing fails
    keys : of a fresh salt; never seal twice with the same
    compress : deflate the blocks that become smaller by it
    progress : called with the number of payload bytes read since the last call
    most : bytes of the stream beyond which nothing is written, only counted (the result is good for saying
        what would be needed), and beyond four times of which it gives up; of a payload that deflates,
        `most_read` bytes are read
    size : of the payload, if it is known; what cannot fit is then not even read

    Raises
    ------
    CapacityError
        If it gives up.
    InputError
        If the payload cannot be read.
    OutputError
        If the spool cannot be written: it exists, the disk is full.
    """
    if size and most is not None:
        needed = 0 if compress else sealed_bytes(size)
        if needed > most:
            return Sealed(Path(path), keys, size, "", needed)
        _check_read(size, most, f"{size:,}")
    meter = _Meter()
    blocks = pack_blocks(meter.over(_read_blocks(source, most), progress), compress)
    stream_bytes = _spool(path, _seal_chunks(regroup(blocks, CHUNK), AESGCM(keys.subkey("body"))), most)
    return Sealed(Path(path), keys, meter.payload_bytes, meter.hexdigest(), stream_bytes)


def _seal_chunks(chunks: Iterator[bytes], aead: AESGCM) -> Iterator[bytes]:
    index, chunk = 0, next(chunks, b"")
    for following in chunks:
        yield aead.encrypt(_nonce(index), chunk, _AAD)
        index, chunk = index + 1, following
    yield aead.encrypt(_nonce(index, last=True), chunk, _AAD)


def most_read(most: int) -> int:
    """Bytes of payload that are read where `most` bytes of stream fit, in the hope that they deflate."""
    return max(_READ_ANYWAY, 8 * most)


def _check_read(read: int, most: int, said: str) -> None:
    if read > most_read(most):
        raise CapacityError(
            f"the payload has {said} bytes, capacity is {most:,} bytes; at most {most_read(most):,} are read "
            "in the hope that they deflate: compress it first, or use a longer or larger video"
        )


def _read_blocks(source: BinaryIO, most: int | None) -> Iterator[bytes]:
    read = 0
    while block := _read_full(source, BLOCK, "the payload"):
        read += len(block)
        if most is not None:
            _check_read(read, most, f"more than {read - len(block):,}")
        yield block


def _spool(path: Path, chunks: Iterable[bytes], most: int | None) -> int:
    """Write chunks to a new private file and count their bytes; leave nothing behind on failure."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _writing(path):
        descriptor = os.open(path, flags, 0o600)
    try:
        with _writing(path), os.fdopen(descriptor, "wb") as spool:
            return _write_counting(spool, chunks, most)
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise


def _write_counting(spool: BinaryIO, chunks: Iterable[bytes], most: int | None) -> int:
    count = 0
    for chunk in chunks:
        count += len(chunk)
        if most is None or count <= most:
            spool.write(chunk)
        elif count > 4 * most + BLOCK:
            raise CapacityError(
                f"the payload needs more than {8 * count:,} bits with its seal, "
                f"capacity is {8 * most:,} bits; use a longer or larger video"
            )
    return count


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write the sealed payload to {path}: {_reason(error)}; "
            "make room there or use another temporary folder"
        ) from error


# Unsealing: file -> chunks -> blocks -> payload


class Unsealer(Iterator[bytes]):
    """The payload of a sealed stream, piece by piece, in order and in about 1 MiB of memory.

    Every piece is authentic when it comes, but **provisional until the iterator has ended**: only then
    is it known that nothing is missing. Whoever writes pieces to a file discards it on an error. `digest`
    (SHA-256 in hex) and `payload_bytes` of the payload are there once the iteration has ended well.

    Parameters
    ----------
    file : the stream, from its current position to its end, without padding
    keys : the keys it was sealed with
    stream_bytes : how long it is

    Raises
    ------
    PayloadError
        While iterating: if one bit is not as it was sealed, or bytes are missing, moved or appended.
    InputError
        While iterating: if the file cannot be read.
    """

    def __init__(self, file: BinaryIO, keys: Keys, stream_bytes: int) -> None:
        self.digest = ""
        self.payload_bytes = 0
        self._pieces = self._open(file, keys, stream_bytes)

    def __next__(self) -> bytes:
        return next(self._pieces)

    def _open(self, file: BinaryIO, keys: Keys, stream_bytes: int) -> Iterator[bytes]:
        meter = _Meter()
        yield from meter.over(unpack_blocks(_open_chunks(file, keys, stream_bytes)))
        if file.read(1):
            raise PayloadError
        self.digest, self.payload_bytes = meter.hexdigest(), meter.payload_bytes


def _open_chunks(file: BinaryIO, keys: Keys, stream_bytes: int) -> Iterator[bytes]:
    aead, count = AESGCM(keys.subkey("body")), max(1, -(-stream_bytes // (CHUNK + TAG_BYTES)))
    for index in range(count):
        last = index == count - 1
        size = stream_bytes - index * (CHUNK + TAG_BYTES) if last else CHUNK + TAG_BYTES
        sealed = _read_full(file, size, "the sealed stream")
        if len(sealed) != size:  # cut, or told of a length that it never had
            raise PayloadError
        try:
            plain = aead.decrypt(_nonce(index, last), sealed, _AAD)
        except (InvalidTag, ValueError):  # ValueError: shorter than a tag
            raise PayloadError from None
        yield plain


# What both directions share

_AAD = bytes([VERSION])


def _nonce(index: int, last: bool = False) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


class _Meter:
    """Counts and hashes the payload as it passes."""

    def __init__(self) -> None:
        self.payload_bytes = 0
        self._hash = hashlib.sha256()

    def over(self, pieces: Iterable[bytes], progress: Callable[[int], None] | None = None) -> Iterator[bytes]:
        for piece in pieces:
            self._hash.update(piece)
            self.payload_bytes += len(piece)
            if progress is not None:
                progress(len(piece))
            yield piece

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _read_full(file: BinaryIO, size: int, what: str) -> bytes:
    """Read `size` bytes, fewer only at the end of the file; pipes return less than asked for."""
    buffer = io.BytesIO()
    while (left := size - buffer.tell()) > 0:
        try:
            piece = file.read(left)
        except (OSError, ValueError) as error:  # ValueError: the file is closed
            raise InputError(f"cannot read {what}: {_reason(error)}") from error
        if piece is None and _does_not_block(file):  # and is empty now
            time.sleep(0.005)
            continue
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InputError(f"cannot read {what}: it gives {type(piece).__name__}; open it in binary mode")
        if not piece:
            break
        buffer.write(piece)
    return buffer.getvalue()


def _does_not_block(file: BinaryIO) -> bool:
    try:
        return not os.get_blocking(file.fileno())
    except (AttributeError, OSError, ValueError):
        return False


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
