"""The experiment: the same for any number of workers, its controls, and what it allows to say."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pandas")


from vidstega.errors import InputError
from vidstega.lab.detect import Experiment, smoke_clips
from vidstega.lab.detect.rows import DETECTION, DetectionError, DetectionFile, load_detection
from vidstega.lab.detect.tiles import cut_clip, first_of_each
from vidstega.lab.detect.ways import CONTROL, NULL

pytestmark = pytest.mark.filterwarnings("ignore:.*scenes are few")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return smoke_clips(tmp_path_factory.mktemp("clips"), count=7)


@pytest.fixture(scope="module")
def found(clips: list[Path]) -> DetectionFile:
    how = {"methods": (CONTROL, "lsb"), "rates": (0.5,), "tiles": 5, "synthetic": True}
    return Experiment(clips, **how).run(progress=False)


def test_lsb_is_found_and_covers_are_not(found: DetectionFile) -> None:
    assert [row.verdict for row in found.of("lsb")] == ["found"]
    (null,) = found.of(NULL)
    assert 0.42 <= null.p_e <= 0.58 and found.scenes >= 10
    assert {row.own for row in found.of(CONTROL)} == {False} and {row.own for row in found.of("lsb")} == {
        True
    }


def test_sentences_have_their_interval_groups_and_mark(found: DetectionFile) -> None:
    claims = found.claims()
    assert len(claims) == 2 and all("groups" in one and "95 %" in one for one in claims)
    assert all(one.endswith("Synthetic video: no evidence.") for one in claims)
    assert claims[0].startswith("lsb replacement (simulated), 0.5 bits a sample: found; error 0.0")
    told = found.of("lsb")[0]
    for high, words in (
        (0.3, "weakly found"),
        (0.5, f"not found by these detectors at {told.groups} groups"),
    ):
        assert told.model_copy(update={"high": high}).verdict == words


def test_rows_do_not_depend_on_workers(clips: list[Path], found: DetectionFile) -> None:
    how = {"methods": (CONTROL, "lsb"), "rates": (0.5,), "tiles": 5, "synthetic": True}
    again = Experiment(clips, **how).run(n_jobs=2, progress=False)
    assert again.rows == found.rows


def test_an_experiment_whose_controls_fail_is_none(found: DetectionFile) -> None:
    for way, error, words in ((NULL, 0.3, "covers are told from covers"), (CONTROL, 0.2, "is missed")):
        rows = tuple(row.model_copy(update={"p_e": error}) if row.way == way else row for row in found.rows)
        with pytest.raises(DetectionError, match=words):
            found.model_copy(update={"rows": rows}).check()


def test_few_scenes_are_refused_and_copies_count_once(clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match="scenes that differ are too few"):
        Experiment([*clips[:2], *clips[:2]], methods=(CONTROL,), rates=(0.5,), tiles=1).run(progress=False)
    cuts = [cut for clip in [*clips[:2], clips[0]] for cut in cut_clip(clip, (0,), tiles=2, frames=1)]
    thumbs = [cut.scene.thumb for cut in cuts]
    once = len(thumbs) - len(cut_clip(clips[0], (0,)))
    assert first_of_each(thumbs) == list(range(once))
    assert {tile.shape for cut in cuts for tile in cut.tiles} == {(3, 256, 256)}
    assert {frame.shape for cut in cuts for frame in cut.frames} == {(3, 272, 320)}


def test_what_is_no_video_or_too_small_gives_nothing(cover: Path, tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no video")
    assert cut_clip(tmp_path / "no.mp4", (0,)) == [] == cut_clip(cover, (0,))  # 240 rows


def test_it_is_read_as_it_was_written(found: DetectionFile, tmp_path: Path) -> None:
    assert load_detection(tmp_path) is None
    text = found.model_dump_json(by_alias=True, indent=1)
    (tmp_path / DETECTION).write_text(text, encoding="utf-8")
    assert load_detection(tmp_path) == found
    (tmp_path / DETECTION).write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(InputError, match=r"detection.json is not JSON.*; measure again"):
        load_detection(tmp_path)
