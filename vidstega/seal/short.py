"""A seal for few bytes: 17 more than the message, and none of them says that it is there.

AES-SIV (RFC 5297) with 64 bytes of key over the padded message: 16 bytes of tag, which is the nonce as
well, then the message. Nothing random is stored, as nothing can be read before the carrier is found; so
equal messages under one key and label give equal bytes, which shows to someone who can read the carrier
without the key.

Keys: those of `seal.keys` at the salt ``first 16 bytes of SHA-256("vidstega short | " label)``, by the labels
"short seal" (64 bytes) and "short carrier". The label is empty unless the carrier or the user has one for a
video. One key and label on many videos put the same dither into all; a label for each video avoids that.

Padded message, as long as its size class asks: the message as it is or as raw deflate (RFC 1951), whichever
is shorter; 0x80 or 0x81 to say which; zeros.
"""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from vidstega.errors import ParameterError, PayloadError
from vidstega.seal.keys import SALT_BYTES, Key

TAG_BYTES = 16
OVERHEAD_BYTES = TAG_BYTES + 1
MOST_BYTES = 16 << 20
"""Bytes of a message: more than any carrier with so short a seal has room for."""
_PLAIN, _DEFLATED = 0x80, 0x81


@dataclass(frozen=True, repr=False)
class ShortKeys:
    """What a key gives without a salt: the key of the seal, and the key of the carrier below it."""

    seal: bytes
    carrier: bytes

    def __repr__(self) -> str:
        return "ShortKeys(<hidden>)"


@dataclass(frozen=True, repr=False)
class Short:
    """A payload that is small enough for a short seal, and the key it is for."""

    key: Key
    payload: bytes

    @cached_property
    def packed_bytes(self) -> int:
        """Bytes of the sealed message at the least."""
        return TAG_BYTES + len(packed(self.payload))


def short_keys(key: Key, label: str | bytes = "") -> ShortKeys:
    """Stretch a key under a label; the first time takes some 0.1 s and 32 MiB.

    Parameters
    ----------
    key : Key
    label : a name for the video, or bytes that a reader finds in it again; empty for none

    Raises
    ------
    ParameterError
        If the label is not encodable.
    """
    said = label if isinstance(label, bytes) else _utf8(label)
    keys = key.at(hashlib.sha256(b"vidstega short | " + said).digest()[:SALT_BYTES])
    return ShortKeys(keys.subkey("short seal", 64), keys.subkey("short carrier"))


def _utf8(text: str) -> bytes:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ParameterError("the label is not valid Unicode")
    return unicodedata.normalize("NFC", text).encode()


def packed(message: bytes) -> bytes:
    """The message with its mark, deflated if that is shorter; pad it with zeros as you like.

    Raises
    ------
    ParameterError
        If it is longer than `MOST_BYTES`.
    """
    if len(message) > MOST_BYTES:
        raise ParameterError(
            f"the message has {len(message):,} bytes; a short seal takes up to {MOST_BYTES:,}"
        )
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(message) + deflater.flush()
    if len(deflated) < len(message):
        return deflated + bytes([_DEFLATED])
    return message + bytes([_PLAIN])


def seal(keys: ShortKeys, message: bytes, size: int | None = None) -> bytes:
    """Seal a message into `size` bytes, or into as few as it takes.

    Raises
    ------
    ParameterError
        If it takes more.

    Examples
    --------
    >>> keys = ShortKeys(bytes(64), bytes(32))
    >>> len(seal(keys, b"at noon")), unseal(keys, seal(keys, b"at noon", 38))
    (24, b'at noon')
    """
    plain = packed(message)
    size = TAG_BYTES + len(plain) if size is None else size
    if TAG_BYTES + len(plain) > size:
        raise ParameterError(
            f"the message takes {TAG_BYTES + len(plain):,} bytes with its seal, not {size:,}"
        )
    return AESSIV(keys.seal).encrypt(plain.ljust(size - TAG_BYTES, b"\0"), None)


def unseal(keys: ShortKeys, sealed: bytes) -> bytes:
    """The message in it.

    Raises
    ------
    PayloadError
        If one bit is not as it was sealed, or the key is another.
    """
    if len(sealed) < OVERHEAD_BYTES:
        raise PayloadError()
    try:
        plain = AESSIV(keys.seal).decrypt(sealed, None).rstrip(b"\0")
    except InvalidTag:
        raise PayloadError() from None
    if plain[-1:] == bytes([_PLAIN]):
        return plain[:-1]
    if plain[-1:] != bytes([_DEFLATED]):
        raise PayloadError()
    return _inflate(plain[:-1])


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        message = inflater.decompress(data, MOST_BYTES + 1)
    except zlib.error:
        raise PayloadError() from None
    if not inflater.eof or inflater.unused_data or len(message) > MOST_BYTES:
        raise PayloadError()
    return message
