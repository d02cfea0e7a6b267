"""Features of coefficients, and the adversary of `signs` on real embeddings."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")

from vidstega.carriers.signs.walks import pictures
from vidstega.lab.detect import measure_signs
from vidstega.lab.detect.rows import DetectionError
from vidstega.lab.detect.share import margins
from vidstega.lab.detect.signs import coefficient_features
from vidstega.media.scan import scan


@pytest.fixture(scope="module")
def looked(cover: Path) -> tuple:
    some = [one for one in islice(pictures(scan(cover)), 20) if len(one.signs) >= 200]
    return max(margins(scan(cover), some), key=lambda one: len(one[1]))


def test_features_are_shares_and_show_the_smoother_signs(looked: tuple) -> None:
    picture, margin, amplitude = looked
    told = coefficient_features(picture.signs, margin, amplitude)
    assert told.shape == (47,) and (told >= 0).all() and (told <= 1).all()
    by_margin = told[:36].reshape(3, 12)
    assert by_margin.sum() == pytest.approx(1)
    assert by_margin[:, 6:].sum() > 0.6, "most signs are the smoother ones"


def test_signs_turned_show_in_the_features(looked: tuple) -> None:
    picture, margin, amplitude = looked
    turned = np.random.default_rng(1).random(len(margin)) < 0.5
    signs = replace(picture.signs, negative=picture.signs.negative ^ turned)
    told = coefficient_features(signs, np.where(turned, -margin, margin), amplitude)
    assert told[:36].reshape(3, 12)[:, 6:].sum() == pytest.approx(0.5, abs=0.1)


def test_few_videos_are_no_experiment(cover: Path, cover_vp9: Path) -> None:
    with pytest.raises(DetectionError, match="fewer than 10 of 2 videos take a message in signs"):
        measure_signs([cover, cover_vp9], sizes=(4,), progress=False)
