"""How a sealed stream lies in samples: header fields, marks, and the randomness of each area. Frozen.

Carrying frames come in *runs*. Every run's first frame begins with an area for the run's *mark*; the first
frame of run 0 goes on with areas for the *salt* and the *header*; all else is *body*, read run after run and
frame after frame. Where the areas are in a frame says `bands`.

Salt (16 bytes, as it is), header and mark are carried by LSB matching, whatever the method of the body.

Header fields (sealed as `vidstega.seal` says), big-endian::

    method 16 bytes UTF-8, zero-padded | frame_bytes u32 | runs u32 | frames u64 | stream_bytes u64

Mark, 20 bytes
    ``tag | frames u32 XOR mask``, where `tag` is the first 16 bytes of HMAC-SHA256 under the subkey "tags"
    of ``ordinal u32 | runs u32 | frames u32``, `mask` the first 4 bytes of that of ``"mask" | tag``, and
    `frames` the number of carrying frames in this run. Nothing is equal from one run to the next.

Randomness
    For an area (SALT 0, HEADER 1, MARK 2, BODY 3) of one frame of one run the nonce is ``area u8 | run u32
    | frame u24``, once under the subkey "positions" and once under "signs". Two exceptions, so that a reader
    can start: positions of the SALT area use SHA-256("vidstega salt positions") as their key and run = frame
    = 0; positions of a MARK area use run = 0.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from vidstega.errors import ParameterError, PayloadError
from vidstega.seal import (
    HEADER_OVERHEAD,
    LEAST_STREAM_BYTES,
    KeyedRandom,
    Keys,
    KeyStream,
    open_header,
    seal_header,
)

FAMILY = "samples"
METHOD_BYTES = 16

_FIELDS = Struct(">16sIIQQ")
_MARK = Struct(">III")

MARK_BYTES = 20
HEADER_BYTES = _FIELDS.size + HEADER_OVERHEAD


class Area(IntEnum):
    """What a stretch of samples carries; each has randomness of its own."""

    SALT = 0
    HEADER = 1
    MARK = 2
    BODY = 3


@dataclass(frozen=True)
class Layout:
    """The rule by which a sealed stream lies in the frames.

    Parameters
    ----------
    method : name of the embedding method, 1 to 16 bytes of UTF-8
    frame_bytes : bytes of the stream a whole carrying frame holds, 1 to 2**32 - 1
    runs : runs in all, 1 to 2**32 - 1
    frames : carrying frames in all, at least `runs`
    stream_bytes : length of the sealed stream, at most ``frames * frame_bytes``

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
        _check("stream_bytes", self.stream_bytes, LEAST_STREAM_BYTES, most)

    def seal(self, keys: Keys) -> bytes:
        """The `HEADER_BYTES` bytes that open a message."""
        name = _method_bytes(self.method)
        fields = _FIELDS.pack(name, self.frame_bytes, self.runs, self.frames, self.stream_bytes)
        return seal_header(keys, FAMILY, fields)

    @classmethod
    def open(cls, keys: Keys, sealed: bytes) -> Layout:
        """What `seal` sealed; PayloadError if it is anything else, or makes no sense."""
        fields = open_header(keys, FAMILY, sealed)
        try:
            method, *numbers = _FIELDS.unpack(fields)
            return cls(method.rstrip(b"\0").decode(), *numbers)
        except Exception:  # of struct, of a codec, or a number out of range
            raise PayloadError from None


def seal_mark(keys: Keys, ordinal: int, runs: int, frames: int) -> bytes:
    """The `MARK_BYTES` bytes that say "I am run `ordinal` of `runs` and have `frames` carrying frames"."""
    _check("runs", runs, 1, (1 << 32) - 1)
    _check("ordinal", ordinal, 0, runs - 1)
    _check("frames", frames, 1, (1 << 32) - 1)
    key = keys.subkey("tags")
    tag = _tag(key, ordinal, runs, frames)
    return tag + _xor(frames.to_bytes(4, "big"), _mask(key, tag))


def open_mark(keys: Keys, runs: int, mark: bytes, expected: int = 0) -> tuple[int, int] | None:
    """Read a mark: the ordinal of its run and the number of frames in it, or None if it is no mark.

    Tries the ordinal `expected` first and then all others, at about 2 µs each.
    """
    mark, key = bytes(mark), keys.subkey("tags")
    if len(mark) != MARK_BYTES:
        return None
    tag = mark[:16]
    frames = int.from_bytes(_xor(mark[16:], _mask(key, tag)), "big")
    if 0 <= expected < runs and hmac.compare_digest(tag, _tag(key, expected, runs, frames)):
        return expected, frames
    for ordinal in range(runs):
        if hmac.compare_digest(tag, _tag(key, ordinal, runs, frames)):
            return ordinal, frames
    return None


def random_of(keys: Keys, area: int, run: int = 0, frame: int = 0) -> KeyedRandom:
    """Fresh randomness for one area of one frame, the same at every call.

    Parameters
    ----------
    area : positions of `Area.SALT` are public, those of `Area.MARK` the same in every run, because a reader
        does not know more when it looks for them; the signs are always keyed
    run : ordinal of the run, below 2**32
    frame : number of the frame within its run, below 2**24

    Raises
    ------
    ParameterError
        If a number is out of range.
    """
    signs = KeyStream(keys.subkey("signs"), _nonce(area, run, frame))
    if area == Area.SALT:
        return KeyedRandom(_public_positions(), signs)
    nonce = _nonce(area, 0 if area == Area.MARK else run, frame)
    return KeyedRandom(KeyStream(keys.subkey("positions"), nonce), signs)


def salt_random() -> KeyedRandom:
    """Where the salt is, for a reader that has no keys yet.

    Reading draws no signs; these are random, so that public ones can never get into a file by mistake.
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


def _method_bytes(method: str) -> bytes:
    name = method.encode(errors="replace")
    if not 0 < len(name) <= METHOD_BYTES or name.rstrip(b"\0").decode() != method:
        raise ParameterError(f"method name {method!r} takes {len(name)} bytes; give 1 to 16 of plain UTF-8")
    return name.ljust(METHOD_BYTES, b"\0")


def _tag(key: bytes, ordinal: int, runs: int, frames: int) -> bytes:
    return hmac.digest(key, _MARK.pack(ordinal, runs, frames), "sha256")[:16]


def _mask(key: bytes, tag: bytes) -> bytes:
    return hmac.digest(key, b"mask" + tag, "sha256")[:4]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ParameterError(f"{name} is {value}; it must be from {low} to {high}")
