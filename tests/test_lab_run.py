"""A matrix really runs: fresh processes, rows for every run, resumed where it was killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2")
pytest.importorskip("memory_profiler")
import pandas
from lab_made import STUDY

from vidstega.errors import InputError, ParameterError
from vidstega.lab import Results, load
from vidstega.lab.arms import ARMS, LIMITS
from vidstega.lab.arms.base import MissingError
from vidstega.lab.arms.codec import Codec
from vidstega.lab.matrix import Matrix, change, make_matrix
from vidstega.lab.runner import session
from vidstega.lab.runner.session import run_matrix
from vidstega.lab.schema import RESULTS, SCHEMA, STAGES, Experiment, read_experiment

TINY: dict[str, Any] = {
    "name": "tiny",
    "arms": list(STUDY),
    "resolutions": ["160x120"],
    "frames": [12],
    "payloads": ["1KB"],
    "centre": {"resolution": "160x120", "frames": 12, "payload": "1KB"},
    "workers": 2,
    "synthetic": {"gop_s": 0.2},
    "interval_ms": 10,
}


def tiny(**changes: Any) -> Matrix:
    return make_matrix({**TINY, **changes})


def run(matrix: Matrix, out: Path, **options: Any) -> Experiment:
    return run_matrix(matrix, out, progress=False, **{"say": lambda _: None, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def done(folder: Path) -> Experiment:
    return run(tiny(), folder)


@pytest.fixture
def known_codec(done: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not be sought again."""
    monkeypatch.setattr(session, "find_codec", lambda: done.control_codec)


# -- what a run leaves ----------------------------------------------------------------------------------


def test_every_arm_has_a_row_and_was_read_back(done: Experiment) -> None:
    assert [row.arm for row in done.rows] == list(STUDY)
    assert [row.error for row in done.rows] == [None] * len(STUDY)
    assert all(row.success and row.compared and (row.readback_s or 0) > 0 for row in done.rows)
    assert done.complete
    assert done.planned == len(STUDY)


def test_rows_have_the_names_of_the_study_and_hold_together(done: Experiment) -> None:
    for row in done.rows:
        assert (row.resolution, row.width, row.height, row.frame_count) == ("160x120", 160, 120, 12)
        assert row.stages is not None and row.timeline is not None
        assert row.memory_peak_mb is not None and row.memory_before_mb is not None
        assert row.read_time == row.stages.decode
        assert row.write_time == pytest.approx(row.stages.encode + row.stages.mux, rel=1e-3)
        increase = row.memory_peak_mb - row.memory_before_mb
        assert row.memory_increase_mb == pytest.approx(increase, rel=1e-3)
        assert row.memory_peak_mb >= max(row.timeline.mib, default=0) - 0.1
        assert len(row.timeline.mib) == len(row.timeline.t_s) <= 120


def test_stages_add_up_to_the_time(done: Experiment) -> None:
    for row in done.rows:
        assert row.stages is not None
        total = sum(getattr(row.stages, stage) for stage in STAGES)
        assert total == pytest.approx(row.total_time, rel=0.15, abs=0.2), row.arm


def test_what_carries_has_quality_and_what_does_not_has_none(done: Experiment) -> None:
    for row in done.rows:
        if row.arm in LIMITS:
            assert (row.psnr_db, row.frames_used, row.message_size) == (None, 0, 0)
            continue
        assert row.encrypted_size is not None and row.capacity_bytes is not None
        assert row.message_size == 1024 < row.encrypted_size
        assert row.bits_embedded == 8 * row.encrypted_size
        assert row.psnr_db is not None and row.psnr_db > 45
        assert row.ssim is not None and 0.95 < row.ssim < 1
        assert row.capacity_bytes > 1024


def test_times_stand_beside_the_limits(done: Experiment) -> None:
    frame = Results(done).frame.set_index("arm")
    assert frame.vs_floor["floor"] == frame.vs_copy["copy"] == 1
    assert frame.vs_copy["whole"] == pytest.approx(frame.total_time["whole"] / frame.total_time["copy"])
    for arm in ("current+parallel", "whole+parallel"):
        assert frame.workers[arm] == 2
        assert frame.efficiency[arm] == pytest.approx(frame.speedup[arm] / 2)
        assert frame.speedup[arm] == pytest.approx(frame.total_time[ARMS[arm].alone] / frame.total_time[arm])
        assert pandas.isna(frame.speedup[ARMS[arm].alone])


def test_a_limit_of_the_same_cover_will_do(folder: Path, done: Experiment, tmp_path: Path) -> None:
    extra = {"resolution": "160x120", "frames": 12, "payload": "10B", "arms": ["splice"]}
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    frame = Results(run(tiny(extra=[extra]), tmp_path, only=["10B"])).frame
    floor = frame[frame.arm == "floor"].iloc[0]
    (row,) = frame[frame.cell == "160x120/12/10B"].itertuples()
    assert row.vs_floor == pytest.approx(row.total_time / floor.total_time)


def test_modes(done: Experiment) -> None:
    modes = {row.arm: row.mode for row in done.rows}
    assert modes["splice"] == "splice"
    assert modes["whole"] == "transcode"
    assert modes["current"] == "re-write"


def test_the_stamp(done: Experiment) -> None:
    assert done.schema_ == SCHEMA
    assert done.machine.cores >= 1 and done.machine.ram_mib > 0
    assert {"python", "vidstega", "av", "numpy", "joblib", "libavcodec"} <= set(done.versions)
    assert done.config.seed == 1
    (cover,) = done.covers.values()
    assert (cover.frames, cover.codec, cover.splice, cover.gop_frames) == (12, "h264", True, 6)
    recipe = {
        "gop_s": 0.2,
        "fps": 30,
        "bframes": 2,
        "crf": 20,
        "preset": "veryfast",
        "sound": True,
        "seed": 1,
    }
    assert cover.synthetic == recipe


def test_nothing_large_is_left(folder: Path, done: Experiment) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["covers", RESULTS]


def test_the_file_says_what_was_returned(folder: Path, done: Experiment) -> None:
    again = read_experiment(folder)
    assert again.rows == done.rows and again.covers == done.covers and again.cells == done.cells
    assert "NaN" not in (folder / RESULTS).read_text()


# -- resuming -------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(folder: Path, done: Experiment) -> None:
    again = run(tiny(), folder)
    assert again.rows == done.rows
    more = run(tiny(repeats=2), folder, only=["copy"])
    assert [row.repeat for row in more.rows if row.arm == "copy"] == [0, 1]
    assert not more.complete


def test_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        'resolutions = ["160x120"]\nframes = [12]\npayloads = ["1KB"]\n'
        'arms = ["copy"]\nrepeats = 4\n'
        '[centre]\nresolution = "160x120"\nframes = 12\npayload = "1KB"\n'
    )
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vidstega", "stress", "--config", str(config), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (out / RESULTS).exists() and read_experiment(out).rows:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = read_experiment(out)
    assert 1 <= len(before.rows) < 4
    assert not before.complete
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = read_experiment(out)
    assert after.rows[: len(before.rows)] == before.rows
    assert len({row.repeat for row in after.rows}) == len(after.rows) == 4
    assert after.complete
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_other_settings_and_broken_files_are_kept_apart(tmp_path: Path) -> None:
    run(tiny(arms=["copy"]), tmp_path)
    said: list[str] = []
    other = run(tiny(arms=["copy"], seed=2), tmp_path, say=said.append)
    assert len(other.rows) == 1
    assert "is kept as stress_test_results." in said[0]
    path = tmp_path / RESULTS
    torn = path.read_text()[:-100]
    path.write_text(torn)
    with pytest.raises(InputError, match="is not JSON"):
        load(tmp_path)
    run(tiny(arms=["copy"], seed=2), tmp_path, say=said.append)
    assert len(load(tmp_path).experiment.rows) == 1
    kept = list(tmp_path.glob("stress_test_results.*.json"))
    assert len(kept) == 2 and torn in [one.read_text() for one in kept]


# -- what fails -----------------------------------------------------------------------------------------


def test_a_failed_run_keeps_its_error_and_is_not_counted(tmp_path: Path, known_codec: None) -> None:
    large = tiny(payloads=["1MB"], centre={**TINY["centre"], "payload": "1MB"})
    done = run(change(large, arms=["current", "whole", "splice", "floor"]), tmp_path)
    rows = {row.arm: row for row in done.rows}
    failed = rows["current"]
    assert (failed.error or "").startswith("CapacityError: ") and failed.success is False
    assert failed.total_time is failed.psnr_db is None
    left_out = {one.arm: one for one in done.skipped}
    for arm in ("splice", "whole"):
        assert left_out[arm].why == "cover" and "capacity" in left_out[arm].reason, "it says so beforehand"
    assert rows["floor"].success
    assert done.complete
    frame = Results(done).frame
    assert frame[frame.arm == "current"].vs_floor.isna().all()


def test_a_control_that_cannot_be_read_back_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lossy codec instead of the one found by trial: the file is written, and that is not enough."""
    lossy = Codec(fourcc="MJPG", suffix=".avi", exact=True, write_s=0.0, read_s=0.0, trials=())
    monkeypatch.setattr(session, "find_codec", lambda: lossy)
    (row,) = run(tiny(arms=["current"]), tmp_path).rows
    assert row.success is False
    assert (row.error or "").startswith("PayloadError")
    assert row.total_time is None


def test_what_would_not_fit_is_left_out_with_the_figure(tmp_path: Path, known_codec: None) -> None:
    done = run(tiny(arms=["current", "copy"], memory_limit_mib=200), tmp_path)
    assert [row.arm for row in done.rows] == ["copy"]
    (skipped,) = done.skipped
    assert (skipped.arm, skipped.why) == ("current", "memory")
    assert skipped.predicted_mib is not None and skipped.available_mib is not None
    assert skipped.predicted_mib > skipped.available_mib == pytest.approx(160)
    assert "160 MiB can be had" in skipped.reason
    assert done.complete
    again = run(tiny(arms=["current", "copy"]), tmp_path)
    assert {row.arm for row in again.rows} == {"current", "copy"} and not again.skipped


def test_without_opencv_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Codec:
        raise MissingError("OpenCV cannot be loaded (libGL)")

    monkeypatch.setattr(session, "find_codec", missing)
    said: list[str] = []
    done = run(tiny(arms=["current", "copy"]), tmp_path, say=said.append)
    assert [row.arm for row in done.rows] == ["copy"]
    assert done.skipped[0].why == "opencv"
    assert said == ["the arms current* are left out: OpenCV cannot be loaded (libGL)"]


def test_when_time_is_up_nothing_begins_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(0, 100_000, 50))
    with monkeypatch.context() as patched:
        patched.setattr(session.time, "monotonic", lambda: next(ticks))
        done = run(tiny(arms=["splice", "copy"], limit_s=75), tmp_path)
    assert [row.arm for row in done.rows] == ["splice"]
    assert [(one.arm, one.why) for one in done.skipped] == [("copy", "time")]
    again = run(tiny(arms=["splice", "copy"], limit_s=75), tmp_path)
    assert {row.arm for row in again.rows} == {"splice", "copy"} and not again.skipped


def test_a_term_that_names_nothing(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="selects none of the cells 160x120/12/1KB"):
        run(tiny(), tmp_path, only=["1440p"])


def test_own_covers(folder: Path, done: Experiment, tmp_path: Path) -> None:
    (cover,) = (folder / "covers").glob("*.mp4")
    own = make_matrix({"name": "own", "covers": [str(cover)], "arms": ["splice", "floor"]})
    again = run(own, tmp_path)
    assert [(row.cell, row.success) for row in again.rows] == [(f"{cover.name}/1KB", True)] * 2
    assert {row.resolution for row in again.rows} == {"120p"}
    (planned,) = again.cells
    assert (planned.frames, planned.pixels, planned.cover) == (12, 160 * 120, cover.name)
