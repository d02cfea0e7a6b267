"""From what a user knows to the subkeys of one message."""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vidstega.errors import ParameterError

VERSION = 2
SALT_BYTES = 16


@dataclass(frozen=True, repr=False)
class Keys:
    """The keys of one message, of one salt; never shown in a repr."""

    salt: bytes
    master: bytes

    def __repr__(self) -> str:
        return "Keys(<hidden>)"

    def subkey(self, label: str, size: int = 32) -> bytes:
        """`size` bytes that belong to this message and label alone."""
        info = f"vidstega {label}".encode()
        return HKDF(SHA256(), length=size, salt=None, info=info).derive(self.master)


class Key:
    """A passphrase or key, stretched once per salt however often it is asked.

    Parameters
    ----------
    key : str or bytes

    Raises
    ------
    ParameterError
        If the key is empty or not encodable.
    """

    def __init__(self, key: str | bytes) -> None:
        self._secret = _secret(key)
        self._stretched: dict[bytes, Keys] = {}

    def __repr__(self) -> str:
        return "Key(<hidden>)"

    def at(self, salt: bytes) -> Keys:
        """The keys of the message with this salt; the first time takes some 0.1 s and 32 MiB."""
        if len(salt) != SALT_BYTES:
            raise ParameterError(f"the salt has {len(salt)} bytes; give {SALT_BYTES}")
        if salt not in self._stretched:
            master = Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(self._secret)
            self._stretched[salt] = Keys(bytes(salt), master)
        return self._stretched[salt]


def new_salt() -> bytes:
    """16 random bytes, for one payload."""
    return secrets.token_bytes(SALT_BYTES)


def _secret(key: str | bytes) -> bytes:
    # Nothing is raised from within an `except`: a Unicode error would carry the key along in its chain.
    if isinstance(key, bytes | bytearray | memoryview):
        key = _text_if_utf8(bytes(key))
    if isinstance(key, str):
        if any("\ud800" <= character <= "\udfff" for character in key):
            raise ParameterError("the key is not valid Unicode; pass it as bytes")
        key = unicodedata.normalize("NFC", key.removeprefix("\ufeff")).encode()
    if not isinstance(key, bytes):
        raise ParameterError(f"the key is a {type(key).__name__}; give str or bytes")
    if not key:
        raise ParameterError("the key is empty; give a passphrase or the bytes of a key file")
    return key


def _text_if_utf8(key: bytes) -> str | bytes:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return key
