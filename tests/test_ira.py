"""The channel code against the capacity of its channel, and against wrong guesses."""

from __future__ import annotations

import hashlib
import time
from itertools import pairwise

import numpy as np
import pytest

from vidstega.coding.ira import CLASSES, ROUNDS, class_bytes, class_for, code_for
from vidstega.errors import ParameterError


def awgn_capacity(sigma: float) -> float:
    """Bits a binary input tells through Gaussian noise."""
    z = np.linspace(-8, 8, 2001)
    weight = np.exp(-z * z / 2)
    return float(
        1 - (weight * np.logaddexp(0, -2 * (1 + sigma * z) / sigma**2)).sum() / weight.sum() / np.log(2)
    )


def bsc_capacity(flip: float) -> float:
    return float(1 + flip * np.log2(flip) + (1 - flip) * np.log2(1 - flip))


def solve(capacity, rate: float, low: float, high: float) -> float:
    """The noise at which the capacity falls to `rate`."""
    for _ in range(50):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if capacity(middle) > rate else (low, middle)
    return low


def received(size: int, sent: int, sigma: float, rng: np.random.Generator):
    data = rng.bytes(size)
    code = code_for(size)
    x = 1 - 2.0 * code.encode(data)[code.at(0, sent)]
    y = x + sigma * rng.standard_normal(sent)
    return data, code, code.gather(2 * y / sigma**2)


@pytest.mark.parametrize(("size", "gap_db", "least"), [(50, 2.0, 36), (250, 1.3, 38)])
@pytest.mark.parametrize("rate", [1 / 3, 0.2])
def test_it_decodes_within_the_stated_gap_to_gaussian_capacity(size, gap_db, least, rate):
    rng = np.random.default_rng([1, size])
    sigma = solve(awgn_capacity, rate, 0.05, 40) * 10 ** (-gap_db / 20)
    right = 0
    for _ in range(40):
        data, code, llr = received(size, int(8 * size / rate), sigma, rng)
        right += code.decode(llr).data == data
    assert right >= least


def test_nothing_decodes_beyond_capacity():
    rng = np.random.default_rng(2)
    sigma = solve(awgn_capacity, 1 / 3, 0.05, 40) * 10 ** (0.7 / 20)
    for _ in range(5):
        data, code, llr = received(250, 6000, sigma, rng)
        found = code.decode(llr)
        assert found.data != data
        assert not found.ok


def test_hard_decisions_decode_near_the_capacity_of_a_binary_symmetric_channel():
    rng = np.random.default_rng(3)
    flip = solve(bsc_capacity, 1 / 3 * 1.35, 1e-4, 0.4999)
    code = code_for(250)
    for _ in range(10):
        data = rng.bytes(250)
        bits = code.encode(data)[code.at(0, 6000)] ^ (rng.random(6000) < flip)
        assert code.decode(code.gather((1 - 2.0 * bits) * np.log((1 - flip) / flip))).data == data


def test_a_message_repeated_ten_times_survives_ten_times_the_noise():
    rng = np.random.default_rng(4)
    sigma = solve(awgn_capacity, 1 / 50, 0.05, 40) * 10 ** (-1.7 / 20)
    data, code, llr = received(250, 100_000, sigma, rng)
    assert code.decode(llr).data == data


def test_a_wrong_class_is_reported_and_ends_after_its_rounds():
    rng = np.random.default_rng(5)
    code = code_for(class_bytes(16))
    sent = 1 - 2.0 * code.encode(rng.bytes(code.k // 8))[code.at(0, 6000)]
    for index in (14, 15, 17, 24):
        other = code_for(class_bytes(index))
        found = other.decode(other.gather(4 * sent))
        assert not found.ok
        assert found.rounds == ROUNDS


def test_the_same_bits_in_another_order_are_reported():
    rng = np.random.default_rng(6)
    data, code, llr = received(250, 6000, 0.3, rng)
    assert code.decode(llr).ok
    other = code_for(250, seed=1)
    found = other.decode(rng.permutation(llr))
    assert not found.ok
    assert found.data != data


def test_noise_for_a_large_message_ends():
    code = code_for(4096)
    began = time.process_time()
    assert not code.decode(np.random.default_rng(7).standard_normal(code.n)).ok
    assert time.process_time() - began < 20  # a second where nothing else runs


def test_what_nothing_is_known_of_is_no_code_word():
    code = code_for(32)
    assert not code.decode(np.zeros(code.n)).ok


def test_every_message_bit_is_in_distinct_and_distant_checks():
    code = code_for(250)
    order = np.argsort(code.checks.ravel(), kind="stable")
    bits, checks = code.checks.ravel()[order], order // 2
    same = bits[1:] == bits[:-1]
    near = np.diff(checks)[same] <= 1
    assert near.sum() <= 2
    assert not (code.checks[:, 0] == code.checks[:, 1]).any()


def test_the_order_names_every_code_bit_once_before_it_starts_again():
    code = code_for(64)
    assert np.array_equal(np.sort(code.at(0, code.n)), np.arange(code.n))
    assert np.array_equal(code.at(code.n, 10), code.at(0, 10))
    assert abs(code.n - 5 * code.k) <= 7


def test_the_code_stays_what_it_is():
    code = code_for(53)
    sent = code.encode(bytes(range(53)))[code.order]
    digest = hashlib.sha256(np.packbits(sent).tobytes()).hexdigest()
    assert digest[:16] == "77cdfdc8a750e136"


def test_size_classes_grow_by_a_quarter_of_an_octave():
    sizes = [class_bytes(index) for index in range(CLASSES)]
    assert sizes[0] == 16
    assert all(1.1 < b / a < 1.25 for a, b in pairwise(sizes))
    assert [class_for(size) for size in sizes] == list(range(CLASSES))
    assert class_bytes(class_for(sizes[10] + 1)) == sizes[11]
    with pytest.raises(ParameterError, match="881,747"):
        class_for(sizes[-1] + 1)


def test_sizes_that_do_not_fit_the_code_are_refused():
    with pytest.raises(ParameterError, match="8 or more"):
        code_for(4)
    with pytest.raises(ParameterError, match="392 bits; this code takes 424"):
        code_for(53).encode(bytes(49))
    with pytest.raises(ParameterError, match="5 values"):
        code_for(53).decode(np.zeros(5))
