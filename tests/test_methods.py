"""The embedding methods: the round trip, the physics of LSB matching, and the bytes that never change."""

from __future__ import annotations

import doctest
import hashlib
import math
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidstega import methods
from vidstega.errors import CapacityError, ParameterError
from vidstega.methods import Method, Plane, lsb
from vidstega.methods.lsb import LSB
from vidstega.seal.keystream import KeyedRandom, KeyStream

KEY = bytes(range(32))


def keyed(key: bytes = KEY) -> KeyedRandom:
    return KeyedRandom(KeyStream(key, b"place"), KeyStream(key, b"sign"))


def message(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng([seed, size]).integers(0, 256, size, np.uint8)


def cover(shape: tuple[int, int], depth: int = 8, padding: int = 0, seed: int = 0) -> Plane:
    """Noise over the whole range of `depth`, as a view with `padding` samples of something else around it."""
    height, width = shape
    dtype = np.uint8 if depth == 8 else np.uint16
    rng = np.random.default_rng([seed, depth])
    around = rng.integers(0, 2**depth, (height + 2 * padding, width + 2 * padding), dtype)
    view: Plane = around[padding : padding + height, padding : padding + width]
    return view


def check_roundtrip(method: Method, plane: Plane, data: NDArray[np.uint8], depth: int = 8) -> None:
    """Embed in place, read back, and see that nothing but the plane's own samples moved."""
    memory = plane if plane.base is None else plane.base
    before = memory.copy()
    kept = plane.copy()
    method.embed(plane, data, keyed(), depth)
    assert np.array_equal(method.extract(plane, len(data), keyed(), depth), data)
    assert plane.max(initial=0) < 2**depth
    assert np.abs(plane.astype(int) - kept).max(initial=0) <= 1
    stego = plane.copy()
    plane[...] = kept
    assert np.array_equal(memory, before), "samples outside the plane were touched"
    plane[...] = stego


def by_hand(plane: Plane, data: NDArray[np.uint8], depth: int) -> list[list[int]]:
    """The format as the docstring of `lsb` states it, in plain Python and one bit at a time."""
    height, width = plane.shape
    area, n, random = height * width, 8 * len(data), keyed()
    number = int.from_bytes(data.tobytes(), "big")
    signs = int.from_bytes(random.signs.bytes(len(data)).tobytes(), "big")
    samples = [int(x) for row in plane for x in row]
    for i in range(n):
        at = i
        if n <= area - 8:
            low, high = i * area // n, (i + 1) * area // n
            at = low + (int.from_bytes(random.positions.bytes(4).tobytes(), "little") * (high - low) >> 32)
        if samples[at] & 1 != number >> (n - 1 - i) & 1:
            down = signs >> (n - 1 - i) & 1
            down = {0: 0, 2**depth - 1: 1}.get(samples[at], down)
            samples[at] += -1 if down else 1
    return [samples[row * width : (row + 1) * width] for row in range(height)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Plane, NDArray[np.uint8], int]:
    """A plane (odd shapes, one row, one column, padded lines), a message that fits, and the depth."""
    shape = draw(st.integers(1, 33)), draw(st.integers(1, 33))
    depth = draw(st.sampled_from([8, 10, 16]))
    plane = cover(shape, depth, padding=draw(st.integers(0, 3)), seed=draw(st.integers(0, 2**32)))
    most = plane.size // 8
    size = draw(st.one_of(st.integers(0, most), st.sampled_from([most, max(most - 1, 0)])))
    return plane, message(size, seed=draw(st.integers(0, 2**32))), depth


@pytest.mark.parametrize("name", methods.names())
@given(case=cases())
@settings(deadline=None)
def test_every_method_reads_back_what_it_wrote(name: str, case: tuple[Plane, NDArray[np.uint8], int]) -> None:
    plane, data, depth = case
    method = methods.get(name)
    check_roundtrip(method, plane, data[: method.capacity(plane.shape, depth) // 8], depth)


@pytest.mark.parametrize("name", methods.names())
def test_every_method_can_go_to_another_process(name: str) -> None:
    assert pickle.loads(pickle.dumps(methods.get(name))) == methods.get(name)


@given(case=cases(), band=st.sampled_from([64, 256, 1 << 18]))
@settings(deadline=None)
def test_lsb_is_what_its_docstring_says(case: tuple[Plane, NDArray[np.uint8], int], band: int) -> None:
    plane, data, depth = case
    expected = by_hand(plane, data, depth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lsb, "_BAND", band)
        LSB().embed(plane, data, keyed(), depth)
    assert plane.tolist() == expected


GOLDEN = {  # (depth, bytes): sha256 of the plane; a change here makes every file already written unreadable
    (8, 525): "c8cf02583e3007384beacaa473ba54a09302055fa2a855a884f31fcf0dbd8c3e",
    (8, 524): "1fa828aecbde9a2bb636584da526f0ee7498c312c5f55cb3557e1c18936b4fcb",
    (8, 100): "242d2bd7b6cc9132713fb427fc61058aa96b5de48bb8932c861c34bda7a4ca60",
    (10, 525): "687294236460f40c9d02393162dfea49763cebd15f877e67eb810bacf9f5a310",
    (16, 200): "d283fd4233e80a0c69547884fc2f23fd2bf7d0299cba9d8bc3076563e7927111",
}


def golden_plane(depth: int) -> Plane:
    """60 x 70 samples over the whole range, ends included, in lines of 77; no random generator involved."""
    ramp = np.arange(60 * 77, dtype=np.uint64) * 7919 % 2**depth
    plane: Plane = ramp.astype(np.uint8 if depth == 8 else np.uint16).reshape(60, 77)[:, :70]
    return plane


def golden_digest(depth: int, size: int) -> str:
    plane = golden_plane(depth)
    LSB().embed(plane, (np.arange(size) * 167 % 256).astype(np.uint8), keyed(), depth)
    return hashlib.sha256(plane.astype(plane.dtype.newbyteorder("<")).tobytes()).hexdigest()


@pytest.mark.parametrize("band", [64, 1024, 4096, 1 << 18, 1 << 26])
@pytest.mark.parametrize("depth, size", GOLDEN)
def test_the_format_is_frozen_and_bands_do_not_show(
    depth: int, size: int, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lsb, "_BAND", band)
    assert golden_digest(depth, size) == GOLDEN[depth, size]
    plane = golden_plane(depth)
    check_roundtrip(LSB(), plane, message(size), depth)


@pytest.mark.parametrize("missing_bits, dense", [(0, True), (7, True), (8, False)])
def test_positions_are_drawn_only_below_capacity(missing_bits: int, dense: bool) -> None:
    plane, random = cover((1, 800 + missing_bits)), keyed()
    LSB().embed(plane, message(100), random, 8)
    positions = keyed().positions.bytes(4 * 800 + 16)[0 if dense else 4 * 800 :][:16]
    assert np.array_equal(random.positions.bytes(16), positions)
    assert np.array_equal(random.signs.bytes(16), keyed().signs.bytes(116)[100:])


@pytest.mark.parametrize("alpha", [1, 0.5, 0.1])
def test_change_rate_and_psnr_are_those_of_lsb_matching(alpha: float) -> None:
    plane = cover((480, 640), padding=5)
    before, data = plane.astype(int), message(int(alpha * 480 * 640) // 8)
    check_roundtrip(LSB(), plane, data)
    difference = plane - before
    assert set(np.unique(difference)) == {-1, 0, 1}
    changed = np.count_nonzero(difference)
    assert abs(changed - 4 * len(data)) < 5 * math.sqrt(8 * len(data)) / 2
    psnr_db = 10 * math.log10(255**2 / np.mean(difference**2))
    assert psnr_db == pytest.approx(10 * math.log10(255**2 / (alpha / 2)), abs=0.1)


@pytest.mark.parametrize("alpha", [1, 0.5])
@pytest.mark.parametrize("depth", [8, 10])
def test_up_and_down_are_balanced_for_both_parities(alpha: float, depth: int) -> None:
    for value in (128, 129):
        plane = np.full((480, 640), value, np.uint8 if depth == 8 else np.uint16)
        LSB().embed(plane, message(int(alpha * plane.size) // 8), keyed(), depth)
        up, down = np.count_nonzero(plane > value), np.count_nonzero(plane < value)
        assert up + down > 0.2 * plane.size
        assert abs(up - down) < 5 * math.sqrt(up + down)


@pytest.mark.parametrize("alpha", [1, 0.5])
@pytest.mark.parametrize("depth, value", [(8, 0), (8, 255), (10, 0), (10, 1023), (16, 0), (16, 65535)])
def test_saturated_planes_move_inwards(depth: int, value: int, alpha: float) -> None:
    plane = np.full((67, 131), value, np.uint8 if depth == 8 else np.uint16)
    check_roundtrip(LSB(), plane, message(int(alpha * plane.size) // 8), depth)
    assert set(np.unique(plane)) == {value, abs(value - 1)}


@pytest.mark.parametrize("alpha", [1, 0.5])
def test_a_sample_above_its_depth_comes_back_into_range(alpha: float) -> None:
    plane, data = np.full((40, 40), 5000, np.uint16), message(int(alpha * 1600) // 8)
    LSB().embed(plane, data, keyed(), 10)
    assert np.array_equal(LSB().extract(plane, len(data), keyed(), 10), data)
    assert set(np.unique(plane)) == ({1022, 1023} if alpha == 1 else {1022, 1023, 5000})


def test_a_wrong_key_reads_noise() -> None:
    plane, data = cover((480, 640)), message(480 * 640 // 8 // 100)
    LSB().embed(plane, data, keyed(), 8)
    wrong = LSB().extract(plane, len(data), keyed(bytes(32)), 8)
    differing = np.unpackbits(wrong ^ data).mean()
    assert differing == pytest.approx(0.5, abs=0.05)


def test_a_dense_message_is_in_plain_order() -> None:
    plane, data = cover((480, 640), padding=3), message(480 * 640 // 8)
    LSB().embed(plane, data, keyed(), 8)
    assert np.array_equal(np.packbits(plane & 1), data)


@pytest.mark.parametrize("alpha", [1, 0.5, 0.01])
@pytest.mark.parametrize("shape, depth", [((1440, 2560), 8), ((1440, 2560), 10), ((4320, 7680), 8)])
def test_scratch_does_not_know_the_size_of_the_plane(
    shape: tuple[int, int], depth: int, alpha: float
) -> None:
    plane = np.zeros((shape[0], shape[1] + 64), np.uint8 if depth == 8 else np.uint16)[:, : shape[1]]
    data = message(int(alpha * plane.size) // 8)
    assert peak_mib(LSB().embed, plane, data, keyed(), depth) <= 4
    result_mib = len(data) / 2**20
    assert peak_mib(LSB().extract, plane, len(data), keyed(), depth) - result_mib <= 4


def peak_mib(call: Any, *args: Any) -> float:
    tracemalloc.start()
    try:
        call(*args)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_too_much_is_an_error_with_both_numbers_and_changes_nothing() -> None:
    plane = cover((50, 41))
    before = plane.copy()
    assert LSB().capacity((50, 41), 8) == 2050
    with pytest.raises(CapacityError, match=r"2,056 bits.* 2,050 "):
        LSB().embed(plane, message(257), keyed(), 8)
    with pytest.raises(CapacityError, match=r"2,056 bits.* 2,050 "):
        LSB().extract(plane, 257, keyed(), 8)
    assert np.array_equal(plane, before)


@pytest.mark.parametrize("size", [0, 8, 200])
def test_rows_that_are_not_in_one_piece_are_refused_or_left_alone(size: int) -> None:
    whole = cover((40, 80))
    for plane in (whole[::-1], whole[:, ::2], whole.T):
        before = plane.copy()
        if size:
            with pytest.raises(ParameterError, match="strides"):
                LSB().embed(plane, message(size), keyed(), 8)
        else:
            LSB().embed(plane, message(size), keyed(), 8)
        assert np.array_equal(plane, before)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1), (1, 9)])
def test_empty_data_is_fine_even_in_an_empty_plane(shape: tuple[int, int]) -> None:
    plane = np.zeros(shape, np.uint8)
    check_roundtrip(LSB(), plane, message(0))
    assert not plane.any()


def test_extract_reads_a_plane_it_may_not_write() -> None:
    plane, data = cover((30, 30), padding=2), message(50)
    LSB().embed(plane, data, keyed(), 8)
    plane.flags.writeable = False
    assert np.array_equal(LSB().extract(plane, 50, keyed(), 8), data)


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(lsb).attempted > 0
    assert doctest.testmod(lsb).failed == 0
