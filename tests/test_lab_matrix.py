"""A matrix really runs: fresh processes, rows for every run, resumed where it was killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cv2")
pytest.importorskip("memory_profiler")
from vidstega.errors import InputError, ParameterError
from vidstega.lab import matrix
from vidstega.lab.arms import ARMS, LIMITS, PARALLEL
from vidstega.lab.config import Matrix, from_dict
from vidstega.lab.measure import ArmError, Worker

TINY: dict[str, Any] = {
    "name": "tiny",
    "resolutions": ["160x120"],
    "frames": [12],
    "payloads": ["1KB"],
    "centre": {"resolution": "160x120", "frames": 12, "payload": "1KB"},
    "workers": 2,
    "synthetic": {"gop_s": 0.2},
    "interval_ms": 10,
}
PARTS = {name: name for name in ("splice", "copy", "floor")}


def tiny(**changes: Any) -> Matrix:
    return from_dict({**TINY, **changes})


def run(config: Matrix, out: Path, **options: Any) -> dict[str, Any]:
    return matrix.run(config, out, progress=False, say=lambda _: None, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, Any]:
    return run(tiny(), folder)


# -- what a run leaves ----------------------------------------------------------------------------------


def test_every_arm_has_a_row_and_was_read_back(data: dict[str, Any]) -> None:
    assert [row["arm"] for row in data["rows"]] == list(ARMS)
    assert [row["error"] for row in data["rows"]] == [None] * len(ARMS)
    assert all(row["success"] and row["compared"] and row["readback_s"] > 0 for row in data["rows"])
    assert data["complete"]
    assert data["planned"] == len(ARMS)


def test_rows_are_tidy_and_have_the_names_of_the_study(data: dict[str, Any]) -> None:
    for row in data["rows"]:
        assert set(row) == set(matrix.FIELDS)
        assert set(matrix.STUDY_FIELDS) <= set(row)
        assert set(row["stages"]) == set(matrix.STAGES)
        assert (row["resolution"], row["width"], row["height"], row["frame_count"]) == (
            "160x120",
            160,
            120,
            12,
        )
        assert row["read_time"] == row["stages"]["decode"]
        assert row["memory_increase_mb"] == pytest.approx(
            row["memory_peak_mb"] - row["memory_before_mb"], rel=1e-3
        )
        assert row["memory_peak_mb"] >= max(row["timeline"]["mib"], default=0) - 0.1
        assert len(row["timeline"]["mib"]) == len(row["timeline"]["t_s"]) <= 120


def test_the_docstring_names_every_field(data: dict[str, Any]) -> None:
    text = matrix.__doc__ or ""
    for name in (*matrix.FIELDS, *data):
        assert f"``{name}``" in text, name


def test_stages_add_up_to_the_time(data: dict[str, Any]) -> None:
    for row in data["rows"]:
        assert sum(row["stages"].values()) == pytest.approx(row["total_time"], rel=0.15, abs=0.1), row["arm"]


def test_what_carries_has_quality_and_what_does_not_has_none(data: dict[str, Any]) -> None:
    for row in data["rows"]:
        if row["arm"] in LIMITS:
            assert (row["psnr_db"], row["frames_used"], row["message_size"]) == (None, 0, 0)
            continue
        assert row["message_size"] == 1024 < row["encrypted_size"]
        assert row["bits_embedded"] == 8 * row["encrypted_size"]
        assert row["psnr_db"] > 45
        assert 0.95 < row["ssim"] < 1
        assert row["quality_frames"] >= 1
        assert row["capacity_bytes"] > 1024
        assert row["quality_domain"] == ("bgr" if row["arm"].startswith("current") else "luma")


def test_times_stand_beside_the_limits(data: dict[str, Any]) -> None:
    rows = {row["arm"]: row for row in data["rows"]}
    assert rows["floor"]["vs_floor"] == rows["copy"]["vs_copy"] == 1
    assert rows["whole"]["vs_copy"] == pytest.approx(
        rows["whole"]["total_time"] / rows["copy"]["total_time"], rel=1e-3
    )
    for arm, alone in PARALLEL.items():
        assert rows[arm]["workers"] == 2
        assert rows[arm]["efficiency"] == pytest.approx(rows[arm]["speedup"] / 2, rel=1e-3)
        assert rows[alone]["speedup"] is None


def test_a_limit_of_the_same_cover_will_do(folder: Path, data: dict[str, Any], tmp_path: Path) -> None:
    extra = {"resolution": "160x120", "frames": 12, "payload": "10B", "arms": ["splice"]}
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    rows = run(tiny(extra=[extra]), tmp_path, only=["10B"])["rows"]
    floor = next(row for row in rows if row["arm"] == "floor")
    assert rows[-1]["cell"] == "160x120/12/10B"
    assert rows[-1]["vs_floor"] == pytest.approx(rows[-1]["total_time"] / floor["total_time"], rel=1e-3)


def test_modes(data: dict[str, Any]) -> None:
    modes = {row["arm"]: row["mode"] for row in data["rows"]}
    assert modes["splice"] == "splice"
    assert modes["whole"] == "transcode"
    assert modes["current"] == "re-write"


def test_the_stamp(data: dict[str, Any]) -> None:
    assert data["schema"] == matrix.SCHEMA
    assert {"cpu", "cores", "ram_mib", "os"} == set(data["machine"])
    assert {"python", "vidstega", "av", "numpy", "joblib", "libavcodec"} <= set(data["versions"])
    assert data["config"]["seed"] == 1
    (cover,) = data["covers"].values()
    assert (cover["frames"], cover["codec"], cover["splice"]) == (12, "h264", True)
    assert cover["synthetic"] == {
        "gop_s": 0.2, "fps": 30, "bframes": 2, "crf": 20, "preset": "veryfast", "sound": True, "seed": 1,
    }  # fmt: skip


def test_nothing_large_is_left(folder: Path, data: dict[str, Any]) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["covers", matrix.RESULTS]


def test_the_file_says_what_was_returned(folder: Path, data: dict[str, Any]) -> None:
    assert matrix.load_results(folder) == json.loads(json.dumps(data))
    assert "NaN" not in (folder / matrix.RESULTS).read_text()


def test_the_summary_names_every_arm(data: dict[str, Any]) -> None:
    assert all(f"  {arm} " in matrix.summary(data) for arm in ARMS)


# -- resuming -------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(folder: Path, data: dict[str, Any]) -> None:
    again = run(tiny(), folder)
    assert again["rows"] == data["rows"]
    more = run(tiny(repeats=2), folder, only=["copy"])
    assert [row["repeat"] for row in more["rows"] if row["arm"] == "copy"] == [0, 1]
    assert not more["complete"]


def test_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        'resolutions = ["160x120"]\nframes = [12]\npayloads = ["1KB"]\n'
        'arms = ["splice", "copy"]\nrepeats = 3\n'
        '[centre]\nresolution = "160x120"\nframes = 12\npayload = "1KB"\n'
    )
    out = tmp_path / "out"
    command = [sys.executable, "-m", "vidstega", "stress", "--config", str(config), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (out / matrix.RESULTS).exists() and len(matrix.load_results(out)["rows"]) >= 2:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = matrix.load_results(out)
    assert 2 <= len(before["rows"]) < 6
    assert not before["complete"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = matrix.load_results(out)
    assert after["rows"][: len(before["rows"])] == before["rows"]
    assert len({(row["arm"], row["repeat"]) for row in after["rows"]}) == len(after["rows"]) == 6
    assert after["complete"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_other_settings_and_broken_files_are_kept_apart(tmp_path: Path) -> None:
    run(tiny(arms=["copy"]), tmp_path)
    said: list[str] = []
    data = matrix.run(tiny(arms=["copy"], seed=2), tmp_path, progress=False, say=said.append)
    assert len(data["rows"]) == 1
    assert "is kept as stress_test_results." in said[0]
    path = tmp_path / matrix.RESULTS
    path.write_text(path.read_text()[:-100])
    with pytest.raises(InputError, match="is not JSON"):
        matrix.load_results(tmp_path)
    matrix.run(tiny(arms=["copy"], seed=2), tmp_path, progress=False, say=said.append)
    assert len(matrix.load_results(tmp_path)["rows"]) == 1
    assert len(list(tmp_path.glob("stress_test_results.*.json"))) == 2


# -- what fails -----------------------------------------------------------------------------------------


def test_a_failed_run_keeps_its_error_and_is_not_counted(tmp_path: Path) -> None:
    data = run(tiny(payloads=["1MB"], centre={**TINY["centre"], "payload": "1MB"}), tmp_path)
    rows = {row["arm"]: row for row in data["rows"]}
    for arm in ("current", "splice", "whole"):
        assert rows[arm]["error"].startswith("CapacityError: "), rows[arm]["error"]
        assert rows[arm]["success"] is False
        assert rows[arm]["total_time"] is rows[arm]["vs_floor"] is rows[arm]["psnr_db"] is None
    assert rows["floor"]["success"]
    assert data["complete"]
    assert "FAILED: CapacityError" in matrix.summary(data)


def test_a_control_that_cannot_be_read_back_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lossy codec instead of the one found by trial: the file is written, and that is not enough."""
    lossy = {"fourcc": "MJPG", "suffix": ".avi", "exact": True, "write_s": 0.0, "read_s": 0.0, "trials": []}
    monkeypatch.setattr(matrix, "_pick_codec", lambda: lossy)
    (row,) = run(tiny(arms=["current"]), tmp_path)["rows"]
    assert row["success"] is False
    assert row["error"].startswith("PayloadError")
    assert row["total_time"] is None


def test_what_would_not_fit_is_left_out_with_the_figure(tmp_path: Path) -> None:
    data = run(tiny(arms=["current", "copy"], memory_limit_mib=200), tmp_path)
    assert [row["arm"] for row in data["rows"]] == ["copy"]
    (skipped,) = data["skipped"]
    assert (skipped["arm"], skipped["why"]) == ("current", "memory")
    assert skipped["predicted_mib"] > skipped["available_mib"] == pytest.approx(160)
    assert "160 MiB can be had" in skipped["reason"]
    assert data["complete"]
    again = run(tiny(arms=["current", "copy"]), tmp_path)
    assert {row["arm"] for row in again["rows"]} == {"current", "copy"}


def test_without_opencv_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, Any]:
        raise matrix.MissingError("OpenCV cannot be loaded (libGL)")

    monkeypatch.setattr(matrix, "_pick_codec", missing)
    said: list[str] = []
    data = matrix.run(tiny(arms=["current", "copy"]), tmp_path, progress=False, say=said.append)
    assert [row["arm"] for row in data["rows"]] == ["copy"]
    assert data["skipped"][0]["why"] == "opencv"
    assert said == ["the arms current* are left out: OpenCV cannot be loaded (libGL)"]


def test_a_term_that_names_nothing(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="selects none of the cells 160x120/12/1KB"):
        run(tiny(), tmp_path, only=["1440p"])


def test_own_covers(folder: Path, data: dict[str, Any], tmp_path: Path) -> None:
    (cover,) = (folder / "covers").glob("*.mp4")
    own = from_dict({"name": "own", "covers": [str(cover)], "arms": ["splice", "floor"]})
    rows = run(own, tmp_path)["rows"]
    assert [(row["cell"], row["success"]) for row in rows] == [(f"{cover.name}/1KB", True)] * 2


# -- measuring ------------------------------------------------------------------------------------------


def test_a_worker_that_dies_says_so() -> None:
    with (
        Worker("vidstega.lab.arms", ["copy"]) as worker,
        pytest.raises(ArmError, match="ended with status 3"),
    ):
        worker.run({"do": "fail", "how": "die"}, timeout_s=20)


def test_a_worker_that_fails_goes_on() -> None:
    with Worker("vidstega.lab.arms", ["copy"]) as worker:
        for _ in range(2):
            with pytest.raises(ArmError, match="RuntimeError: copy fails because it was asked to"):
                worker.run({"do": "fail"}, timeout_s=20)


def test_memory_that_is_held_for_a_moment_is_seen(tmp_path: Path) -> None:
    """Far shorter than the distance of two samples: the high-water mark has it, where there is one."""
    module = tmp_path / "blip.py"
    module.write_text(
        "import json, sys\nprint(json.dumps({'ready': 1}), flush=True)\n"
        "for line in sys.stdin:\n    x = bytearray(b'1') * (100 << 20)\n    del x\n"
        "    print(json.dumps({'ok': 1}), flush=True)\n"
    )
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("no high-water mark here")
    here = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(tmp_path)
    try:
        with Worker("blip", interval_s=5) as worker:
            for _ in range(2):
                _, seen = worker.run({}, timeout_s=20)
                assert 95 < seen.peak_mib - seen.before_mib < 125
    finally:
        if here is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = here


def test_a_worker_that_takes_too_long_is_stopped() -> None:
    with Worker("vidstega.lab.arms", ["current"]) as worker:
        with pytest.raises(ArmError, match="took longer than 0 s"):
            worker.ask({"do": "codec"}, timeout_s=0.01)
        pid = worker._process.pid
    assert not Path(f"/proc/{pid}").exists()
