"""Features of planes: the same as sealwatch's, and what they are for shows in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidstega.lab.detect.pixels import COPY, FLAT, SPAM, copy_features, flat_features, spam, step_features
from vidstega.lab.detect.ways import CONTROL, ways

GOLDEN = Path(__file__).parent / "golden" / "spam.npz"


def tile(seed: int) -> np.ndarray:
    """Waves with noise, 64x96, the same for ever."""
    rng = np.random.default_rng(seed)
    waves = np.add.outer(40 * np.sin(np.arange(64) / 9), 30 * np.cos(np.arange(96) / 7))
    return np.clip(128 + waves + rng.normal(0, 1 + seed, (64, 96)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 1])
def test_spam_is_that_of_sealwatch(seed: int) -> None:
    # sealwatch 2025.9, sealwatch.spam.spam.extract(tile(seed)): "straight", then "diagonal"
    theirs = np.load(GOLDEN)["sealwatch"][seed]
    assert np.abs(spam(tile(seed)) - theirs).max() < 1e-6 and theirs.shape == (SPAM,)


def test_sizes_and_shares() -> None:
    x = tile(1)
    for vector, size in ((spam(x), SPAM), (copy_features(x, x, x), COPY), (flat_features(x), FLAT)):
        assert vector.shape == (size,) and (vector >= 0).all() and (vector <= 1).all()
    assert spam(x).sum() == pytest.approx(2)


def test_a_sample_that_stands_out_of_a_copy_is_counted_as_such() -> None:
    before = tile(1)
    now = before.copy()
    now[10, 20] += 1
    now[30, 40] -= 2
    quiet, told = copy_features(before, before, before), copy_features(before, now, before)
    inner = 62 * 94
    assert quiet[8] == 0 and quiet[12] == 1, "all are copies among eight copies"
    assert told[8] * inner == pytest.approx(1) and told[13] * inner == pytest.approx(1)


def test_a_sample_that_stands_out_of_flatness_is_counted_as_such() -> None:
    plane = np.full((16, 16), 90, np.uint8)
    assert flat_features(plane)[9] == 1 and (flat_features(plane)[14:] == 1).all(), "constant blocks, zeros"
    plane[6, 6] = 91
    told = flat_features(plane)
    assert told[8] * 14 * 14 == pytest.approx(1) and told[10] == 1 / 16 and (told[14:] == 15 / 16).all()


def test_steps_are_differences_of_roots_from_the_frames_beside() -> None:
    one, other = spam(tile(0)), spam(tile(1))
    told = step_features(one, other)
    assert (step_features(one, one) == 0.25).all() and (told >= 0).all() and (told <= 1).all()
    assert np.allclose(2 * np.sqrt(told) - 1, np.sqrt(one) - np.sqrt(other))


@pytest.mark.parametrize(("way", "share"), [(CONTROL, 0.05), ("lsb", 0.05), ("lsb, ideal code", 0.01298)])
def test_ways_change_as_many_samples_as_their_rate_says(way: str, share: float) -> None:
    plane = np.random.default_rng(1).integers(0, 256, (256, 256)).astype(np.uint8)
    plane[:9] = 255
    plane[9:18] = 0
    stego = ways()[way].change(plane, 0.1, np.random.default_rng(2), 8)
    off = stego.astype(int) - plane
    assert set(np.unique(off)) == {-1, 0, 1} and stego.dtype == plane.dtype
    assert (off != 0).mean() == pytest.approx(share, rel=0.06)
    if way == CONTROL:
        assert (off[plane % 2 == 0] >= 0).all(), "pairs stay pairs"
