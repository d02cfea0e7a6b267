"""A seal for few bytes: 17 more than the message, and none of them says that it is there.

AES-SIV (RFC 5297) with 64 bytes of key over the padded message: 16 bytes of tag, which is the nonce as
well, then the message. Nothing random is stored, as nothing can be read before the carrier is found; so
equal messages under one key and label give equal bytes, which shows to someone who can read the carrier
without the key.

Keys: passphrase as everywhere (NFC, UTF-8) -> scrypt (n = 2^15, r = 8, p = 1, 32 bytes) with the salt
``first 16 bytes of SHA-256("vidstega short | " label)`` -> HKDF-SHA256, info ``"vidstega short seal"`` (64
bytes) and ``"vidstega short carrier"`` (32 bytes). The label is empty unless the user gives one for a
video. One key and label on many videos put the same dither into all of them; a label for each video avoids
that.

Padded message, as long as its size class asks: the message as it is or as raw deflate (RFC 1951), whichever
is shorter; 0x80 or 0x81 to say which; zeros.
"""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vidstega.errors import ParameterError, PayloadError

TAG_BYTES = 16
OVERHEAD_BYTES = TAG_BYTES + 1
MOST_BYTES = 16 << 20
"""Bytes of a message: more than any carrier with so short a seal has room for."""
_PLAIN, _DEFLATED = 0x80, 0x81


@dataclass(frozen=True)
class ShortKeys:
    """What a passphrase gives: the key of the seal, and the key of the carrier below it."""

    seal: bytes = field(repr=False)
    carrier: bytes = field(repr=False)


def short_keys(key: str | bytes, label: str = "") -> ShortKeys:
    """Stretch a passphrase or key; takes some 0.1 s and 32 MiB.

    Parameters
    ----------
    key : str or bytes
        A passphrase, or bytes taken as they are.
    label : str
        A name for the video, which the reader has to know as well; empty for none.

    Raises
    ------
    ParameterError
        If the key is empty or not encodable.
    """
    salt = hashlib.sha256(b"vidstega short" + _utf8("label", label)).digest()[:16]
    secret = _utf8("key", key) if isinstance(key, str) else bytes(key)
    if not secret:
        raise ParameterError("the key is empty; give a passphrase or the bytes of a key file")
    master = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(secret)

    def subkey(name: str, length: int) -> bytes:
        return HKDF(SHA256(), length, None, f"vidstega short {name}".encode()).derive(master)

    return ShortKeys(subkey("seal", 64), subkey("carrier", 32))


def _utf8(what: str, text: str) -> bytes:
    # Nothing is caught here: a UnicodeEncodeError would carry the key along in its chain.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ParameterError(f"the {what} is not valid Unicode; pass the key as bytes")
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
