"""The sealed format: what the carried bits say. Version 1, frozen by ``tests/golden/payload.json``.

To anyone without the key every byte below is uniform noise: no magic, no length and no version in
clear. Integers are unsigned and big-endian (u8, u32, u64); ``a | b`` puts `b` after `a`.

Keys
    A passphrase is NFC-normalised and encoded as UTF-8; bytes are taken as they are. It goes through
    scrypt (n = 2^15, r = 8, p = 1, 32 bytes) with a random `salt` of 16 bytes; of the result,
    HKDF-SHA256 without salt, with the info ``"vidstega " | label``, makes one subkey of 32 bytes for
    each label: header, body, positions, signs, tags, padding. **One salt seals one payload once**: no
    subkey ever sees a second message, which is what makes the counted nonces below safe.

Randomness (see `keystream`)
    For an area (SALT 0, HEADER 1, MARK 2, BODY 3) of one frame of one run the nonce is ``area u8 |
    run u32 | frame u24``, once under `positions` and once under `signs`. Two exceptions, so that a
    reader can start: positions of the SALT area use SHA-256("vidstega salt positions") as their key
    and run = frame = 0; positions of a MARK area use run = 0.

Salt, 16 bytes
    As it is, at public positions.

Header, 57 bytes
    AES-256-GCM (tag last) under `header`, nonce 12 zero bytes (the subkey is used this once),
    associated data ``version u8 | salt``. A reader tries the versions it knows. Plaintext::

        version u8 = 1 | layout: method 16 bytes UTF-8, zero-padded | frame_bytes u32 | runs u32
                                 | frames u64 | stream_bytes u64

Mark, 20 bytes, one in every run
    ``tag | frames u32 XOR mask``, where `tag` is the first 16 bytes of HMAC-SHA256 under `tags` of
    ``version u8 | ordinal u32 | runs u32 | frames u32``, `mask` the first 4 bytes of that of
    ``"mask" | tag``, and `frames` the number of carrying frames in this run. Nothing is equal from one
    run to the next.

Sealed stream, `stream_bytes` long
    Data chunks and a trailer, each AES-256-GCM (tag last) under `body` with the nonce ``counter u88 |
    last u8`` (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).

    Data chunk `i` holds 64 KiB of the plain stream, the last one what is left; nonce ``i | 0``,
    associated data ``version u8 | salt | method 16 bytes``.

    The trailer is always there and is sealed last, when the layout is known: nonce ``number of data
    chunks | 1``, associated data ``version u8 | salt | method 16 bytes | layout``, plaintext
    ``payload size u64 | SHA-256 of the payload | number of data chunks u64``. An empty payload is a
    trailer alone.

Plain stream
    Blocks of 1 to 256 KiB of payload each: ``u32 | bytes``, the top bit of the u32 saying *deflated*
    and the others how many bytes follow (1 to 256 KiB). Deflated bytes are raw deflate (RFC 1951, no
    wrapper) with the 32 KiB of payload before the block as preset dictionary. A block is deflated only
    if that is smaller. Which of several possible deflations was chosen is not part of the format.

Padding
    Whatever room is left after the stream is filled: byte `p`, counted from the start of the stream, is
    byte ``p mod 64 KiB`` of the keystream under `padding` with the nonce ``p div 64 KiB`` as u64.

Any change to header or stream (flipped, cut, appended, reordered, taken from another message) is found;
the answer is the exact payload or `PayloadError`.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import secrets
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vidstega.errors import CapacityError, InputError, OutputError, ParameterError, PayloadError
from vidstega.keystream import KeyedRandom, KeyStream

VERSION = 1
CHUNK = 64 << 10
"""Bytes of plain stream in a data chunk."""
BLOCK = 256 << 10
"""Bytes of payload compressed together."""
WINDOW = 32 << 10
"""Bytes of earlier payload a deflated block may refer to."""

_METHOD_BYTES = 16
_TAG_BYTES = 16
_DEFLATED = 1 << 31
_LEVEL = 6

_LAYOUT = Struct(">16sIIQQ")
_MARK = Struct(">BIII")
_TRAILER = Struct(">Q32sQ")
_BLOCK_HEAD = Struct(">I")

SALT_BYTES = 16
MARK_BYTES = 20
HEADER_BYTES = 1 + _LAYOUT.size + _TAG_BYTES
TRAILER_BYTES = _TRAILER.size + _TAG_BYTES


# Keys and randomness


class Area(IntEnum):
    """What a stretch of samples carries; each has randomness of its own."""

    SALT = 0
    HEADER = 1
    MARK = 2
    BODY = 3


@dataclass(frozen=True, repr=False)
class Keys:
    """The subkeys of one message; made by `derive_keys`, never shown in a repr."""

    salt: bytes
    header: bytes
    body: bytes
    positions: bytes
    signs: bytes
    tags: bytes
    padding: bytes

    def __repr__(self) -> str:
        return "Keys(<hidden>)"

    def random(self, area: int, run: int = 0, frame: int = 0) -> KeyedRandom:
        """Fresh randomness for one area of one frame, the same at every call.

        Parameters
        ----------
        area : Area
            Positions of `Area.SALT` are public, those of `Area.MARK` the same in every run, because a
            reader does not know more when it looks for them; the signs are always keyed.
        run : int
            Ordinal of the run, below 2**32.
        frame : int
            Number of the frame within its run, below 2**24.

        Raises
        ------
        ParameterError
            If a number is out of range.
        """
        signs = KeyStream(self.signs, _nonce(area, run, frame))
        if area == Area.SALT:
            return KeyedRandom(_public_positions(), signs)
        return KeyedRandom(
            KeyStream(self.positions, _nonce(area, 0 if area == Area.MARK else run, frame)), signs
        )


def derive_keys(key: str | bytes, salt: bytes) -> Keys:
    """Stretch a passphrase or key into the subkeys of one message; takes some 0.1 s and 32 MiB.

    Parameters
    ----------
    key : str or bytes
        A passphrase, or bytes taken as they are (a key file's trailing newline is the caller's to drop).
    salt : bytes
        16 random bytes, fresh for every payload that is sealed.

    Raises
    ------
    ParameterError
        If the key is empty or not encodable, or the salt is not 16 bytes.
    """
    secret = _key_bytes(key)
    if len(salt) != SALT_BYTES:
        raise ParameterError(f"the salt has {len(salt)} bytes; give {SALT_BYTES}")
    master = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(secret)

    def subkey(label: str) -> bytes:
        return HKDF(SHA256(), length=32, salt=None, info=f"vidstega {label}".encode()).derive(master)

    return Keys(
        salt=bytes(salt),
        header=subkey("header"),
        body=subkey("body"),
        positions=subkey("positions"),
        signs=subkey("signs"),
        tags=subkey("tags"),
        padding=subkey("padding"),
    )


def salt_random() -> KeyedRandom:
    """Where the salt is, for a reader that has no keys yet.

    Its positions are those of ``Keys.random(Area.SALT)``. Reading draws no signs; these are random, so
    that public ones can never get into a file by mistake.
    """
    return KeyedRandom(_public_positions(), KeyStream(secrets.token_bytes(32), b""))


def _public_positions() -> KeyStream:
    return KeyStream(hashlib.sha256(b"vidstega salt positions").digest(), _nonce(Area.SALT, 0, 0))


def _nonce(area: int, run: int, frame: int) -> bytes:
    if area not in tuple(Area) or not 0 <= run < 1 << 32 or not 0 <= frame < 1 << 24:
        raise ParameterError(
            f"no randomness for area {area}, run {run}, frame {frame}; "
            "there are 4 areas, 2**32 runs and 2**24 frames in a run"
        )
    return bytes([area]) + int(run).to_bytes(4, "big") + int(frame).to_bytes(3, "big")


def _key_bytes(key: str | bytes) -> bytes:
    # Nothing is caught here: a UnicodeEncodeError would carry the key along in its chain.
    if isinstance(key, str):
        if any("\ud800" <= character <= "\udfff" for character in key):
            raise ParameterError("the key is not valid Unicode; pass it as bytes")
        key = unicodedata.normalize("NFC", key).encode()
    if not isinstance(key, bytes | bytearray | memoryview):
        raise ParameterError(f"the key is a {type(key).__name__}; give str or bytes")
    if len(key) == 0:
        raise ParameterError("the key is empty; give a passphrase or the bytes of a key file")
    return bytes(key)


# Header and marks


@dataclass(frozen=True)
class Layout:
    """The rule by which a sealed stream lies in the frames.

    Parameters
    ----------
    method : str
        Name of the embedding method, 1 to 16 bytes of UTF-8.
    frame_bytes : int
        Bytes of the stream a whole carrying frame holds, 1 to 2**32 - 1.
    runs : int
        Runs in all, 1 to 2**32 - 1.
    frames : int
        Carrying frames in all, at least `runs`.
    stream_bytes : int
        Length of the sealed stream: at least `TRAILER_BYTES`, at most ``frames * frame_bytes``.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    method: str
    frame_bytes: int
    runs: int
    frames: int
    stream_bytes: int

    def __post_init__(self) -> None:
        _method_bytes(self.method)
        _check("frame_bytes", self.frame_bytes, 1, (1 << 32) - 1)
        _check("runs", self.runs, 1, (1 << 32) - 1)
        _check("frames", self.frames, self.runs, (1 << 64) - 1)
        most = min(self.frames * self.frame_bytes, (1 << 64) - 1)
        _check("stream_bytes", self.stream_bytes, TRAILER_BYTES, most)


def seal_header(keys: Keys, layout: Layout) -> bytes:
    """Seal the layout into the `HEADER_BYTES` bytes that open a message; once per salt."""
    # The zero nonce is safe: the subkey belongs to this salt alone and seals this one header.
    plain = bytes([VERSION]) + _pack_layout(layout)
    return AESGCM(keys.header).encrypt(bytes(12), plain, _header_aad(VERSION, keys.salt))


def open_header(keys: Keys, sealed: bytes) -> Layout:
    """Open what `seal_header` made.

    Raises
    ------
    PayloadError
        If it is anything else: another key or salt, a changed byte, a layout that makes no sense.
    """
    try:
        # A later version adds its number here and a way to read its layout.
        plain = AESGCM(keys.header).decrypt(bytes(12), bytes(sealed), _header_aad(VERSION, keys.salt))
        if len(plain) != 1 + _LAYOUT.size or plain[0] != VERSION:
            raise PayloadError()
        return _unpack_layout(plain[1:])
    except (InvalidTag, ValueError):
        raise PayloadError() from None


def seal_mark(keys: Keys, ordinal: int, runs: int, frames: int) -> bytes:
    """Make the `MARK_BYTES` bytes that say "I am run `ordinal` of `runs` and have `frames` carrying frames".

    Raises
    ------
    ParameterError
        If a number is out of range.
    """
    _check("runs", runs, 1, (1 << 32) - 1)
    _check("ordinal", ordinal, 0, runs - 1)
    _check("frames", frames, 1, (1 << 32) - 1)
    tag = _mark_tag(keys, ordinal, runs, frames)
    return tag + _xor(frames.to_bytes(4, "big"), _mark_mask(keys, tag))


def open_mark(keys: Keys, runs: int, mark: bytes, expected: int = 0) -> tuple[int, int] | None:
    """Read a mark: the ordinal of its run and the number of frames in it, or None if it is no mark.

    Tries the ordinal `expected` first and then all others, at about 2 µs each.
    """
    mark = bytes(mark)
    if len(mark) != MARK_BYTES:
        return None
    tag = mark[:16]
    frames = int.from_bytes(_xor(mark[16:], _mark_mask(keys, tag)), "big")
    if 0 <= expected < runs and hmac.compare_digest(tag, _mark_tag(keys, expected, runs, frames)):
        return expected, frames
    for ordinal in range(runs):
        if hmac.compare_digest(tag, _mark_tag(keys, ordinal, runs, frames)):
            return ordinal, frames
    return None


def _header_aad(version: int, salt: bytes) -> bytes:
    return bytes([version]) + salt


def _pack_layout(layout: Layout) -> bytes:
    return _LAYOUT.pack(
        _method_bytes(layout.method), layout.frame_bytes, layout.runs, layout.frames, layout.stream_bytes
    )


def _unpack_layout(packed: bytes) -> Layout:
    method, *numbers = _LAYOUT.unpack(packed)
    return Layout(method.rstrip(b"\0").decode(), *numbers)


def _method_bytes(method: str) -> bytes:
    name = method.encode(errors="replace")
    if not 0 < len(name) <= _METHOD_BYTES or name.rstrip(b"\0").decode() != method:
        raise ParameterError(f"method name {method!r} takes {len(name)} bytes; give 1 to 16 of plain UTF-8")
    return name.ljust(_METHOD_BYTES, b"\0")


def _mark_tag(keys: Keys, ordinal: int, runs: int, frames: int) -> bytes:
    return hmac.digest(keys.tags, _MARK.pack(VERSION, ordinal, runs, frames), "sha256")[:16]


def _mark_mask(keys: Keys, tag: bytes) -> bytes:
    return hmac.digest(keys.tags, b"mask" + tag, "sha256")[:4]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ParameterError(f"{name} is {value}; it must be from {low} to {high}")


# Sealing: payload -> blocks -> chunks -> spool


@dataclass(frozen=True)
class Sealed:
    """A payload in its spool, sealed but for the trailer.

    Parameters
    ----------
    path : Path
        The spool file.
    method : str
        Name of the embedding method it was sealed for.
    payload_bytes : int
        Size of the payload.
    digest : str
        SHA-256 of the payload in hex.
    data_bytes : int
        Size of the sealed data chunks.
    """

    path: Path
    method: str
    payload_bytes: int
    digest: str
    data_bytes: int

    @property
    def stream_bytes(self) -> int:
        """Size of the whole sealed stream, the trailer included."""
        return self.data_bytes + TRAILER_BYTES


def seal(
    source: BinaryIO,
    path: Path,
    keys: Keys,
    method: str,
    compress: bool = True,
    progress: Callable[[int], None] | None = None,
    most: int | None = None,
) -> Sealed:
    """Seal a payload into a new spool file, in one pass and about 2 MiB of memory.

    Parameters
    ----------
    source : BinaryIO
        The payload, read to its end; it need not be seekable nor fit in memory.
    path : Path
        The spool; it must not exist and gets mode 0600. It is removed again if sealing fails.
    keys : Keys
        Keys of a fresh salt. Never seal twice with the same.
    method : str
        Name of the embedding method.
    compress : bool
        Deflate the blocks that become smaller by it.
    progress : callable, optional
        Called with the number of payload bytes read since the last call.
    most : int, optional
        Bytes of the stream beyond which nothing is written, only counted (the result is good for saying
        what would be needed), and beyond four times of which it gives up.

    Raises
    ------
    CapacityError
        If it gives up.
    InputError
        If the payload cannot be read.
    OutputError
        If the spool cannot be written: it exists, the disk is full.
    """
    meter = _Meter()
    blocks = _pack_blocks(meter.over(_read_blocks(source), progress), compress)
    aead = AESGCM(keys.body)
    aad = _chunk_aad(keys, method)
    chunks = (
        aead.encrypt(_chunk_nonce(index), plain, aad) for index, plain in enumerate(_regroup(blocks, CHUNK))
    )
    data_bytes = _spool(path, chunks, most)
    return Sealed(Path(path), method, meter.payload_bytes, meter.hexdigest(), data_bytes)


def largest_payload(stream_bytes: int) -> int:
    """Bytes of the largest incompressible payload whose sealed stream has at most so many bytes."""
    data = stream_bytes - TRAILER_BYTES
    plain = data - _TAG_BYTES * -(-data // (CHUNK + _TAG_BYTES))
    return max(0, plain - _BLOCK_HEAD.size * -(-plain // (BLOCK + _BLOCK_HEAD.size)))


def finish(sealed: Sealed, keys: Keys, layout: Layout) -> None:
    """Append the trailer, which binds the stream to its layout; exactly once.

    Raises
    ------
    ParameterError
        If the layout is not one of this stream.
    OutputError
        If the spool is finished already, was changed, or cannot be written.
    """
    if (layout.method, layout.stream_bytes) != (sealed.method, sealed.stream_bytes):
        raise ParameterError(
            f"the layout is for {layout.stream_bytes} bytes by {layout.method!r}, "
            f"the stream has {sealed.stream_bytes} bytes for {sealed.method!r}"
        )
    chunks = _data_chunks(sealed.data_bytes)
    plain = _TRAILER.pack(sealed.payload_bytes, bytes.fromhex(sealed.digest), chunks)
    with _writing(sealed.path), sealed.path.open("r+b") as spool:
        size = spool.seek(0, os.SEEK_END)
        if size != sealed.data_bytes:  # a second trailer would use the nonce of the first one again
            raise OutputError(
                f"spool {sealed.path} has {size} bytes, not {sealed.data_bytes}: "
                "it is finished already or was changed; seal again with a new salt"
            )
        spool.write(
            AESGCM(keys.body).encrypt(_chunk_nonce(chunks, last=True), plain, _trailer_aad(keys, layout))
        )


def read_stream(path: Path, start: int, size: int, keys: Keys) -> bytes:
    """Read a range of a finished spool; beyond its end there is keyed padding without end.

    Any range reads the same bytes whoever asks and whenever, so that tasks and retries need no order.

    Parameters
    ----------
    path : Path
        The spool, after `finish`.
    start, size : int
        The range in bytes of the stream.
    keys : Keys
        The keys it was sealed with.

    Raises
    ------
    InputError
        If the spool cannot be read.
    """
    if start < 0 or size < 0:
        raise ParameterError(f"no range of {size} bytes at {start}; both must be 0 or more")
    try:
        with Path(path).open("rb") as spool:
            spool.seek(min(start, spool.seek(0, os.SEEK_END)))
            data = spool.read(size)
    except OSError as error:
        raise InputError(
            f"cannot read the sealed payload from {path}: {_reason(error)}; "
            "every worker must see the same temporary folder"
        ) from error
    return data + _padding(keys, start + len(data), size - len(data))


def _read_blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := _read_full(source, BLOCK, "the payload"):
        yield block


def _pack_blocks(pieces: Iterable[bytes], compress: bool) -> Iterator[bytes]:
    window = b""
    for piece in pieces:
        deflated = _deflate(piece, window) if compress else piece
        if len(deflated) < len(piece):
            yield _BLOCK_HEAD.pack(len(deflated) | _DEFLATED) + deflated
        else:
            yield _BLOCK_HEAD.pack(len(piece)) + piece
        window = _slide(window, piece)


def _deflate(piece: bytes, window: bytes) -> bytes:
    deflater = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS, zdict=window)
    return deflater.compress(piece) + deflater.flush()


def _regroup(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def _spool(path: Path, chunks: Iterable[bytes], most: int | None) -> int:
    """Write chunks to a new private file and count their bytes; leave nothing behind on failure."""
    count = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _writing(path):
        descriptor = os.open(path, flags, 0o600)
    try:
        with _writing(path), os.fdopen(descriptor, "wb") as spool:
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
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise


def _padding(keys: Keys, start: int, size: int) -> bytes:
    segments = range(start // CHUNK, -(-(start + size) // CHUNK))
    padding = b"".join(
        KeyStream(keys.padding, segment.to_bytes(8, "big")).bytes(CHUNK).tobytes() for segment in segments
    )
    return padding[start % CHUNK :][:size]


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
    """The payload of a sealed stream, piece by piece; made by `unseal`.

    Attributes
    ----------
    digest : str
        SHA-256 of the payload in hex; empty until the iteration has ended well.
    payload_bytes : int
        Size of the payload; 0 until the iteration has ended well.
    """

    def __init__(self, file: BinaryIO, keys: Keys, layout: Layout) -> None:
        self.digest = ""
        self.payload_bytes = 0
        self._pieces = self._open(file, keys, layout)

    def __next__(self) -> bytes:
        return next(self._pieces)

    def _open(self, file: BinaryIO, keys: Keys, layout: Layout) -> Iterator[bytes]:
        meter = _Meter()
        yield from meter.over(_unpack_blocks(_open_chunks(file, keys, layout)))
        found = meter.payload_bytes, meter.digest(), _data_chunks(layout.stream_bytes - TRAILER_BYTES)
        if found != _open_trailer(file, keys, layout) or file.read(1):
            raise PayloadError()
        self.digest, self.payload_bytes = meter.hexdigest(), meter.payload_bytes


def unseal(file: BinaryIO, keys: Keys, layout: Layout) -> Unsealer:
    """Iterate over the payload in a sealed stream, in order and in about 1 MiB of memory.

    Every piece is authentic when it comes, but **provisional until the iterator has ended**: only then
    is it known that nothing is missing. Whoever writes pieces to a file discards it on an error.

    Parameters
    ----------
    file : BinaryIO
        The stream, from its current position to its end: `layout.stream_bytes` bytes without padding.
    keys : Keys
        The keys it was sealed with.
    layout : Layout
        The layout it was finished with.

    Raises
    ------
    PayloadError
        While iterating: if one bit is not as it was sealed, or bytes are missing, moved or appended.
    InputError
        While iterating: if the file cannot be read.
    """
    return Unsealer(file, keys, layout)


def _open_chunks(file: BinaryIO, keys: Keys, layout: Layout) -> Iterator[bytes]:
    aead = AESGCM(keys.body)
    aad = _chunk_aad(keys, layout.method)
    left = layout.stream_bytes - TRAILER_BYTES
    for index in range(_data_chunks(left)):
        size = min(left, CHUNK + _TAG_BYTES)
        left -= size
        yield _open_chunk(aead, _chunk_nonce(index), _read_full(file, size, "the sealed stream"), aad)


def _open_trailer(file: BinaryIO, keys: Keys, layout: Layout) -> tuple[int, bytes, int]:
    nonce = _chunk_nonce(_data_chunks(layout.stream_bytes - TRAILER_BYTES), last=True)
    sealed = _read_full(file, TRAILER_BYTES, "the sealed stream")
    size, digest, chunks = _TRAILER.unpack(
        _open_chunk(AESGCM(keys.body), nonce, sealed, _trailer_aad(keys, layout))
    )
    return size, digest, chunks


def _open_chunk(aead: AESGCM, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    try:
        return aead.decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise PayloadError() from None


def _unpack_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    window = b""
    for deflated, data in _split_blocks(chunks):
        piece = _inflate(data, window) if deflated else data
        yield piece
        window = _slide(window, piece)


def _split_blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while (block := _pop_block(buffer)) is not None:
            yield block
    if buffer:
        raise PayloadError()


def _pop_block(buffer: bytearray) -> tuple[bool, bytes] | None:
    """Take the first block off the buffer if it is there as a whole."""
    if len(buffer) < _BLOCK_HEAD.size:
        return None
    (head,) = _BLOCK_HEAD.unpack_from(buffer)
    size = head & ~_DEFLATED
    if not 0 < size <= BLOCK:
        raise PayloadError()
    end = _BLOCK_HEAD.size + size
    if len(buffer) < end:
        return None
    data = bytes(buffer[_BLOCK_HEAD.size : end])
    del buffer[:end]
    return bool(head & _DEFLATED), data


def _inflate(data: bytes, window: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=window)
    try:
        piece = inflater.decompress(data, BLOCK + 1)  # one more than is allowed, so that too much shows
    except zlib.error:
        raise PayloadError() from None
    if not inflater.eof or inflater.unused_data or not 0 < len(piece) <= BLOCK:
        raise PayloadError()
    return piece


# What both directions share


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

    def digest(self) -> bytes:
        return self._hash.digest()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _chunk_nonce(index: int, last: bool = False) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


def _chunk_aad(keys: Keys, method: str) -> bytes:
    return bytes([VERSION]) + keys.salt + _method_bytes(method)


def _trailer_aad(keys: Keys, layout: Layout) -> bytes:
    return _chunk_aad(keys, layout.method) + _pack_layout(layout)


def _data_chunks(data_bytes: int) -> int:
    """Number of data chunks in so many sealed bytes."""
    return -(-data_bytes // (CHUNK + _TAG_BYTES))


def _slide(window: bytes, piece: bytes) -> bytes:
    return piece[-WINDOW:] if len(piece) >= WINDOW else (window + piece)[-WINDOW:]


def _read_full(file: BinaryIO, size: int, what: str) -> bytes:
    """Read `size` bytes, fewer only at the end of the file; pipes return less than asked for."""
    buffer = io.BytesIO()
    while (left := size - buffer.tell()) > 0:
        try:
            piece = file.read(left)
        except (OSError, ValueError) as error:  # ValueError: the file is closed
            raise InputError(f"cannot read {what}: {_reason(error)}") from error
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise InputError(f"cannot read {what}: it gives {type(piece).__name__}; open it in binary mode")
        if not piece:
            break
        buffer.write(piece)
    return buffer.getvalue()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
