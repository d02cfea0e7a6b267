"""The header: the few fields of a family that say how its sealed stream lies in the video."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from vidstega.errors import PayloadError
from vidstega.seal.keys import VERSION, Keys

HEADER_OVERHEAD = 16 + 1
"""Bytes that a sealed header has beyond the family's fields."""


def seal_header(keys: Keys, family: str, fields: bytes) -> bytes:
    """Seal a family's fields; equal fields give equal bytes, so a plan may be tried again."""
    return _siv(keys).encrypt(bytes([VERSION]) + fields, [family.encode()])


def open_header(keys: Keys, family: str, sealed: bytes) -> bytes:
    """The fields that `seal_header` sealed.

    Raises
    ------
    PayloadError
        If it is anything else: another key, salt or family, a changed byte, an unknown version.
    """
    try:
        plain = _siv(keys).decrypt(bytes(sealed), [family.encode()])
    except (InvalidTag, ValueError):
        raise PayloadError from None
    if plain[:1] != bytes([VERSION]):  # a later version adds its number here, and a way to read its fields
        raise PayloadError
    return plain[1:]


def _siv(keys: Keys) -> AESSIV:
    return AESSIV(keys.subkey("header", 64))
