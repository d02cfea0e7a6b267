"""Figures of quality against known values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vidstega.lab import quality
from vidstega.lab.covers import cover_frames


def luma(width: int = 480, height: int = 270, seed: int = 3) -> np.ndarray:
    return next(cover_frames(width, height, 1, seed))[0]


def test_change_rate_is_half_of_alpha() -> None:
    plane = luma()
    assert quality.change_rate(plane, plane) == 0
    bits = np.random.default_rng([0, 0]).integers(0, 2, plane.shape, np.uint8)
    assert quality.change_rate(plane, plane & 0xFE | bits) == pytest.approx(0.5, abs=0.01)


def test_psnr_of_a_change_by_one_everywhere() -> None:
    plane = luma()
    assert quality.psnr_db(plane, plane) == math.inf
    assert quality.psnr_db(plane, plane + 1) == pytest.approx(20 * math.log10(255))
    wide = plane.astype(np.uint16) * 4
    assert quality.psnr_db(wide, wide + 1, depth=10) == pytest.approx(20 * math.log10(1023))


def test_psnr_does_not_wrap_around() -> None:
    dark, bright = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert quality.psnr_db(dark, bright) == 0


def test_ssim_of_equal_planes_is_one() -> None:
    assert quality.ssim(luma(), luma()) == pytest.approx(1)


@pytest.mark.parametrize(("a", "b"), [(100, 110), (0, 255), (16, 235)])
def test_ssim_of_flat_planes_is_the_luminance_term(a: int, b: int) -> None:
    c1 = (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    planes = (np.full((20, 30), value, np.uint8) for value in (a, b))
    assert quality.ssim(*planes) == pytest.approx(expected, rel=1e-6)


def test_ssim_of_one_window_by_hand() -> None:
    """11 x 11 samples hold one window; its moments taken with the Gaussian written out."""
    rng = np.random.default_rng([0, 7])
    x, y = (rng.integers(0, 256, (11, 11)).astype(float) for _ in range(2))
    at = np.arange(-5, 6)
    window = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
    cov = (window * (x - mx) * (y - my)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert quality.ssim(x, y) == pytest.approx(expected)


def test_ssim_falls_with_noise_and_refuses_small_planes() -> None:
    plane, rng = luma(), np.random.default_rng([0, 1])
    noisy = [quality.ssim(plane, np.clip(plane + rng.normal(0, s, plane.shape), 0, 255)) for s in (0.5, 2, 8)]
    assert 1 > noisy[0] > noisy[1] > noisy[2]
    with pytest.raises(ValueError, match="smaller than the window"):
        quality.ssim(plane[:10], plane[:10])
