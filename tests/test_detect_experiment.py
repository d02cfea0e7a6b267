"""The experiment: the same for any number of workers, its controls, and what it allows to say."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pandas")

from lab_made import made, results, write
from matplotlib.figure import Figure

from vidstega import lab
from vidstega.errors import InputError, ParameterError
from vidstega.lab.detect import Experiment, smoke_clips
from vidstega.lab.detect.rows import DETECTION, DetectionError, DetectionFile, Seen, load_detection
from vidstega.lab.detect.tiles import cut_clip, first_of_each
from vidstega.lab.detect.uses import WAYS, seen
from vidstega.lab.detect.ways import CONTROL, NULL
from vidstega.lab.plots import detection_content, draw_detection
from vidstega.lab.report import render

pytestmark = pytest.mark.filterwarnings("ignore:.*scenes are few")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return smoke_clips(tmp_path_factory.mktemp("clips"), count=7)


@pytest.fixture(scope="module")
def found(clips: list[Path]) -> DetectionFile:
    how = {"methods": ("lsb",), "rates": (0.5, 0.1), "tiles": 5, "synthetic": True}
    return Experiment(clips, **how).run(progress=False)


def test_lsb_is_found_and_covers_are_not(found: DetectionFile) -> None:
    assert [row.verdict for row in found.of("lsb")] == ["found", "found"]
    (null,) = found.of(NULL)
    assert 0.42 <= null.p_e <= 0.58 and found.scenes >= 10
    assert {row.own for row in found.of(CONTROL)} == {False} and {row.own for row in found.of("lsb")} == {
        True
    }


def test_sentences_have_their_interval_groups_and_mark(found: DetectionFile) -> None:
    claims = found.claims()
    assert len(claims) == 5 and all("groups" in one and "95 %" in one for one in claims)
    assert all(one.endswith("Synthetic video: no evidence.") for one in claims)
    assert claims[0].startswith("lsb replacement (simulated), 0.5 bits a sample: found; error 0.0")
    told = found.of("lsb")[0]
    for high, words in (
        (0.3, "weakly found"),
        (0.5, f"not found by these detectors at {told.groups} groups"),
    ):
        assert told.model_copy(update={"high": high}).verdict == words


def test_what_is_set_against_each_other_and_tried_otherwise(found: DetectionFile) -> None:
    assert {(row.name, row.alpha) for row in found.differences} == {
        (f"lsb, {detector} - all", alpha) for detector in ("spam", "copies") for alpha in (0.5, 0.1)
    }
    for row in found.differences:
        one, other = (
            next(one.p_e for one in found.of("lsb", detector=name) if one.alpha == row.alpha)
            for name in (row.detector, "all")
        )
        assert row.difference == pytest.approx(one - other) and row.low <= row.difference <= row.high
    (same,) = found.cuts("same source", "lsb")
    assert [row.alpha for row in same] == [0.5, 0.1] and all(row.high < 0.5 for row in same)
    by_rate = {(row.trained, row.alpha): row for rows in found.cuts("trained at", "lsb") for row in rows}
    assert len(by_rate) == 4
    for row in found.of("lsb"):
        assert by_rate[row.alpha, row.alpha].p_e == row.p_e
    thirds = [rows[0] for rows in found.cuts("copied", "lsb")]
    assert all(row.groups >= 10 for row in thirds)
    assert sum(row.samples for row in thirds) <= found.of("lsb")[0].samples
    few = found.differences[0].model_copy(update={"way": "hill", "against": "lsb", "alpha": 0.01})
    for low, high, words in ((0.2, 0.3, "less often than"), (-0.3, -0.2, "more often than")):
        assert words in few.model_copy(update={"low": low, "high": high}).claim
    assert "about as often as" in few.model_copy(update={"low": -0.1, "high": 0.1}).claim


def test_rows_do_not_depend_on_workers(clips: list[Path], found: DetectionFile) -> None:
    how = {"methods": ("lsb",), "rates": (0.5, 0.1), "tiles": 5, "synthetic": True}
    again = Experiment(clips, **how).run(n_jobs=2, progress=False)
    assert again.rows == found.rows and again.apart == found.apart
    assert again.differences == found.differences


def test_an_experiment_whose_controls_fail_is_none(found: DetectionFile) -> None:
    for way, error, words in ((NULL, 0.3, "covers are told from covers"), (CONTROL, 0.2, "is missed")):
        rows = tuple(row.model_copy(update={"p_e": error}) if row.way == way else row for row in found.rows)
        with pytest.raises(DetectionError, match=words):
            found.model_copy(update={"rows": rows}).check()


def test_few_scenes_are_refused_and_copies_count_once(clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="unknown way 'f5'; there are: lsb replacement"):
        Experiment(clips, methods=("f5",)).run()
    with pytest.raises(DetectionError, match="scenes that differ are too few"):
        Experiment([*clips[:2], *clips[:2]], methods=(CONTROL,), rates=(0.5,), tiles=1).run(progress=False)
    cuts = [cut for clip in [*clips[:2], clips[0]] for cut in cut_clip(clip, (0,), tiles=2, frames=1)]
    thumbs = [cut.scene.thumb for cut in cuts]
    once = len(thumbs) - len(cut_clip(clips[0], (0,)))
    assert first_of_each(thumbs) == list(range(once))
    assert {tile.shape for cut in cuts for tile in cut.tiles} == {(3, 256, 256)}
    assert {frame.shape for cut in cuts for frame in cut.frames} == {(3, 272, 320)}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_of_three_sizes_are_made_and_looked_at(clips: list[Path]) -> None:
    files = seen(str(clips[0]))
    assert {one.found for one in files if one.way == "cover"} == {False}
    assert {one.found for one in files if one.way.startswith("lsb")} == {True}
    sizes = {way: [one.payload_bytes for one in files if one.way == way] for way in WAYS}
    assert sizes["lsb, fewest"] == sizes["lsb, all"] == [12, 1024], "100 KB do not fit six frames"
    assert sizes["hill"][:1] == [12] and {one.clip for one in files} == {clips[0].name}


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


def test_report_and_figure_show_it(found: DetectionFile, tmp_path: Path) -> None:
    text = render(results(made()))[0]
    assert "Who finds it" not in text and "not measured yet" in text
    seen = [
        Seen(clip="a.mp4", way="cover", found=False, by="", largest=0.5, ms=3),
        Seen(
            clip="a.mp4",
            way="lsb, fewest",
            found=True,
            by="raw picture",
            largest=12.1,
            ms=4,
            payload_bytes=1000,
        ),
        Seen(clip="b.mp4", way="lsb, fewest", found=False, by="", largest=0.4, ms=6, payload_bytes=1000),
    ]
    about = {"way": "signs", "alpha": None, "payload_bytes": 12, "where": "picture"}
    whole = found.rows[-1].model_copy(update=about)
    told = found.model_copy(update={"files": tuple(seen), "rows": (*found.rows, whole), "evidence": True})
    text = render(results(made()), detection=told)[0]
    assert "| lsb, fewest | 2 | 1 | raw picture | 5.00 |" in text and "12 bytes: found" in text
    assert "| raw picture: 1 of 2 files |" in text and "not measured yet" not in text
    lsb = found.of("lsb")[0]
    assert f"| lsb | {lsb.p_e:.3f} ({lsb.low:.2f} to {lsb.high:.2f}) |" in text
    assert "no evidence" not in text and "no evidence" in render(results(made()), detection=found)[0]
    for data in (found, told):
        assert all(ax.has_data() for ax in draw_detection(data).axes)
    write(made(), tmp_path)
    (tmp_path / DETECTION).write_text(told.model_dump_json(by_alias=True), encoding="utf-8")
    assert "## Who finds it" in lab.write_report(tmp_path).read_text(encoding="utf-8")
    details = (tmp_path / "details.md").read_text(encoding="utf-8")
    same = found.cuts("same source", "lsb")[0][0]
    assert f"| same scenes, other half | {same.p_e:.3f} ({same.low:.2f} to {same.high:.2f}) |" in details
    first = found.differences[0]
    assert f"| lsb, spam - all | {first.difference:+.3f} ({first.low:+.2f} to {first.high:+.2f}) |" in details
    assert "| lsb, fewest | 1.00 kB | 2 | 1 | raw picture |" in details
    assert detection_content(found, Figure().subplots()).has_data()
    assert "figures/detection.png" in details and all(claim in details for claim in told.claims())
    assert (tmp_path / "figures" / "detection.png").stat().st_size > 10_000
