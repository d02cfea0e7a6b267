"""The sealed format: what goes in comes out, anything else is the one error, and it never changes."""

from __future__ import annotations

import errno
import hashlib
import hmac
import io
import itertools
import json
import pickle
import resource
import stat
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstega import payload
from vidstega.errors import InputError, OutputError, ParameterError, PayloadError
from vidstega.payload import (
    BLOCK,
    CHUNK,
    HEADER_BYTES,
    MARK_BYTES,
    SALT_BYTES,
    TRAILER_BYTES,
    Area,
    Keys,
    Layout,
    Sealed,
    derive_keys,
    finish,
    open_header,
    open_mark,
    read_stream,
    salt_random,
    seal,
    seal_header,
    seal_mark,
    unseal,
)

KEY = "correct horse battery staple"
SALT = bytes(range(16))
OTHER_SALT = bytes(range(1, 17))
GOLDEN = Path(__file__).parent / "golden" / "payload.json"
SEALED_CHUNK = CHUNK + 16
SIZES = (0, 1, CHUNK - 5, CHUNK - 4, CHUNK - 3, CHUNK, CHUNK + 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK)

KEYS = derive_keys(KEY, SALT)
WRONG_KEY = derive_keys(KEY + "r", SALT)
OTHER = derive_keys(KEY, OTHER_SALT)
STRANGERS = {"wrong key": WRONG_KEY, "other salt": OTHER}

_number = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder hypothesis may share between examples; `fresh` names a new file in it."""
    return tmp_path_factory.mktemp("spools")


def fresh(folder: Path) -> Path:
    return folder / f"spool-{next(_number)}"


def noise(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_256(seed.to_bytes(8, "big")).digest(size)


def layout_of(stream_bytes: int, method: str = "lsb") -> Layout:
    return Layout(
        method, frame_bytes=4000, runs=2, frames=stream_bytes // 4000 + 5, stream_bytes=stream_bytes
    )


def sealed_stream(
    folder: Path, data: bytes, keys: Keys = KEYS, compress: bool = True, method: str = "lsb"
) -> tuple[bytes, Layout]:
    sealed = seal(io.BytesIO(data), fresh(folder), keys, method, compress)
    layout = layout_of(sealed.stream_bytes, method)
    finish(sealed, keys, layout)
    stream = sealed.path.read_bytes()
    sealed.path.unlink()
    return stream, layout


def opened(stream: bytes, layout: Layout, keys: Keys = KEYS) -> bytes:
    return b"".join(unseal(io.BytesIO(stream), keys, layout))


def assert_refused(stream: bytes, layout: Layout, keys: Keys = KEYS) -> None:
    with pytest.raises(PayloadError) as caught:
        opened(stream, layout, keys)
    assert str(caught.value) == PayloadError.TEXT
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def forged(plain: bytes, size: int, digest: bytes, chunks: int | None = None) -> tuple[bytes, Layout]:
    """What a holder of the key could seal: any plain stream under any trailer."""
    aead = AESGCM(KEYS.body)
    pieces = [plain[i : i + CHUNK] for i in range(0, len(plain), CHUNK)]
    aad = b"\x01" + SALT + b"lsb".ljust(16, b"\0")
    data = b"".join(aead.encrypt(i.to_bytes(11, "big") + b"\0", p, aad) for i, p in enumerate(pieces))
    layout = layout_of(len(data) + TRAILER_BYTES)
    packed = struct.pack(">16sIIQQ", b"lsb", layout.frame_bytes, 2, layout.frames, layout.stream_bytes)
    trailer = struct.pack(">Q32sQ", size, digest, len(pieces) if chunks is None else chunks)
    return data + aead.encrypt(len(pieces).to_bytes(11, "big") + b"\x01", trailer, aad + packed), layout


def stored(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, wbits=-15)
    body = deflater.compress(data) + deflater.flush()
    return struct.pack(">I", len(body) | 1 << 31) + body


class Pipe(io.RawIOBase):
    """A source that cannot seek and gives less than it is asked for."""

    def __init__(self, data: bytes, most: int) -> None:
        self._file, self._most = io.BytesIO(data), most

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, self._most))


class Repeated(io.RawIOBase):
    """`size` bytes that never exist in one piece."""

    def __init__(self, piece: bytes, size: int) -> None:
        self._piece, self._left = piece, size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._left, len(self._piece))
        self._left -= size
        return self._piece[:size]


# Keys and randomness


def test_sizes_are_what_the_format_says():
    assert (SALT_BYTES, HEADER_BYTES, MARK_BYTES, TRAILER_BYTES) == (16, 57, 20, 64)
    assert (CHUNK, BLOCK) == (65536, 262144)


def test_a_key_is_normalised_and_str_equals_its_utf8():
    composed, decomposed = derive_keys("caf\u00e9", SALT), derive_keys("cafe\u0301", SALT)
    assert composed == decomposed == derive_keys("caf\u00e9".encode(), SALT)
    assert derive_keys("cafe\u0301".encode(), SALT) != composed


def test_subkeys_differ_from_each_other_and_with_key_and_salt():
    subkeys = [vars(keys)[name] for keys in (KEYS, WRONG_KEY, OTHER) for name in vars(keys) if name != "salt"]
    assert len(subkeys) == len(set(subkeys)) == 18
    assert all(len(subkey) == 32 for subkey in subkeys)
    assert KEYS.salt == SALT


@pytest.mark.parametrize("key", ["", b"", "hidden\udc80", 5, None])
def test_a_senseless_key_is_refused_without_being_shown(key):
    with pytest.raises(ParameterError) as caught:
        derive_keys(key, SALT)
    assert "hidden" not in str(caught.value)
    assert caught.value.__context__ is None and caught.value.__cause__ is None


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_salt_of_another_size_is_refused(size):
    with pytest.raises(ParameterError, match=f"{size} bytes"):
        derive_keys(KEY, bytes(size))


def test_keys_show_nothing_and_travel_to_workers():
    for text in (repr(KEYS), str(KEYS), f"{KEYS}"):
        assert text == "Keys(<hidden>)"
    assert pickle.loads(pickle.dumps(KEYS)) == KEYS


def positions(keys: Keys, *where: int) -> bytes:
    return keys.random(*where).positions.bytes(16).tobytes()


def signs(keys: Keys, *where: int) -> bytes:
    return keys.random(*where).signs.bytes(16).tobytes()


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
        KEYS.random(*where)
    KEYS.random(3, (1 << 32) - 1, (1 << 24) - 1)


# Header and marks

LAYOUT = Layout("lsb", frame_bytes=115_200, runs=3, frames=17, stream_bytes=1_000_000)


@given(
    method=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=4),
    frame_bytes=st.integers(TRAILER_BYTES, 2**32 - 1),
    runs=st.integers(1, 2**32 - 1),
    more=st.integers(0, 2**32),
    data=st.data(),
)
def test_a_header_opens_as_it_was_sealed(method, frame_bytes, runs, more, data):
    stream_bytes = data.draw(st.integers(TRAILER_BYTES, min((runs + more) * frame_bytes, 2**64 - 1)))
    layout = Layout(method, frame_bytes, runs, runs + more, stream_bytes)
    sealed = seal_header(KEYS, layout)
    assert len(sealed) == HEADER_BYTES
    assert open_header(KEYS, sealed) == layout


@pytest.mark.parametrize("keys", STRANGERS.values(), ids=STRANGERS)
def test_a_header_opens_with_its_keys_only(keys):
    with pytest.raises(PayloadError) as caught:
        open_header(keys, seal_header(KEYS, LAYOUT))
    assert str(caught.value) == PayloadError.TEXT


def test_a_header_is_bound_to_its_salt():
    with pytest.raises(PayloadError):
        open_header(replace(KEYS, salt=OTHER_SALT), seal_header(KEYS, LAYOUT))


def test_every_changed_bit_of_a_header_is_found():
    sealed = seal_header(KEYS, LAYOUT)
    for index, bit in itertools.product(range(len(sealed)), range(8)):
        changed = bytearray(sealed)
        changed[index] ^= 1 << bit
        with pytest.raises(PayloadError):
            open_header(KEYS, bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 12, 16, HEADER_BYTES - 1, HEADER_BYTES + 1])
def test_a_header_of_another_size_is_refused(size):
    with pytest.raises(PayloadError):
        open_header(KEYS, (seal_header(KEYS, LAYOUT) + b"\0")[:size])


SENSELESS = {
    "no method": struct.pack(">B16sIIQQ", 1, b"", 4000, 1, 1, 64),
    "method not UTF-8": struct.pack(">B16sIIQQ", 1, b"\xff", 4000, 1, 1, 64),
    "other version": struct.pack(">B16sIIQQ", 2, b"lsb", 4000, 1, 1, 64),
    "no room": struct.pack(">B16sIIQQ", 1, b"lsb", 0, 1, 1, 64),
    "no runs": struct.pack(">B16sIIQQ", 1, b"lsb", 4000, 0, 1, 64),
    "fewer frames than runs": struct.pack(">B16sIIQQ", 1, b"lsb", 4000, 2, 1, 64),
    "stream too short": struct.pack(">B16sIIQQ", 1, b"lsb", 4000, 1, 1, 63),
    "stream too long": struct.pack(">B16sIIQQ", 1, b"lsb", 4000, 1, 1, 4001),
    "cut": struct.pack(">B16sIIQ", 1, b"lsb", 4000, 1, 1),
    "empty": b"",
}


@pytest.mark.parametrize("plain", SENSELESS.values(), ids=SENSELESS)
def test_a_header_that_authenticates_but_is_senseless_is_refused(plain):
    sensible = struct.pack(">B16sIIQQ", 1, b"lsb", 4000, 1, 1, 64)
    aead = AESGCM(KEYS.header)
    assert open_header(KEYS, aead.encrypt(bytes(12), sensible, b"\x01" + SALT)).stream_bytes == 64
    with pytest.raises(PayloadError) as caught:
        open_header(KEYS, aead.encrypt(bytes(12), plain, b"\x01" + SALT))
    assert str(caught.value) == PayloadError.TEXT


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
        {"stream_bytes": TRAILER_BYTES - 1},
        {"stream_bytes": 17 * 115_200 + 1},
    ],
)
def test_a_senseless_layout_cannot_be_made(change):
    with pytest.raises(ParameterError):
        replace(LAYOUT, **change)


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
    original = payload._mark_tag
    mark = seal_mark(KEYS, 900, 1000, 5)
    monkeypatch.setattr(payload, "_mark_tag", lambda *args: tried.append(args[1]) or original(*args))
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


# The sealed stream


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_a_payload_comes_back_at_every_edge(folder, size, compress):
    for data in (noise(size), bytes(size)):
        stream, layout = sealed_stream(folder, data, compress=compress)
        pieces = unseal(io.BytesIO(stream), KEYS, layout)
        assert (pieces.digest, pieces.payload_bytes) == ("", 0)
        assert b"".join(pieces) == data
        assert (pieces.digest, pieces.payload_bytes) == (hashlib.sha256(data).hexdigest(), size)


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(0, 3 * BLOCK),
    period=st.integers(1, 40_000),
    compress=st.booleans(),
    most=st.integers(500, BLOCK),
)
def test_any_payload_comes_back_through_any_pipe(folder, size, period, compress, most):
    data = (noise(period) * (size // period + 1))[:size]
    sealed = seal(Pipe(data, most), fresh(folder), KEYS, "lsb", compress)
    layout = layout_of(sealed.stream_bytes)
    finish(sealed, KEYS, layout)
    stream = sealed.path.read_bytes()
    sealed.path.unlink()
    assert (sealed.payload_bytes, sealed.digest) == (size, hashlib.sha256(data).hexdigest())
    assert stream == sealed_stream(folder, data, compress=compress)[0]  # how a pipe cuts does not matter
    assert b"".join(unseal(Pipe(stream, most), KEYS, layout)) == data


@pytest.mark.parametrize("size", SIZES)
def test_stored_streams_have_the_size_the_format_says(folder, size):
    sealed = seal(io.BytesIO(noise(size)), fresh(folder), KEYS, "lsb")
    plain = size + 4 * -(-size // BLOCK)
    assert sealed.data_bytes == plain + 16 * -(-plain // CHUNK) == sealed.path.stat().st_size
    assert sealed.stream_bytes == sealed.data_bytes + TRAILER_BYTES


def test_an_empty_payload_is_a_trailer_alone(folder):
    stream, _ = sealed_stream(folder, b"")
    assert len(stream) == TRAILER_BYTES


def test_compression_is_kept_where_it_helps_and_looks_back(folder):
    text = b"all work and no play makes a dull payload; " * 20_000
    assert len(sealed_stream(folder, text)[0]) < len(text) // 50
    assert len(sealed_stream(folder, text, compress=False)[0]) > len(text)
    page = noise(30 << 10)
    far = noise(BLOCK - len(page), 1) + page + page  # the second page is in a block of its own
    assert len(sealed_stream(folder, far)[0]) < len(far) - len(page) + 2000


def test_the_spool_is_new_and_private(folder):
    sealed = seal(io.BytesIO(b"secret"), fresh(folder), KEYS, "lsb")
    assert stat.S_IMODE(sealed.path.stat().st_mode) == 0o600
    before = sealed.path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        seal(io.BytesIO(b"other"), sealed.path, KEYS, "lsb")
    assert sealed.path.read_bytes() == before
    assert b"secret" not in before


def test_two_salts_share_nothing(folder):
    data = bytes(3 * CHUNK)
    one, _ = sealed_stream(folder, data, KEYS, compress=False)
    two, _ = sealed_stream(folder, data, OTHER, compress=False)
    for stream in (one, two):
        counts = [stream.count(value) for value in range(256)]
        expected = len(stream) / 256
        assert sum((count - expected) ** 2 / expected for count in counts) < 400  # 255 expected, 6 sigma
    equal = sum(a == b for a, b in zip(one, two, strict=True))
    assert equal < 1.3 * len(one) / 256
    words = [{stream[i : i + 8] for i in range(len(stream) - 7)} for stream in (one, two)]
    assert not words[0] & words[1]
    headers = [seal_header(keys, LAYOUT) for keys in (KEYS, OTHER)]
    assert sum(a == b for a, b in zip(*headers, strict=True)) < 6


@pytest.mark.parametrize("size", [0, 1, 100])
def test_every_changed_byte_of_a_stream_is_found(folder, size):
    stream, layout = sealed_stream(folder, noise(size))
    for index in range(len(stream)):
        changed = bytearray(stream)
        changed[index] ^= 1 << index % 8
        assert_refused(bytes(changed), layout)


def test_every_truncation_and_addition_is_found(folder):
    stream, layout = sealed_stream(folder, noise(50))
    for size in range(len(stream)):
        assert_refused(stream[:size], layout)
    assert_refused(stream + b"\0", layout)
    assert_refused(b"\0" + stream, layout)
    assert_refused(stream + read_stream_padding(len(stream), 100), layout)


def read_stream_padding(start: int, size: int) -> bytes:
    return read_stream(Path("/dev/null"), start, size, KEYS)


def test_chunks_can_neither_move_nor_go_nor_come_from_elsewhere(folder):
    data = bytes(3 * CHUNK - 8)
    stream, layout = sealed_stream(folder, data, compress=False)
    foreign, _ = sealed_stream(folder, data, OTHER, compress=False)
    other_method, _ = sealed_stream(folder, data, compress=False, method="own")
    a, b, c, end = split(stream)
    assert opened(a + b + c + end, layout) == data
    assert_refused(b + a + c + end, layout)
    assert_refused(a + a + c + end, layout)
    assert_refused(a + split(foreign)[1] + c + end, layout)
    assert_refused(a + b + c + split(foreign)[-1], layout)
    assert_refused(split(other_method)[0] + b + c + end, layout)
    for shorter in (a + b + end, b + c + end, end):
        assert_refused(shorter, layout_of(len(shorter)))
    longer = a + b + c + c + end
    assert_refused(longer, layout_of(len(longer)))


def split(stream: bytes) -> list[bytes]:
    data, end = stream[:-TRAILER_BYTES], stream[-TRAILER_BYTES:]
    return [data[i : i + SEALED_CHUNK] for i in range(0, len(data), SEALED_CHUNK)] + [end]


def test_chunks_are_bound_to_salt_and_method_themselves(folder):
    """With the very same subkeys, so that nothing but the associated data can tell."""
    stream, layout = sealed_stream(folder, b"bound")
    first = payload._open_chunks
    assert b"bound" in next(first(io.BytesIO(stream), KEYS, layout))
    for keys, rule in ((replace(KEYS, salt=OTHER_SALT), layout), (KEYS, replace(layout, method="own"))):
        with pytest.raises(PayloadError):
            next(first(io.BytesIO(stream), keys, rule))
        assert_refused(stream, rule, keys)


@pytest.mark.parametrize("change", ["method", "frame_bytes", "runs", "frames", "stream_bytes"])
def test_the_stream_is_bound_to_its_layout(folder, change):
    stream, layout = sealed_stream(folder, b"")
    value = "own" if change == "method" else getattr(layout, change) + 1
    assert opened(stream, layout) == b""
    assert_refused(stream, replace(layout, **{change: value}))


@pytest.mark.parametrize("keys", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("size", [0, 1000])
def test_a_stranger_reads_nothing(folder, keys, size):
    stream, layout = sealed_stream(folder, noise(size))
    assert_refused(stream, layout, keys)


def test_a_data_chunk_cannot_pass_as_trailer():
    """Same key, counter, associated data and plaintext: only the last flag tells them apart."""
    stream, layout = forged(b"", 0, hashlib.sha256().digest())
    assert opened(stream, layout) == b""
    packed = struct.pack(">16sIIQQ", b"lsb", layout.frame_bytes, 2, layout.frames, layout.stream_bytes)
    trailer = struct.pack(">Q32sQ", 0, hashlib.sha256().digest(), 0)
    aad = b"\x01" + SALT + b"lsb".ljust(16, b"\0") + packed
    assert AESGCM(KEYS.body).encrypt(bytes(11) + b"\x01", trailer, aad) == stream
    assert_refused(AESGCM(KEYS.body).encrypt(bytes(12), trailer, aad), layout)


def test_the_trailer_is_checked_against_the_payload():
    data = noise(1000)
    digest = hashlib.sha256(data).digest()
    assert opened(*forged(stored(data), 1000, digest)) == data
    assert_refused(*forged(stored(data), 1001, digest))
    assert_refused(*forged(stored(data), 1000, hashlib.sha256(b"other").digest()))
    assert_refused(*forged(stored(data), 1000, digest, chunks=2))


ABC = deflated(b"abc")[4:]
MALFORMED = {  # the plain stream, and what a careless reader would make of it
    "empty stored block": (stored(b""), b""),
    "stored block too large": (stored(bytes(BLOCK + 1)), bytes(BLOCK + 1)),
    "stored block cut": (stored(b"abc")[:-1], b""),
    "head cut": (stored(b"abc") + b"\0\0", b"abc"),
    "empty deflated block": (struct.pack(">I", 1 << 31), b""),
    "deflated to nothing": (deflated(b""), b""),
    "not deflate": (struct.pack(">I", 3 | 1 << 31) + b"\xff\xff\xff", b""),
    "deflated block cut": (struct.pack(">I", len(ABC) - 1 | 1 << 31) + ABC[:-1], b"abc"),
    "deflated and more": (struct.pack(">I", len(ABC) + 1 | 1 << 31) + ABC + b"\0", b"abc"),
    "deflated too large": (deflated(bytes(BLOCK + 1)), bytes(BLOCK + 1)),
    "bomb": (deflated(bytes(16 << 20)), bytes(16 << 20)),
}


@pytest.mark.parametrize("plain, careless", MALFORMED.values(), ids=MALFORMED)
def test_blocks_that_authenticate_but_are_malformed_are_refused(plain, careless):
    stream, layout = forged(plain, len(careless), hashlib.sha256(careless).digest())
    tracemalloc.start()
    assert_refused(stream, layout)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20


def test_the_largest_blocks_are_read():
    data = bytes(BLOCK)
    for block in (stored(data), deflated(data)):
        assert opened(*forged(block, BLOCK, hashlib.sha256(data).digest())) == data


def test_after_an_error_no_digest_is_claimed(folder):
    stream, layout = sealed_stream(folder, noise(2 * BLOCK))
    pieces = unseal(io.BytesIO(stream[:-1] + bytes([stream[-1] ^ 1])), KEYS, layout)
    assert len(next(pieces)) == BLOCK  # provisional
    with pytest.raises(PayloadError):
        list(pieces)
    assert (pieces.digest, pieces.payload_bytes) == ("", 0)


# The spool


def test_a_stream_is_finished_once_and_with_its_own_layout(folder):
    sealed = seal(io.BytesIO(b"once"), fresh(folder), KEYS, "lsb")
    layout = layout_of(sealed.stream_bytes)
    for wrong in (replace(layout, stream_bytes=layout.stream_bytes - 1), replace(layout, method="own")):
        with pytest.raises(ParameterError):
            finish(sealed, KEYS, wrong)
    finish(sealed, KEYS, layout)
    before = sealed.path.read_bytes()
    for again in (layout, replace(layout, frames=layout.frames + 1)):
        with pytest.raises(OutputError, match="finished already"):
            finish(sealed, KEYS, again)
    assert sealed.path.read_bytes() == before
    assert opened(before, layout) == b"once"


def test_a_spool_that_is_gone_cannot_be_finished(folder):
    sealed = seal(io.BytesIO(b"gone"), fresh(folder), KEYS, "lsb")
    sealed.path.unlink()
    with pytest.raises(OutputError):
        finish(sealed, KEYS, layout_of(sealed.stream_bytes))
    assert not sealed.path.exists()
    with pytest.raises(InputError, match="every worker"):
        read_stream(sealed.path, 0, 10, KEYS)


@pytest.fixture(scope="module")
def spool(folder) -> tuple[Path, bytes]:
    sealed = seal(io.BytesIO(noise(1000)), fresh(folder), KEYS, "lsb")
    finish(sealed, KEYS, layout_of(sealed.stream_bytes))
    return sealed.path, read_stream(sealed.path, 0, 3 * CHUNK, KEYS)


def test_ranges_begin_with_the_stream_and_go_on_without_end(spool):
    path, whole = spool
    stream = path.read_bytes()
    assert whole[: len(stream)] == stream
    assert len(whole) == 3 * CHUNK
    padding = whole[len(stream) :]
    assert len({padding[i : i + 8] for i in range(0, len(padding) - 8, 8)}) == (len(padding) - 1) // 8
    assert padding == read_stream_padding(len(stream), len(padding))
    assert padding != read_stream(Path("/dev/null"), len(stream), len(padding), OTHER)
    assert len(read_stream(path, 1 << 50, 10, KEYS)) == 10


@given(start=st.integers(0, 3 * CHUNK), size=st.integers(0, 2 * CHUNK))
@settings(max_examples=60, deadline=None)
def test_any_range_reads_the_same_whoever_asks(spool, start, size):
    path, whole = spool
    size = min(size, len(whole) - start)
    assert read_stream(path, start, size, KEYS) == whole[start : start + size]


@pytest.mark.parametrize("where", [(-1, 5), (5, -1)])
def test_senseless_ranges_are_refused(spool, where):
    with pytest.raises(ParameterError):
        read_stream(spool[0], *where, KEYS)


def test_progress_adds_up_to_the_payload(folder):
    seen: list[int] = []
    seal(io.BytesIO(noise(BLOCK + 7)), fresh(folder), KEYS, "lsb", progress=seen.append)
    assert seen == [BLOCK, 7]


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(folder):
    path = fresh(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError) as caught:
            seal(io.BytesIO(noise(BLOCK)), path, KEYS, "lsb")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in str(caught.value) and "\n" not in str(caught.value)
    assert not path.exists()


class Broken(io.RawIOBase):
    """Fails after its first block, or at once gives what is not bytes."""

    def __init__(self, answer: object) -> None:
        self._answers = iter([noise(BLOCK), answer])

    def read(self, size: int = -1):
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    "answer", [OSError(errno.EIO, "Input/output error"), ValueError("read of closed file"), "text", None]
)
def test_a_payload_that_cannot_be_read_is_an_input_error_and_leaves_nothing(folder, answer):
    path = fresh(folder)
    with pytest.raises(InputError, match="cannot read the payload") as caught:
        seal(Broken(answer), path, KEYS, "lsb")
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_an_interrupted_seal_leaves_nothing(folder):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = fresh(folder)
    with pytest.raises(KeyboardInterrupt):
        seal(io.BytesIO(b"x"), path, KEYS, "lsb", progress=interrupt)
    assert not path.exists()


@pytest.mark.parametrize("compress", [True, False])
def test_memory_does_not_know_the_size_of_the_payload(folder, compress):
    size = 64 << 20
    piece = bytes(1 << 20)
    tracemalloc.start()
    sealed = seal(Repeated(piece, size), fresh(folder), KEYS, "lsb", compress)
    layout = layout_of(sealed.stream_bytes)
    finish(sealed, KEYS, layout)
    with sealed.path.open("rb") as file:
        pieces = unseal(file, KEYS, layout)
        total = sum(len(piece) for piece in pieces)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sealed.path.unlink()
    assert total == size and pieces.digest == sealed.digest
    assert peak < 4 << 20


# Golden bytes: made once by `golden_bytes`, never again; a reader of any later version must read them

GOLDEN_STORED = b"The first stored message.\n"
GOLDEN_DEFLATED = b"all work and no play makes a dull payload; " * 8000  # two blocks


def golden_bytes(folder: Path) -> dict[str, object]:
    stream, layout = sealed_stream(folder, GOLDEN_STORED, compress=False)
    packed, packed_layout = sealed_stream(folder, GOLDEN_DEFLATED)
    places = [(Area.SALT, 0, 0), (Area.HEADER, 0, 0), (Area.MARK, 5, 0), (Area.BODY, 5, 258)]
    return {
        "key": KEY,
        "salt": SALT.hex(),
        "header": seal_header(KEYS, layout).hex(),
        "marks": [seal_mark(KEYS, ordinal, 3, 7 + ordinal).hex() for ordinal in range(3)],
        "stream": stream.hex(),
        "padding": read_stream_padding(CHUNK - 8, 16).hex(),
        "positions": [positions(KEYS, *place).hex() for place in places],
        "signs": [signs(KEYS, *place).hex() for place in places],
        "deflated_header": seal_header(KEYS, packed_layout).hex(),
        "deflated_stream": packed.hex(),
    }


def test_the_format_is_frozen(folder):
    """All but the deflated stream: another zlib may find another deflation of the same block."""
    made, frozen = golden_bytes(folder), json.loads(GOLDEN.read_text())
    assert made.keys() == frozen.keys()
    for name in frozen:
        if not name.startswith("deflated"):
            assert made[name] == frozen[name], name


@pytest.mark.parametrize("prefix, data", [("", GOLDEN_STORED), ("deflated_", GOLDEN_DEFLATED)])
def test_the_first_messages_can_still_be_read(prefix, data):
    frozen = json.loads(GOLDEN.read_text())
    keys = derive_keys(frozen["key"], bytes.fromhex(frozen["salt"]))
    layout = open_header(keys, bytes.fromhex(frozen[prefix + "header"]))
    stream = bytes.fromhex(frozen[prefix + "stream"])
    assert layout.stream_bytes == len(stream)
    assert opened(stream, layout, keys) == data
    assert [open_mark(keys, 3, bytes.fromhex(mark)) for mark in frozen["marks"]] == [(0, 7), (1, 8), (2, 9)]


def test_the_specification_is_enough_to_read_a_message():
    """The docstring of `payload` followed with standard tools, nothing of vidstega."""
    frozen = {
        k: bytes.fromhex(v)
        for k, v in json.loads(GOLDEN.read_text()).items()
        if k not in ("key", "marks") and isinstance(v, str)
    }
    salt = frozen["salt"]
    master = hashlib.scrypt(KEY.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=1 << 26, dklen=32)

    def subkey(label: str) -> bytes:  # RFC 5869
        extracted = hmac_sha256(bytes(32), master)
        return hmac_sha256(extracted, f"vidstega {label}".encode() + b"\x01")

    header = AESGCM(subkey("header")).decrypt(bytes(12), frozen["deflated_header"], b"\x01" + salt)
    version, method, frame_bytes, runs, frames, stream_bytes = struct.unpack(">B16sIIQQ", header)
    assert (version, method.rstrip(b"\0"), frame_bytes, runs, frames) == (
        1,
        b"lsb",
        4000,
        2,
        stream_bytes // 4000 + 5,
    )
    data, trailer = frozen["deflated_stream"][:-64], frozen["deflated_stream"][-64:]
    body = AESGCM(subkey("body"))
    aad = b"\x01" + salt + method
    plain = body.decrypt(bytes(12), data, aad)  # less than one chunk
    size, digest, chunks = struct.unpack(
        ">Q32sQ", body.decrypt(bytes(10) + b"\x01\x01", trailer, aad + header[1:])
    )
    message = b""
    while plain:
        head = int.from_bytes(plain[:4], "big")
        end = 4 + (head & 0x7FFFFFFF)
        assert head >> 31
        message += zlib.decompressobj(-15, zdict=message[-32768:]).decompress(plain[4:end])
        plain = plain[end:]
    assert (size, digest, chunks) == (len(message), hashlib.sha256(message).digest(), 1)
    assert message == GOLDEN_DEFLATED


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, "sha256").digest()


def test_what_a_caller_sees_can_be_shown():
    shown = repr(Sealed(Path("spool"), "lsb", 4, "ab", 24)) + repr(LAYOUT)
    assert "stream_bytes=1000000" in shown and KEYS.body.hex() not in shown
