"""Payload to plain stream and back: blocks, each deflated if that is smaller."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from struct import Struct

from vidstega.errors import PayloadError

BLOCK = 256 << 10
"""Bytes of payload compressed together."""
WINDOW = 32 << 10
"""Bytes of earlier payload a deflated block may refer to."""
HEAD = Struct(">I")

_DEFLATED = 1 << 31
_LEVEL = 6


def pack_blocks(pieces: Iterable[bytes], compress: bool) -> Iterator[bytes]:
    """Blocks of the plain stream, from pieces of payload of `BLOCK` bytes and a last one."""
    window = b""
    for piece in pieces:
        deflated = _deflate(piece, window) if compress else piece
        if len(deflated) < len(piece):
            yield HEAD.pack(len(deflated) | _DEFLATED) + deflated
        else:
            yield HEAD.pack(len(piece)) + piece
        window = _slide(window, piece)


def unpack_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The payload again, from the plain stream in pieces of any size; PayloadError if it is none."""
    window = b""
    for deflated, data in _split_blocks(chunks):
        piece = _inflate(data, window) if deflated else data
        yield piece
        window = _slide(window, piece)


def regroup(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, and a last one."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def _deflate(piece: bytes, window: bytes) -> bytes:
    deflater = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS, zdict=window)
    return deflater.compress(piece) + deflater.flush()


def _split_blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while (block := _pop_block(buffer)) is not None:
            yield block
    if buffer:
        raise PayloadError


def _pop_block(buffer: bytearray) -> tuple[bool, bytes] | None:
    """Take the first block off the buffer if it is there as a whole."""
    if len(buffer) < HEAD.size:
        return None
    (head,) = HEAD.unpack_from(buffer)
    size = head & ~_DEFLATED
    if not 0 < size <= BLOCK:
        raise PayloadError
    end = HEAD.size + size
    if len(buffer) < end:
        return None
    data = bytes(buffer[HEAD.size : end])
    del buffer[:end]
    return bool(head & _DEFLATED), data


def _inflate(data: bytes, window: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=window)
    try:
        piece = inflater.decompress(data, BLOCK + 1)  # one more than is allowed, so that too much shows
    except zlib.error:
        raise PayloadError from None
    if not inflater.eof or inflater.unused_data or not 0 < len(piece) <= BLOCK:
        raise PayloadError
    return piece


def _slide(window: bytes, piece: bytes) -> bytes:
    return piece[-WINDOW:] if len(piece) >= WINDOW else (window + piece)[-WINDOW:]
