"""The short seal: 17 bytes of overhead, one error, nothing in clear."""

from __future__ import annotations

import hashlib
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstega.errors import ParameterError, PayloadError
from vidstega.seal.keys import Key
from vidstega.seal.short import MOST_BYTES, OVERHEAD_BYTES, ShortKeys, packed, seal, short_keys, unseal

KEYS = ShortKeys(bytes(range(64)), bytes(32))


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(0, 40))
def test_what_is_sealed_comes_back_whatever_the_padding(message, extra):
    sealed = seal(KEYS, message, 16 + len(packed(message)) + extra)
    assert unseal(KEYS, sealed) == message


def test_seventeen_bytes_are_added_to_what_does_not_compress():
    message = hashlib.sha256(b"noise").digest()
    assert len(seal(KEYS, message)) == 32 + OVERHEAD_BYTES == 49


def test_what_compresses_takes_less():
    assert len(seal(KEYS, b"the same again. " * 40)) < 60


def test_messages_that_end_in_marks_and_zeros_come_back():
    for message in (b"", b"\0", b"\x80", b"\x81\0\0", b"\0" * 500, b"\x80\x81\x80"):
        assert unseal(KEYS, seal(KEYS, message, 100)) == message


@settings(max_examples=40)
@given(st.integers(0, 99 * 8 - 1))
def test_every_flipped_bit_is_found(bit):
    sealed = bytearray(seal(KEYS, b"at noon", 99))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PayloadError):
        unseal(KEYS, bytes(sealed))


def test_another_key_and_another_length_give_the_one_error():
    sealed = seal(KEYS, b"at noon", 64)
    for other in (sealed[:-1], sealed + b"\0", sealed[:16], b""):
        with pytest.raises(PayloadError):
            unseal(KEYS, other)
    with pytest.raises(PayloadError):
        unseal(ShortKeys(bytes(64), bytes(32)), sealed)


def test_authentic_bytes_of_no_message_give_the_one_error():
    for plain in (bytes(20), b"\x82", b"not deflated\x81", zlib.compress(b"x")[2:4] + b"\x81"):
        with pytest.raises(PayloadError):
            unseal(KEYS, AESSIV(KEYS.seal).encrypt(plain, None))


def test_a_bomb_is_not_inflated():
    deflater = zlib.compressobj(9, wbits=-15)
    bomb = deflater.compress(bytes(MOST_BYTES + 2)) + deflater.flush()
    with pytest.raises(PayloadError):
        unseal(KEYS, AESSIV(KEYS.seal).encrypt(bomb + b"\x81", None))


def test_too_small_a_size_is_refused_with_both_numbers():
    message = hashlib.sha256(b"noise").digest()
    with pytest.raises(ParameterError, match="takes 49 bytes with its seal, not 45"):
        seal(KEYS, message, 45)
    with pytest.raises(ParameterError, match="16,777,216"):
        packed(bytes(MOST_BYTES + 1))


def test_keys_depend_on_passphrase_and_label_and_hide_themselves():
    one = short_keys(Key("pass"))
    assert one == short_keys(Key(b"pass"))
    assert (
        len({one.seal, one.carrier, short_keys(Key("pass"), "holiday").seal, short_keys(Key("other")).seal})
        == 4
    )
    assert short_keys(Key("e\u0301")) == short_keys(Key("\u00e9"))
    assert one.seal.hex() not in repr(one)
    for bad in ("", b""):
        with pytest.raises(ParameterError, match="empty"):
            short_keys(Key(bad))
    with pytest.raises(ParameterError, match="Unicode"):
        short_keys(Key("\ud800"))


def test_the_format_stays_what_it_is():
    keys = short_keys(Key("correct horse"), "label")
    digest = hashlib.sha256(keys.carrier + seal(keys, b"at noon", 38)).hexdigest()
    assert digest[:16] == "d854f8fa23f25a56"
