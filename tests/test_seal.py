"""The sealed stream: what goes in comes out, anything else is the one error, and it never changes."""

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
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstega.carriers.samples.layout import Area, Layout, open_mark, random_of, seal_mark
from vidstega.errors import CapacityError, InputError, OutputError, ParameterError, PayloadError
from vidstega.seal import (
    LEAST_STREAM_BYTES,
    Key,
    Keys,
    Sealed,
    Unsealer,
    largest_payload,
    padding,
    seal,
    seal_header,
    sealed_bytes,
    stream,
)
from vidstega.seal.blocks import BLOCK
from vidstega.seal.stream import CHUNK

KEY = "correct horse battery staple"
SALT = bytes(range(16))
GOLDEN = Path(__file__).parent / "golden" / "seal.json"
SEALED_CHUNK = CHUNK + 16
SIZES = (0, 1, CHUNK - 5, CHUNK - 4, CHUNK - 3, CHUNK, CHUNK + 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK)

KEYS = Key(KEY).at(SALT)
WRONG_KEY = Key(KEY + "r").at(SALT)
OTHER = Key(KEY).at(bytes(range(1, 17)))
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


def sealed_stream(folder: Path, data: bytes, keys: Keys = KEYS, compress: bool = True) -> bytes:
    sealed = seal(io.BytesIO(data), fresh(folder), keys, compress=compress)
    written = sealed.path.read_bytes()
    sealed.path.unlink()
    assert len(written) == sealed.stream_bytes
    return written


def opened(sealed: bytes, keys: Keys = KEYS, stream_bytes: int | None = None) -> bytes:
    return b"".join(Unsealer(io.BytesIO(sealed), keys, len(sealed) if stream_bytes is None else stream_bytes))


def assert_refused(sealed: bytes, keys: Keys = KEYS, stream_bytes: int | None = None) -> None:
    with pytest.raises(PayloadError) as caught:
        opened(sealed, keys, stream_bytes)
    assert str(caught.value) == PayloadError.TEXT
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def chunk(plain: bytes, index: int, last: int) -> bytes:
    """What a holder of the key could seal: any bytes as any chunk."""
    return AESGCM(KEYS.subkey("body")).encrypt(index.to_bytes(11, "big") + bytes([last]), plain, b"\2")


def forged(plain: bytes) -> bytes:
    """Any plain stream in chunks as they should be."""
    pieces = [plain[i : i + CHUNK] for i in range(0, len(plain), CHUNK)] or [b""]
    return b"".join(chunk(piece, i, i == len(pieces) - 1) for i, piece in enumerate(pieces))


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


# The sealed stream


def test_sizes_are_what_the_format_says():
    assert (CHUNK, BLOCK, LEAST_STREAM_BYTES) == (65536, 262144, 16)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_a_payload_comes_back_at_every_edge(folder, size, compress):
    for data in (noise(size), bytes(size)):
        sealed = sealed_stream(folder, data, compress=compress)
        pieces = Unsealer(io.BytesIO(sealed), KEYS, len(sealed))
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
    sealed = seal(Pipe(data, most), fresh(folder), KEYS, compress=compress)
    written = sealed.path.read_bytes()
    sealed.path.unlink()
    assert (sealed.payload_bytes, sealed.digest) == (size, hashlib.sha256(data).hexdigest())
    assert written == sealed_stream(folder, data, compress=compress)  # how a pipe cuts does not matter
    assert b"".join(Unsealer(Pipe(written, most), KEYS, len(written))) == data


@pytest.mark.parametrize("size", SIZES)
def test_stored_streams_have_the_size_the_format_says(folder, size):
    sealed = seal(io.BytesIO(noise(size)), fresh(folder), KEYS)
    plain = size + 4 * -(-size // BLOCK)
    assert sealed.stream_bytes == plain + 16 * max(1, -(-plain // CHUNK)) == sealed.path.stat().st_size
    assert sealed.stream_bytes == sealed_bytes(size)
    assert largest_payload(sealed.stream_bytes) == size
    assert largest_payload(sealed.stream_bytes - 1) < size or size == 0


def test_an_empty_payload_is_a_tag_alone(folder):
    assert sealed_stream(folder, b"") == chunk(b"", 0, last=1)


def test_compression_is_kept_where_it_helps_and_looks_back(folder):
    text = b"all work and no play makes a dull payload; " * 20_000
    assert len(sealed_stream(folder, text)) < len(text) // 50
    assert len(sealed_stream(folder, text, compress=False)) > len(text)
    page = noise(30 << 10)
    far = noise(BLOCK - len(page), 1) + page + page  # the second page is in a block of its own
    assert len(sealed_stream(folder, far)) < len(far) - len(page) + 2000


def test_the_spool_is_new_and_private(folder):
    sealed = seal(io.BytesIO(b"secret"), fresh(folder), KEYS)
    assert stat.S_IMODE(sealed.path.stat().st_mode) == 0o600
    before = sealed.path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        seal(io.BytesIO(b"other"), sealed.path, KEYS)
    assert sealed.path.read_bytes() == before
    assert b"secret" not in before


def test_two_salts_share_nothing(folder):
    data = bytes(3 * CHUNK)
    one, two = (sealed_stream(folder, data, keys, compress=False) for keys in (KEYS, OTHER))
    for sealed in (one, two):
        counts = [sealed.count(value) for value in range(256)]
        expected = len(sealed) / 256
        assert sum((count - expected) ** 2 / expected for count in counts) < 400  # 255 expected, 6 sigma
    equal = sum(a == b for a, b in zip(one, two, strict=True))
    assert equal < 1.3 * len(one) / 256
    words = [{sealed[i : i + 8] for i in range(len(sealed) - 7)} for sealed in (one, two)]
    assert not words[0] & words[1]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 4, CHUNK - 3, 3 * CHUNK])
def test_no_nonce_is_used_twice_and_the_last_chunk_alone_is_flagged(folder, monkeypatch, size):
    used: list[bytes] = []

    class Recorded:
        def __init__(self, key):
            assert key == KEYS.subkey("body")
            self._aead = AESGCM(key)

        def encrypt(self, nonce, data, aad):
            used.append(nonce)
            return self._aead.encrypt(nonce, data, aad)

    monkeypatch.setattr(stream, "AESGCM", Recorded)
    sealed = seal(io.BytesIO(noise(size)), fresh(folder), KEYS)
    assert len(used) == len(set(used)) == -(-sealed.stream_bytes // SEALED_CHUNK)
    assert [nonce[-1] for nonce in used] == [0] * (len(used) - 1) + [1]
    assert [int.from_bytes(nonce[:-1], "big") for nonce in used] == list(range(len(used)))


@pytest.mark.parametrize("size", [0, 1, 100])
def test_every_changed_bit_of_a_stream_is_found(folder, size):
    sealed = sealed_stream(folder, noise(size))
    for index, bit in itertools.product(range(len(sealed)), range(8)):
        changed = bytearray(sealed)
        changed[index] ^= 1 << bit
        assert_refused(bytes(changed))


def test_every_truncation_and_addition_is_found(folder):
    """Whether the reader is told of the length as it was, or of the one that it finds."""
    sealed = sealed_stream(folder, noise(50))
    for size in range(len(sealed)):
        for told in (size, len(sealed)):
            assert_refused(sealed[:size], stream_bytes=told)
    after = padding(KEYS, len(sealed), 100)
    for longer in (sealed + b"\0", b"\0" + sealed, sealed + after, sealed + sealed):
        for told in (len(longer), len(sealed)):
            assert_refused(longer, stream_bytes=told)


@pytest.mark.parametrize("told", [-SEALED_CHUNK, -16, -1, 0, 15, 17, SEALED_CHUNK, SEALED_CHUNK + 16])
def test_another_length_is_no_length(folder, told):
    sealed = sealed_stream(folder, b"")
    assert_refused(sealed, stream_bytes=told)
    assert opened(sealed) == b""


def test_chunks_can_neither_move_nor_go_nor_come_from_elsewhere(folder):
    data = noise(3 * CHUNK - 8)
    sealed = sealed_stream(folder, data)
    foreign = sealed_stream(folder, data, OTHER)
    a, b, c = split(sealed)
    d, e, f = split(foreign)
    assert len(a) == len(b) == SEALED_CHUNK and opened(a + b + c) == data
    for moved in (b + a + c, a + a + c, a + c + b, c + b + a):
        assert_refused(moved)
    for taken in (a + e + c, a + b + f, d + b + c):
        assert_refused(taken)
    for shorter in (a + c, b + c, c, a + b, a, a + b + c[:-1], b"", a[:-1], a + b[:16]):
        assert_refused(shorter)
        assert_refused(shorter, stream_bytes=len(sealed))
    for longer in (a + b + c + c, a + b + b + c, a + b + c + f, a + b + c + chunk(b"", 3, last=1)):
        assert_refused(longer)
        assert_refused(longer, stream_bytes=len(sealed))


def test_a_stream_whose_last_chunk_is_full_cannot_be_cut_there(folder):
    sealed = sealed_stream(folder, noise(2 * CHUNK - 4), compress=False)
    assert len(sealed) == 2 * SEALED_CHUNK
    assert_refused(sealed[:SEALED_CHUNK])
    assert_refused(sealed + chunk(b"", 2, last=1))
    assert_refused(sealed + chunk(b"", 2, last=0))


def split(sealed: bytes) -> list[bytes]:
    return [sealed[i : i + SEALED_CHUNK] for i in range(0, len(sealed), SEALED_CHUNK)]


@pytest.mark.parametrize("keys", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("size", [0, 1000])
def test_a_stranger_reads_nothing(folder, keys, size):
    assert_refused(sealed_stream(folder, noise(size)), keys)


def test_the_flag_of_the_last_chunk_is_part_of_its_seal():
    """Same key, counter and plaintext: only the flag tells them apart, and it has to be right everywhere."""
    first, second = stored(noise(CHUNK - 4)), stored(b"end")
    assert opened(chunk(first, 0, last=0) + chunk(second, 1, last=1)) == first[4:] + b"end"
    assert opened(chunk(b"", 0, last=1)) == b""
    assert_refused(chunk(b"", 0, last=0))
    assert_refused(chunk(first, 0, last=0))
    for flags in ((1, 1), (0, 0), (1, 0)):
        pieces = (chunk(plain, i, flags[i]) for i, plain in enumerate((first, second)))
        assert_refused(b"".join(pieces))


def test_what_was_sealed_for_another_use_or_version_is_no_chunk():
    aead, nonce = AESGCM(KEYS.subkey("body")), bytes(11) + b"\1"
    assert opened(aead.encrypt(nonce, stored(b"x"), b"\2")) == b"x"
    assert_refused(aead.encrypt(nonce, stored(b"x"), b"\1"))
    assert_refused(aead.encrypt(nonce, stored(b"x"), None))
    assert_refused(AESGCM(KEYS.subkey("padding")).encrypt(nonce, stored(b"x"), b"\2"))
    assert_refused(seal_header(KEYS, "samples", b"fields"))


ABC = deflated(b"abc")[4:]
MALFORMED = {  # plain streams that a careless reader would make something of
    "empty stored block": stored(b""),
    "stored block too large": stored(bytes(BLOCK + 1)),
    "stored block cut": stored(b"abc")[:-1],
    "head cut": stored(b"abc") + b"\0\0",
    "empty deflated block": struct.pack(">I", 1 << 31),
    "deflated to nothing": deflated(b""),
    "not deflate": struct.pack(">I", 3 | 1 << 31) + b"\xff\xff\xff",
    "deflated block cut": struct.pack(">I", len(ABC) - 1 | 1 << 31) + ABC[:-1],
    "deflated and more": struct.pack(">I", len(ABC) + 1 | 1 << 31) + ABC + b"\0",
    "deflated too large": deflated(bytes(BLOCK + 1)),
    "bomb": deflated(bytes(16 << 20)),
}


@pytest.mark.parametrize("plain", MALFORMED.values(), ids=MALFORMED)
def test_blocks_that_authenticate_but_are_malformed_are_refused(plain):
    sealed = forged(plain)
    tracemalloc.start()
    assert_refused(sealed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20


def test_the_largest_blocks_are_read():
    data = bytes(BLOCK)
    for block in (stored(data), deflated(data)):
        assert opened(forged(block)) == data


@pytest.mark.parametrize("where", [-1, 0])
def test_after_an_error_no_digest_is_claimed(folder, where):
    sealed = bytearray(sealed_stream(folder, noise(2 * BLOCK)))
    sealed[where] ^= 1
    pieces = Unsealer(io.BytesIO(sealed), KEYS, len(sealed))
    if where:
        assert len(next(pieces)) == BLOCK  # provisional
    with pytest.raises(PayloadError):
        list(pieces)
    assert (pieces.digest, pieces.payload_bytes) == ("", 0)


def test_a_stream_that_cannot_be_read_is_an_input_error():
    closed = io.BytesIO(bytes(100))
    closed.close()
    with pytest.raises(InputError, match="cannot read the sealed stream"):
        list(Unsealer(closed, KEYS, 100))


# The spool


def test_a_spool_that_is_gone_is_an_input_error(folder):
    sealed = seal(io.BytesIO(b"gone"), fresh(folder), KEYS)
    sealed.path.unlink()
    with pytest.raises(InputError, match="every worker"):
        sealed.read(0, 10)


@pytest.fixture(scope="module")
def spool(folder) -> tuple[Sealed, bytes]:
    sealed = seal(io.BytesIO(noise(1000)), fresh(folder), KEYS)
    return sealed, sealed.read(0, 3 * CHUNK)


def test_ranges_begin_with_the_stream_and_go_on_without_end(spool):
    sealed, whole = spool
    size = sealed.stream_bytes
    assert whole[:size] == sealed.path.read_bytes()
    assert len(whole) == 3 * CHUNK
    filler = whole[size:]
    assert len({filler[i : i + 8] for i in range(0, len(filler) - 8, 8)}) == (len(filler) - 1) // 8
    assert filler == padding(KEYS, size, len(filler))
    assert filler != padding(OTHER, size, len(filler))
    assert len(sealed.read(1 << 50, 10)) == 10


@given(start=st.integers(0, 3 * CHUNK), size=st.integers(0, 2 * CHUNK))
@settings(max_examples=60, deadline=None)
def test_any_range_reads_the_same_whoever_asks(spool, start, size):
    sealed, whole = spool
    size = min(size, len(whole) - start)
    asked = pickle.loads(pickle.dumps(sealed))
    assert asked.read(start, size) == whole[start : start + size]


@pytest.mark.parametrize("where", [(-1, 5), (5, -1)])
def test_senseless_ranges_are_refused(spool, where):
    with pytest.raises(ParameterError):
        spool[0].read(*where)


def test_progress_adds_up_to_the_payload(folder):
    seen: list[int] = []
    seal(io.BytesIO(noise(BLOCK + 7)), fresh(folder), KEYS, progress=seen.append)
    assert seen == [BLOCK, 7]


def test_what_will_not_fit_is_counted_and_not_written(folder):
    data = noise(3 * BLOCK)
    within = seal(io.BytesIO(data), fresh(folder), KEYS, most=sealed_bytes(len(data)))
    assert within.path.stat().st_size == within.stream_bytes == sealed_bytes(len(data))
    over = seal(io.BytesIO(data), fresh(folder), KEYS, most=2 * BLOCK)
    assert over.stream_bytes == within.stream_bytes and over.path.stat().st_size <= 2 * BLOCK
    path = fresh(folder)
    with pytest.raises(CapacityError, match=r"more than [\d,]+ bits .* capacity is 8,000 bits"):
        seal(Repeated(bytes(1 << 20), 1 << 40), path, KEYS, compress=False, most=1000)
    assert not path.exists()


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(folder):
    path = fresh(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError) as caught:
            seal(io.BytesIO(noise(BLOCK)), path, KEYS)
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
        seal(Broken(answer), path, KEYS)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_an_interrupted_seal_leaves_nothing(folder):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = fresh(folder)
    with pytest.raises(KeyboardInterrupt):
        seal(io.BytesIO(b"x"), path, KEYS, progress=interrupt)
    assert not path.exists()


@pytest.mark.parametrize("compress", [True, False])
def test_memory_does_not_know_the_size_of_the_payload(folder, compress):
    size = 64 << 20
    piece = bytes(1 << 20)
    tracemalloc.start()
    sealed = seal(Repeated(piece, size), fresh(folder), KEYS, compress=compress)
    with sealed.path.open("rb") as file:
        pieces = Unsealer(file, KEYS, sealed.stream_bytes)
        total = sum(len(piece) for piece in pieces)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sealed.path.unlink()
    assert total == size and pieces.digest == sealed.digest
    assert peak < 4 << 20


# Golden bytes. A reader of any later version must read them, so they are made once for each version of the
# format, by `python tests/test_seal.py`, after the version in `vidstega.seal.keys` has been raised.

GOLDEN_STORED = b"The first stored message.\n"
GOLDEN_DEFLATED = b"all work and no play makes a dull payload; " * 8000  # two blocks
PLACES = [(Area.SALT, 0, 0), (Area.HEADER, 0, 0), (Area.MARK, 5, 0), (Area.BODY, 5, 258)]


def golden_layout(stream_bytes: int) -> Layout:
    return Layout("lsb", frame_bytes=4000, runs=2, frames=5, stream_bytes=stream_bytes)


def golden_bytes(folder: Path) -> dict[str, object]:
    kept = sealed_stream(folder, GOLDEN_STORED, compress=False)
    packed = sealed_stream(folder, GOLDEN_DEFLATED)
    drawn = [random_of(KEYS, *place) for place in PLACES]
    return {
        "key": KEY,
        "salt": SALT.hex(),
        "header": golden_layout(len(kept)).seal(KEYS).hex(),
        "marks": [seal_mark(KEYS, ordinal, 3, 7 + ordinal).hex() for ordinal in range(3)],
        "stream": kept.hex(),
        "padding": padding(KEYS, CHUNK - 8, 16).hex(),
        "positions": [random.positions.bytes(16).tobytes().hex() for random in drawn],
        "signs": [random.signs.bytes(16).tobytes().hex() for random in drawn],
        "deflated_header": golden_layout(len(packed)).seal(KEYS).hex(),
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
    keys = Key(frozen["key"]).at(bytes.fromhex(frozen["salt"]))
    layout = Layout.open(keys, bytes.fromhex(frozen[prefix + "header"]))
    sealed = bytes.fromhex(frozen[prefix + "stream"])
    assert layout == golden_layout(len(sealed))
    assert opened(sealed, keys, layout.stream_bytes) == data
    assert [open_mark(keys, 3, bytes.fromhex(mark)) for mark in frozen["marks"]] == [(0, 7), (1, 8), (2, 9)]


def test_the_specification_is_enough_to_read_a_message():
    """The docstrings of `seal` and `layout` followed with standard tools, nothing of vidstega."""
    frozen = json.loads(GOLDEN.read_text())
    salt = bytes.fromhex(frozen["salt"])
    master = hashlib.scrypt(KEY.encode(), salt=salt, n=2**15, r=8, p=1, maxmem=1 << 26, dklen=32)

    def subkey(label: str, blocks: int = 1) -> bytes:  # RFC 5869
        extracted, made = hmac_sha256(bytes(32), master), [b""]
        for number in range(1, blocks + 1):
            made.append(hmac_sha256(extracted, made[-1] + f"vidstega {label}".encode() + bytes([number])))
        return b"".join(made)

    sealed = bytes.fromhex(frozen["deflated_stream"])
    header = AESSIV(subkey("header", 2)).decrypt(bytes.fromhex(frozen["deflated_header"]), [b"samples"])
    version, method, *numbers = struct.unpack(">B16sIIQQ", header)
    assert (version, method.rstrip(b"\0")) == (2, b"lsb")
    assert numbers == [4000, 2, 5, len(sealed)]

    tag, masked = (mark := bytes.fromhex(frozen["marks"][2]))[:16], mark[16:]
    assert tag == hmac_sha256(subkey("tags"), struct.pack(">III", 2, 3, 9))[:16]
    mask = hmac_sha256(subkey("tags"), b"mask" + tag)[:4]
    assert bytes(a ^ b for a, b in zip(masked, mask, strict=True)) == (9).to_bytes(4, "big")

    plain = AESGCM(subkey("body")).decrypt(bytes(11) + b"\1", sealed, b"\2")  # less than one chunk
    message = b""
    while plain:
        head = int.from_bytes(plain[:4], "big")
        end = 4 + (head & 0x7FFFFFFF)
        assert head >> 31
        message += zlib.decompressobj(-15, zdict=message[-32768:]).decompress(plain[4:end])
        plain = plain[end:]
    assert message == GOLDEN_DEFLATED

    for area, run, frame in PLACES:
        number = PLACES.index((area, run, frame))
        key = hashlib.sha256(b"vidstega salt positions").digest() if area == 0 else subkey("positions")
        nonce = struct.pack(">BI", area, 0 if area == 2 else run) + frame.to_bytes(3, "big")
        assert aes_ctr(key, nonce) == frozen["positions"][number]
        nonce = struct.pack(">BI", area, run) + frame.to_bytes(3, "big")
        assert aes_ctr(subkey("signs"), nonce) == frozen["signs"][number]
    drawn = [aes_ctr(subkey("padding"), struct.pack(">Q", segment), CHUNK) for segment in (0, 1)]
    assert drawn[0][-16:] + drawn[1][:16] == frozen["padding"]


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, "sha256").digest()


def aes_ctr(key: bytes, nonce: bytes, size: int = 16) -> str:
    return Cipher(AES(key), CTR(nonce + bytes(8))).encryptor().update(bytes(size)).hex()


def test_what_a_caller_sees_can_be_shown():
    shown = repr(Sealed(Path("spool"), KEYS, 4, "ab", 24))
    assert KEYS.master.hex() not in shown and str(KEYS.master) not in shown


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        GOLDEN.write_text(json.dumps(golden_bytes(Path(scratch)), indent=1) + "\n")
