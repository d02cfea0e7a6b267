"""The explorer foretells what hiding will cost, hides for real, and shows what changed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")
pytest.importorskip("matplotlib")

import vidstega
from vidstega.lab import explore
from vidstega.lab.explore import Explorer, foretell, hide, methods

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def trial(cover: Path, tmp_path_factory: pytest.TempPathFactory) -> explore.Trial:
    return hide(cover, 1000, "lsb", "fewest", tmp_path_factory.mktemp("trial"))


def test_what_is_foretold_is_the_librarys_estimate(cover: Path) -> None:
    told = vidstega.estimate(cover, 1000)
    text = foretell(cover, 1000, "fewest")
    assert text.startswith(f"splice ({told.reason}): {told.coded} of 60 frames coded anew")
    assert foretell(cover, 1000, "all").startswith("transcode")
    assert "lsb" in methods(cover)


def test_a_trial_was_hidden_and_read_back(trial: explore.Trial) -> None:
    assert trial.read_back and trial.result.mode == "splice"
    assert vidstega.extract(trial.stego, key="explorer", progress=False) is not None
    assert trial.growth_bytes == trial.stego.stat().st_size - trial.cover.stat().st_size
    assert "1 of 60 frames carry" in trial.summary
    assert "read back and is equal" in trial.summary


def test_touched_frames_are_those_whose_samples_differ(trial: explore.Trial) -> None:
    assert trial.touched
    pairs = zip(vidstega.frames(trial.cover), vidstega.frames(trial.stego), strict=True)
    differ = [n for n, (a, b) in enumerate(pairs) if (a.luma != b.luma).any()]
    assert set(differ) <= set(trial.touched) and differ
    assert 40 < trial.psnr_db(differ[0]) < 100
    untouched = next(n for n in range(60) if n not in trial.touched)
    assert trial.psnr_db(untouched) == math.inf


def test_widgets_follow_the_choice(cover: Path) -> None:
    one = Explorer(cover, cover.parent)
    assert str(cover) in one.video.options
    assert "splice" in one.estimate.value and one.seen.layout.display == "none"
    one.spread.value = "all"
    assert "transcode" in one.estimate.value
    one.spread.value = "fewest"
    one.button.click()
    assert one.trial is not None and one.trial.read_back
    assert one.number.max == 59 and one.number.value == one.trial.touched[0]
    assert bytes(one.pictures.value[:4]) == bytes(one.packets.value[:4]) == PNG
    assert "read back and is equal" in one.told.value and one.seen.layout.display == ""
    before = bytes(one.pictures.value)
    one.gain.value = 5
    assert bytes(one.pictures.value) != before
    again = bytes(one.pictures.value)
    one.number.value = 0 if one.number.value else 1
    assert bytes(one.pictures.value) != again


def test_what_cannot_be_is_one_line_and_nothing_can_be_pressed(cover: Path, tmp_path: Path) -> None:
    one = Explorer(cover, cover.parent)
    one.size.value = 1 << 20
    assert "capacity" in one.estimate.value and one.button.disabled
    one.size.value = 12
    assert not one.button.disabled
    (tmp_path / "no.mp4").write_text("<b>no video</b>")
    one.video.value = str(tmp_path / "no.mp4")
    assert one.button.disabled and "no.mp4" in one.estimate.value
    one.video.value = str(cover)
    assert not one.button.disabled and "patch" in one.estimate.value
