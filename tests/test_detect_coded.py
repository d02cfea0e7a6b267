"""`robust` beside the same encode without a message: the same tiles of both, and what tells them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")
from vidstega.lab.covers import make_cover
from vidstega.lab.detect import coded
from vidstega.lab.detect.pixels import COPY, FLAT, SPAM
from vidstega.lab.detect.rows import DetectionError


@pytest.fixture(scope="module")
def found(covers: Path) -> coded.Features:
    cover = make_cover(covers / "coded.mp4", width=320, height=272, frames=12, fps=30)
    return coded._of_clip(str(cover), (3, 1))


def test_each_encode_gives_the_same_tiles(found: coded.Features) -> None:
    assert list(found) == [None, *coded.STRENGTHS_DB]
    assert {one.shape for one in found.values()} == {(len(found[None]), SPAM + COPY + FLAT)}
    assert len(found[None]) >= 3


def test_the_louder_message_moves_features_further(found: coded.Features) -> None:
    away = [float(np.abs(found[strength] - found[None]).sum()) for strength in coded.STRENGTHS_DB]
    assert 0 < away[0] < away[1]


def test_rows_tell_what_differs_and_not_what_is_equal(found: coded.Features) -> None:
    random, quiet, loud = np.random.default_rng(1), *coded.STRENGTHS_DB
    some = [found[None][:3] * random.normal(1, 0.1, found[None][:3].shape) for _ in range(12)]
    videos: list[coded.Features] = [{None: one, quiet: one, loud: one + 1} for one in some]
    rows = {row.way: row for row in coded._rows(videos, 0)}
    assert rows["robust, 54 dB"].p_e == pytest.approx(0.5, abs=0.05) and rows["robust, 48 dB"].p_e < 0.05
    assert "32 bytes" in rows["robust, 54 dB"].claim and "12 groups" in rows["robust, 54 dB"].claim


def test_too_few_videos_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(DetectionError, match="robust can be tried on 0 of 1 videos"):
        coded.measure_robust([tmp_path / "no.mp4"], progress=False)
