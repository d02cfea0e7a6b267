"""Keys and headers: a passphrase is one key however it came, stretched once; a header opens with it alone."""

from __future__ import annotations

import hashlib
import itertools
import pickle
import traceback
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from vidstega.errors import ParameterError, PayloadError
from vidstega.seal import HEADER_OVERHEAD, SALT_BYTES, Key, Keys, keys, new_salt, open_header, seal_header

KEY = "correct horse battery staple"
SALT, OTHER_SALT = bytes(range(16)), bytes(range(1, 17))

KEYS = Key(KEY).at(SALT)
WRONG_KEY = Key(KEY + "r").at(SALT)
OTHER = Key(KEY).at(OTHER_SALT)
STRANGERS = {"wrong key": WRONG_KEY, "other salt": OTHER}

FIELDS = b"fields of a family"


@pytest.fixture
def stretched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """What was stretched, (secret, salt) by (secret, salt); without the work."""
    calls: list[tuple[bytes, bytes]] = []

    class Counted:
        def __init__(self, salt: bytes, **cost: int) -> None:
            assert cost == {"length": 32, "n": 2**15, "r": 8, "p": 1}
            self._salt = salt

        def derive(self, secret: bytes) -> bytes:
            calls.append((secret, self._salt))
            return hashlib.sha256(self._salt + secret).digest()

    monkeypatch.setattr(keys, "Scrypt", Counted)
    return calls


# -- the key --------------------------------------------------------------------------------------------


NFC, NFD, BOM = "caf\u00e9", "cafe\u0301", "\ufeff"


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        (NFC, NFC.encode()),
        (NFD, NFC.encode()),
        (NFC.encode(), NFC.encode()),
        (NFD.encode(), NFC.encode()),
        (bytearray(NFD.encode()), NFC.encode()),
        (memoryview(NFD.encode()), NFC.encode()),
        (BOM + NFD, NFC.encode()),
        ((BOM + NFD).encode(), NFC.encode()),
        (BOM + BOM + "x", (BOM + "x").encode()),  # one is a mark, two are a strange passphrase
        ("x" + BOM, ("x" + BOM).encode()),
        (" x\n", b" x\n"),
        ("\0", b"\0"),
        (b"\xff\xfe\0", b"\xff\xfe\0"),
        (NFD.encode() + b"\xff", NFD.encode() + b"\xff"),
        (BOM.encode() + b"\xff", BOM.encode() + b"\xff"),
        ("caf\u00e9".encode("latin-1"), b"caf\xe9"),
        (b"\xed\xb2\x80", b"\xed\xb2\x80"),  # a surrogate is not UTF-8
    ],
)
def test_a_passphrase_is_one_key_however_it_came(
    stretched: list[tuple[bytes, bytes]], key: Any, secret: bytes
) -> None:
    Key(key).at(SALT)
    assert stretched == [(secret, SALT)]


def test_a_key_is_stretched_once_for_each_salt(stretched: list[tuple[bytes, bytes]]) -> None:
    key = Key(KEY)
    assert not stretched, "before there is a salt there is nothing to do"
    assert key.at(SALT) is key.at(bytes(bytearray(SALT)))
    assert key.at(OTHER_SALT) != key.at(SALT)
    assert [salt for _, salt in stretched] == [SALT, OTHER_SALT]
    Key(KEY).at(SALT)
    assert len(stretched) == 3, "another key object knows nothing of the first"


def test_keys_are_what_scrypt_and_hkdf_make() -> None:
    assert KEYS.master == hashlib.scrypt(KEY.encode(), salt=SALT, n=2**15, r=8, p=1, maxmem=1 << 26, dklen=32)
    assert KEYS.salt == SALT


def test_subkeys_differ_from_each_other_and_with_key_and_salt() -> None:
    labels = ("header", "body", "padding", "tags", "positions", "signs")
    subkeys = [each.subkey(label) for each in (KEYS, WRONG_KEY, OTHER) for label in labels]
    assert len(subkeys) == len(set(subkeys)) == 18
    assert all(len(subkey) == 32 for subkey in subkeys)
    assert len(KEYS.subkey("header", 64)) == 64
    assert KEYS.subkey("body") == KEYS.subkey("body")


@pytest.mark.parametrize("key", ["", b"", BOM, BOM.encode(), "hidden\udc80", 5, None, ["hidden"]])
def test_a_senseless_key_is_refused_without_being_shown(key: Any) -> None:
    with pytest.raises(ParameterError) as caught:
        Key(key)
    shown = "".join(traceback.format_exception(caught.value))
    assert "hidden" not in shown and "\n" not in str(caught.value)
    assert caught.value.__context__ is None and caught.value.__cause__ is None


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ParameterError, match=f"{size} bytes"):
        Key(KEY).at(bytes(size))


def test_salts_are_new() -> None:
    salts = {new_salt() for _ in range(64)}
    assert len(salts) == 64 and {len(salt) for salt in salts} == {SALT_BYTES}


def test_keys_show_nothing_and_travel_to_workers() -> None:
    used = Key(KEY)
    used.at(SALT)
    for text in (repr(KEYS), str(KEYS), f"{KEYS}", repr([KEYS])):
        assert "Keys(<hidden>)" in text and KEYS.master.hex() not in text
    for text in (repr(used), str(used), repr([used])):
        assert "Key(<hidden>)" in text and KEY not in text
    assert pickle.loads(pickle.dumps(KEYS)) == KEYS


# -- the header -----------------------------------------------------------------------------------------


@given(fields=st.binary(max_size=200), family=st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_header_opens_as_it_was_sealed(fields: bytes, family: str) -> None:
    sealed = seal_header(KEYS, family, fields)
    assert len(sealed) == len(fields) + HEADER_OVERHEAD
    assert open_header(KEYS, family, sealed) == fields


def test_equal_fields_give_equal_bytes_and_others_nothing_in_common() -> None:
    """One salt may see several headers while plans are tried: no nonce is there to be used twice."""
    sealed = seal_header(KEYS, "samples", FIELDS)
    assert sealed == seal_header(Key(KEY).at(SALT), "samples", FIELDS)
    for other in (
        seal_header(KEYS, "samples", FIELDS[:-1] + b"!"),
        seal_header(KEYS, "signs", FIELDS),
        seal_header(OTHER, "samples", FIELDS),
        seal_header(WRONG_KEY, "samples", FIELDS),
    ):
        assert sum(a == b for a, b in zip(sealed, other, strict=True)) < 6


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_a_header_opens_with_its_keys_only(stranger: Keys) -> None:
    refused(stranger, "samples", seal_header(KEYS, "samples", FIELDS))


@pytest.mark.parametrize("family", ["signs", "sample", "samples ", "Samples", ""])
def test_a_header_of_another_family_is_refused(family: str) -> None:
    refused(KEYS, family, seal_header(KEYS, "samples", FIELDS))


def test_every_changed_bit_of_a_header_is_found() -> None:
    sealed = seal_header(KEYS, "samples", FIELDS)
    for index, bit in itertools.product(range(len(sealed)), range(8)):
        changed = bytearray(sealed)
        changed[index] ^= 1 << bit
        refused(KEYS, "samples", bytes(changed))


def test_a_header_of_another_size_is_refused() -> None:
    sealed = seal_header(KEYS, "samples", FIELDS)
    for size in range(len(sealed)):
        refused(KEYS, "samples", sealed[:size])
        refused(KEYS, "samples", sealed[len(sealed) - size :])
    refused(KEYS, "samples", sealed + b"\0")


@pytest.mark.parametrize("plain", [b"\0", b"\1" + FIELDS, b"\3" + FIELDS, FIELDS])
def test_a_header_of_another_version_is_refused(plain: bytes) -> None:
    aead = AESSIV(KEYS.subkey("header", 64))
    assert open_header(KEYS, "samples", aead.encrypt(b"\2" + FIELDS, [b"samples"])) == FIELDS
    refused(KEYS, "samples", aead.encrypt(plain, [b"samples"]))
    refused(KEYS, "samples", aead.encrypt(b"\2" + FIELDS, [b"samples", b"more"]))
    refused(replace(KEYS, master=bytes(32)), "samples", aead.encrypt(b"\2" + FIELDS, [b"samples"]))


def refused(keys: Keys, family: str, sealed: bytes) -> None:
    with pytest.raises(PayloadError) as caught:
        open_header(keys, family, sealed)
    assert str(caught.value) == PayloadError.TEXT
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
