"""How a sealed stream lies in samples: header fields, marks, and randomness of each area."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidstega.carriers.samples import layout
from vidstega.carriers.samples.layout import (
    FAMILY,
    HEADER_BYTES,
    MARK_BYTES,
    Area,
    Layout,
    open_mark,
    random_of,
    salt_random,
    seal_mark,
)
from vidstega.errors import ParameterError, PayloadError
from vidstega.seal import LEAST_STREAM_BYTES, SALT_BYTES, Key, Keys, seal_header

KEY = "correct horse battery staple"
KEYS = Key(KEY).at(bytes(range(16)))
WRONG_KEY = Key(KEY + "r").at(bytes(range(16)))
OTHER = Key(KEY).at(bytes(range(1, 17)))
STRANGERS = {"wrong key": WRONG_KEY, "other salt": OTHER}


def test_sizes_are_what_the_format_says():
    assert (SALT_BYTES, HEADER_BYTES, MARK_BYTES) == (16, 57, 20)


# Randomness


def positions(keys: Keys, *where: int) -> bytes:
    return random_of(keys, *where).positions.bytes(16).tobytes()


def signs(keys: Keys, *where: int) -> bytes:
    return random_of(keys, *where).signs.bytes(16).tobytes()


def test_each_place_has_randomness_of_its_own():
    places = [
        (area, run, frame) for area in (Area.HEADER, Area.BODY) for run in (0, 1, 256) for frame in (0, 1)
    ]
    drawn = [draw(KEYS, *place) for draw in (positions, signs) for place in places]
    assert len(set(drawn)) == len(drawn)
    assert positions(KEYS, Area.BODY, 1, 2) == positions(KEYS, Area.BODY, 1, 2)
    assert positions(KEYS, Area.BODY, 1, 2) != positions(WRONG_KEY, Area.BODY, 1, 2)


def test_a_mark_is_found_without_knowing_its_run_but_signed_by_it():
    assert positions(KEYS, Area.MARK, 0, 0) == positions(KEYS, Area.MARK, 7, 0)
    assert positions(KEYS, Area.MARK, 0, 0) != positions(OTHER, Area.MARK, 0, 0)
    assert signs(KEYS, Area.MARK, 0, 0) != signs(KEYS, Area.MARK, 7, 0)


def test_the_salt_is_found_without_keys_but_signed_with_them():
    public = salt_random().positions.bytes(16).tobytes()
    assert public == positions(KEYS, Area.SALT, 0, 0) == positions(WRONG_KEY, Area.SALT, 0, 0)
    assert signs(KEYS, Area.SALT, 0, 0) != signs(WRONG_KEY, Area.SALT, 0, 0)
    assert salt_random().signs.bytes(16).tobytes() != salt_random().signs.bytes(16).tobytes()


@pytest.mark.parametrize(
    "where", [(4, 0, 0), (-1, 0, 0), (3, 1 << 32, 0), (3, -1, 0), (3, 0, 1 << 24), (3, 0, -1)]
)
def test_places_out_of_range_are_refused(where):
    with pytest.raises(ParameterError):
        random_of(KEYS, *where)
    random_of(KEYS, 3, (1 << 32) - 1, (1 << 24) - 1)


# Header

LAYOUT = Layout("lsb", frame_bytes=115_200, runs=3, frames=17, stream_bytes=1_000_000)


@given(
    method=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=4),
    frame_bytes=st.integers(LEAST_STREAM_BYTES, 2**32 - 1),
    runs=st.integers(1, 2**32 - 1),
    more=st.integers(0, 2**32),
    data=st.data(),
)
def test_a_header_opens_as_it_was_sealed(method, frame_bytes, runs, more, data):
    most = min((runs + more) * frame_bytes, 2**64 - 1)
    rule = Layout(method, frame_bytes, runs, runs + more, data.draw(st.integers(LEAST_STREAM_BYTES, most)))
    sealed = rule.seal(KEYS)
    assert len(sealed) == HEADER_BYTES
    assert Layout.open(KEYS, sealed) == rule


@pytest.mark.parametrize("keys", STRANGERS.values(), ids=STRANGERS)
def test_a_header_opens_with_its_keys_only(keys):
    refused(LAYOUT.seal(KEYS), keys)


def test_every_changed_bit_of_a_header_is_found():
    sealed = LAYOUT.seal(KEYS)
    for index, bit in itertools.product(range(len(sealed)), range(8)):
        changed = bytearray(sealed)
        changed[index] ^= 1 << bit
        refused(bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 12, 16, HEADER_BYTES - 1, HEADER_BYTES + 1])
def test_a_header_of_another_size_is_refused(size):
    refused((LAYOUT.seal(KEYS) + b"\0")[:size])


@pytest.mark.parametrize("change", ["method", "frame_bytes", "runs", "frames", "stream_bytes"])
def test_every_field_is_under_the_seal(change):
    """Two layouts of one message have headers without anything in common."""
    value = "own" if change == "method" else getattr(LAYOUT, change) + 1
    one, other = LAYOUT.seal(KEYS), replace(LAYOUT, **{change: value}).seal(KEYS)
    assert one == LAYOUT.seal(KEYS)
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 6


def test_two_salts_share_nothing():
    assert sum(a == b for a, b in zip(LAYOUT.seal(KEYS), LAYOUT.seal(OTHER), strict=True)) < 6


def fields(method: bytes, *numbers: int) -> bytes:
    return struct.pack(">16sIIQQ", method, *numbers)


SENSELESS = {
    "no method": fields(b"", 4000, 1, 1, 64),
    "method not UTF-8": fields(b"\xff", 4000, 1, 1, 64),
    "no room": fields(b"lsb", 0, 1, 1, 64),
    "no runs": fields(b"lsb", 4000, 0, 1, 64),
    "fewer frames than runs": fields(b"lsb", 4000, 2, 1, 64),
    "stream too short": fields(b"lsb", 4000, 1, 1, 15),
    "stream too long": fields(b"lsb", 4000, 1, 1, 4001),
    "cut": fields(b"lsb", 4000, 1, 1, 64)[:-8],
    "longer": fields(b"lsb", 4000, 1, 1, 64) + b"\0",
    "empty": b"",
}


@pytest.mark.parametrize("plain", SENSELESS.values(), ids=SENSELESS)
def test_a_header_that_authenticates_but_is_senseless_is_refused(plain):
    sensible = seal_header(KEYS, FAMILY, fields(b"lsb", 4000, 1, 1, 64))
    assert Layout.open(KEYS, sensible).stream_bytes == 64
    refused(seal_header(KEYS, FAMILY, plain))


def test_a_header_of_another_family_is_refused():
    refused(seal_header(KEYS, "signs", fields(b"lsb", 4000, 1, 1, 64)))


def refused(sealed: bytes, keys: Keys = KEYS) -> None:
    with pytest.raises(PayloadError) as caught:
        Layout.open(keys, sealed)
    assert str(caught.value) == PayloadError.TEXT
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "change",
    [
        {"method": ""},
        {"method": "a" * 17},
        {"method": "é" * 9},
        {"method": "lsb\0"},
        {"method": "\udc80"},
        {"frame_bytes": 0},
        {"frame_bytes": 2**32},
        {"runs": 0},
        {"runs": 2**32, "frames": 2**33},
        {"frames": 2},
        {"frames": 2**64},
        {"stream_bytes": LEAST_STREAM_BYTES - 1},
        {"stream_bytes": 17 * 115_200 + 1},
    ],
)
def test_a_senseless_layout_cannot_be_made(change):
    with pytest.raises(ParameterError):
        replace(LAYOUT, **change)


# Marks


@given(runs=st.integers(1, 50), frames=st.integers(1, 2**32 - 1), data=st.data())
def test_a_mark_says_which_run_it_is_and_how_long(runs, frames, data):
    ordinal, expected = data.draw(st.integers(0, runs - 1)), data.draw(st.integers(-1, runs + 1))
    mark = seal_mark(KEYS, ordinal, runs, frames)
    assert len(mark) == MARK_BYTES
    assert open_mark(KEYS, runs, mark, expected) == (ordinal, frames)
    assert open_mark(WRONG_KEY, runs, mark, expected) is None
    assert open_mark(OTHER, runs, mark, expected) is None
    assert open_mark(KEYS, runs + 1, mark, expected) is None


def test_the_expected_run_is_tried_first(monkeypatch):
    tried = []
    original = layout._tag
    mark = seal_mark(KEYS, 900, 1000, 5)
    monkeypatch.setattr(layout, "_tag", lambda *args: tried.append(args[1]) or original(*args))
    assert open_mark(KEYS, 1000, mark, expected=900) == (900, 5)
    assert tried == [900]
    for nowhere in (-1, 1000, 1 << 40):  # not a run at all: tried no more than any other
        assert open_mark(KEYS, 1000, mark, expected=nowhere) == (900, 5)


def test_every_changed_bit_of_a_mark_is_found():
    mark = seal_mark(KEYS, 1, 3, 9)
    for index, bit in itertools.product(range(len(mark)), range(8)):
        changed = bytearray(mark)
        changed[index] ^= 1 << bit
        assert open_mark(KEYS, 3, bytes(changed)) is None
    assert open_mark(KEYS, 3, mark[:-1]) is None
    assert open_mark(KEYS, 3, mark + b"\0") is None


def test_marks_of_a_message_have_nothing_in_common():
    marks = [seal_mark(KEYS, ordinal, 64, 12) for ordinal in range(64)]
    assert len({mark[:4] for mark in marks}) == len({mark[16:] for mark in marks}) == 64


@pytest.mark.parametrize(
    "numbers", [(-1, 3, 1), (3, 3, 1), (0, 0, 1), (0, 2**32, 1), (0, 3, 0), (0, 3, 2**32)]
)
def test_senseless_marks_cannot_be_made(numbers):
    with pytest.raises(ParameterError):
        seal_mark(KEYS, *numbers)
