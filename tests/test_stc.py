"""Syndrome-trellis codes: what was said is read, at the least cost, and by every later version."""

from __future__ import annotations

import hashlib
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidstega.coding import stc, viterbi
from vidstega.errors import CapacityError, ParameterError


def bits(n: int, *seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng([*seed, n]).integers(0, 2, n).astype(np.uint8)


def ones(n: int) -> NDArray[np.float32]:
    return np.ones(n, np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.floats(0, 0.5), st.integers(0, 2**32))
def test_what_is_embedded_is_extracted(n: int, rate: float, seed: int) -> None:
    message = bits(int(rate * n), 1, seed)
    cost = np.random.default_rng(seed).random(n).astype(np.float32)
    stego = stc.embed(bits(n, 2, seed), cost, message)
    assert stego.dtype == np.uint8 and set(stego) <= {0, 1}
    assert np.array_equal(stc.extract(stego, len(message)), message)


@pytest.mark.parametrize(("n", "m"), [(10, 3), (12, 5), (13, 6), (14, 2)])
def test_the_change_is_the_cheapest_there_is(n: int, m: int) -> None:
    rng = np.random.default_rng([n, m])
    cost = rng.random(n).astype(np.float32)
    cover, message = bits(n, 3), bits(m, 4)
    ours = float(cost[stc.embed(cover, cost, message) != cover].sum())
    every = np.array(list(product((0, 1), repeat=n)), np.uint8)
    saying = [y for y in every if np.array_equal(stc.extract(y, m), message)]
    assert len(saying) == 2 ** (n - m)
    assert ours == pytest.approx(min(float(cost[y != cover].sum()) for y in saying), abs=1e-5)


@pytest.mark.parametrize("stay", [0, 3, 6])
def test_the_change_is_the_cheapest_beside_bits_that_must_stay(stay: int) -> None:
    rng, n, m = np.random.default_rng(stay), 14, 4
    cost = rng.random(n).astype(np.float32)
    cost[rng.permutation(n)[:stay]] = np.inf
    cover, message = bits(n, 13), bits(m, 14)
    stego = stc.embed(cover, cost, message)
    every = np.array(list(product((0, 1), repeat=n)), np.uint8)
    prices = [cost[y != cover].sum() for y in every if np.array_equal(stc.extract(y, m), message)]
    assert np.array_equal(stc.extract(stego, m), message)
    assert cost[stego != cover].sum() == pytest.approx(min(prices), abs=1e-5)
    assert viterbi.HEIGHT == stc.HEIGHT


@pytest.mark.parametrize(("width", "least"), [(2, 4.1), (4, 5.2), (8, 6.2), (16, 7.1), (32, 7.9)])
def test_message_bits_a_flip_at_equal_cost(width: int, least: float) -> None:
    n = 40_000
    cover, message = bits(n, 5), bits(n // width, 6)
    stego = stc.embed(cover, ones(n), message)
    assert len(message) / int((stego != cover).sum()) > least


def test_dear_bits_change_less_than_cheap_ones() -> None:
    cover, message = bits(20_000, 7), bits(5_000, 8)
    cost = np.tile(np.array([1, 100], np.float32), 10_000)
    changed = stc.embed(cover, cost, message) != cover
    assert changed[1::2].sum() < 0.1 * changed[::2].sum()


def test_bits_that_must_stay_do() -> None:
    n = 20_000
    cover, message = bits(n, 9), bits(n // 8, 10)
    cost = ones(n)
    wet = np.random.default_rng(0).random(n) < 0.4
    cost[wet] = np.inf
    stego = stc.embed(cover, cost, message)
    assert np.array_equal(stego[wet], cover[wet])
    assert np.array_equal(stc.extract(stego, len(message)), message)


def test_too_many_bits_that_must_stay_are_one_clear_error() -> None:
    n = 1000
    with pytest.raises(CapacityError, match=r"1,000 of 1,000 carriers must stay .* 250 bits; use more"):
        stc.embed(np.zeros(n, np.uint8), np.full(n, np.inf, np.float32), np.ones(250, np.uint8))
    silent = np.zeros(250, np.uint8)  # which all zeros say already
    assert not stc.embed(np.zeros(n, np.uint8), np.full(n, np.inf, np.float32), silent).any()


def test_more_than_one_bit_for_two_carriers_is_refused() -> None:
    with pytest.raises(CapacityError, match="501 bits, 1,000 carriers hold 500"):
        stc.embed(bits(1000), ones(1000), bits(501))
    with pytest.raises(ParameterError, match="1,000 carriers cannot hold 501 bits"):
        stc.extract(bits(1000), 501)
    with pytest.raises(ParameterError, match="10 carriers but 9 costs"):
        stc.embed(bits(10), ones(9), bits(2))
    with pytest.raises(ParameterError, match="costs are 0 or more"):
        stc.embed(bits(10), -ones(10), bits(2))
    with pytest.raises(ParameterError, match="costs are 0 or more"):
        stc.embed(bits(10), ones(10) * np.nan, bits(2))


@pytest.mark.parametrize("extra", [0, 1, 3])
def test_more_carriers_than_one_trellis_takes(extra: int) -> None:
    n = stc.SEGMENT + extra
    cover, message = bits(n, 11), bits(n // 50, 12)
    stego = stc.embed(cover, ones(n), message)
    assert np.array_equal(stc.extract(stego, len(message)), message)
    assert len(message) / int((stego != cover).sum()) > 8


def test_a_single_bit_and_none() -> None:
    for bit in (0, 1):
        stego = stc.embed(np.zeros(500, np.uint8), ones(500), np.array([bit], np.uint8))
        assert stego.sum() == bit and stc.extract(stego, 1).tolist() == [bit]
    assert np.array_equal(stc.embed(bits(9), ones(9), bits(0)), bits(9))


GOLDEN = {
    (2000, 1000): "111021eee99e0635",
    (2000, 700): "8f074fa0fe9f7dfa",
    (5000, 400): "553e022f32c9d576",
    (5000, 33): "47ff698f729d2ab2",
    (600_000, 9000): "53f1c2b4939cb81c",
}


@pytest.mark.parametrize("shape", GOLDEN)
def test_the_code_is_frozen(shape: tuple[int, int]) -> None:
    """Extraction of known bits: a file made today is read by every later version."""
    n, m = shape
    every = np.unpackbits(np.frombuffer(hashlib.shake_256(b"carriers").digest(n // 8), np.uint8))
    said = stc.extract(every, m)
    assert hashlib.sha256(np.packbits(said).tobytes()).hexdigest()[:16] == GOLDEN[shape]
