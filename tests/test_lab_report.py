"""The report is a function of its JSON alone, and every verdict in it follows the numbers."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from vidstega.lab.config import RESOLUTIONS, parse_payload

from vidstega.errors import InputError
from vidstega.lab import report
from vidstega.lab.arms import ARMS, LIMITS, PARALLEL
from vidstega.lab.matrix import FIELDS, RESULTS, SCHEMA, STAGES

MIDDLE = "1440p/100/100KB", "whole", 1
SECONDS = {"current": 20.0, "current+streaming": 21.0, "current+parallel": 25.0, "whole": 6.0,
           "whole+parallel": 4.0, "splice": 0.5, "floor": 4.0, "copy": 0.05}  # fmt: skip
"""Of 100 frames of 1440p."""


def make_row(cell: str, arm: str, repeat: int = 0, **changes: Any) -> dict[str, Any]:
    resolution, count, payload = cell.split("/")
    (width, height), frames = RESOLUTIONS[resolution], int(count)
    scale = width * height / (2560 * 1440)
    long = 1 if arm in ("splice", "copy") else frames / 100
    wall = SECONDS[arm] * scale * long * (1 + 0.01 * repeat)
    reads_all = arm in ("current", "current+parallel")
    increase = 1100 * scale * frames / 100 if reads_all else 60 * scale
    verifies = arm in ("whole", "whole+parallel", "splice")
    shares = {"seal": 0.1, "decode": 0.3, "embed": 0.1, "encode": 0.2, "verify": 0.3 if verifies else 0.0}
    message = 0 if arm in LIMITS else parse_payload(payload) or 10**6
    row = dict.fromkeys(FIELDS) | {
        "timestamp": "2026-01-01T00:00:00+00:00", "resolution": resolution, "width": width, "height": height,
        "frame_count": frames, "operation": "embed", "success": True, "total_time": wall,
        "encrypt_time": 0.1 * wall, "read_time": 0.3 * wall, "embed_time": 0.1 * wall,
        "write_time": 0.2 * wall, "memory_before_mb": 50.0, "memory_after_mb": 60.0,
        "memory_peak_mb": 50 + increase, "memory_increase_mb": increase, "message_size": message,
        "encrypted_size": message, "bits_embedded": 8 * message, "frames_used": 1,
        "video_info": {"cover": cover_id(cell)}, "cell": cell, "arm": arm, "repeat": repeat,
        "payload": payload, "workers": 2 if arm in PARALLEL else 1, "mode": "transcode", "reason": "so",
        "frames_coded": 1 if arm == "splice" else frames, "cpu_s": wall,
        "stages": {stage: shares.get(stage, 0.0) * wall for stage in STAGES},
        "work_s": wall * (1 - shares["verify"]), "checked_s": wall, "memory_samples": 9,
        "timeline": {"t_s": [wall / 2], "mib": [50 + increase]}, "readback_s": wall / 2,
        "readback_cpu_s": 1.0,
        "bytes_in": 10**6, "bytes_out": 2 * 10**6, "growth_bytes": 10**6, "growth_ratio": 2.0,
        "frames_per_s": frames / wall, "mpx_per_s": 1.0, "load_1min": 0.5,
    }  # fmt: skip
    if arm not in LIMITS:
        row |= {"capacity_bytes": 10**6, "alpha": 1.0, "change_rate": 0.5, "psnr_db": 51.1, "ssim": 0.999,
                "ws_alpha": 0.9, "ws_alpha_cover": 0.01}  # fmt: skip
    floor = SECONDS["floor"] * scale * frames / 100 * (1 + 0.01 * repeat)
    row |= {"vs_floor": wall / floor, "vs_copy": 9.0, "work_vs_floor": row["work_s"] / floor}
    if arm in PARALLEL:
        speedup = SECONDS[PARALLEL[arm]] / SECONDS[arm]
        row |= {"speedup": speedup, "efficiency": speedup / 2}
    return row | changes


def cover_id(cell: str) -> str:
    resolution, frames, _ = cell.split("/")
    return f"{resolution}-{frames}.mp4"


def make_cover(cell: str) -> dict[str, Any]:
    resolution, frames, _ = cell.split("/")
    width, height = RESOLUTIONS[resolution]
    return {
        "id": cover_id(cell), "path": "/somewhere/else.mp4", "sha256": "0", "bytes": 10**6, "codec": "h264",
        "pix_fmt": "yuv420p", "width": width, "height": height, "frames": int(frames), "fps": 30.0,
        "duration_s": int(frames) / 30, "bitrate_bps": 1e6, "key_frames": 2, "gop_frames": 60, "streams": [],
        "splice": True, "reason": "", "synthetic": None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """Results as `standard` gives them, with invented figures."""
    cells = [f"{resolution}/100/100KB" for resolution in RESOLUTIONS]
    cells += ["1440p/30/100KB", "1440p/300/100KB", "1440p/100/1KB", "1440p/100/capacity", "1440p/300/1KB"]
    repeats = {cell: 3 if cell == "1440p/100/100KB" else 1 for cell in cells}
    return {
        "schema": SCHEMA, "name": "made", "created": "2026-01-01T00:00:00+00:00",
        "updated": "2026-01-01T01:00:00+00:00", "complete": True, "planned": 8 * sum(repeats.values()),
        "machine": {"cpu": "a cpu", "cores": 2, "ram_mib": 16000, "os": "an os"},
        "versions": {"python": "3.11", "av": "18.1"}, "commit": "abc", "code": "def",
        "config": {
            "arms": list(ARMS), "centre": {"resolution": "1440p", "frames": 100, "payload": "100KB"},
            "covers": [], "seed": 1, "repeats": 1, "centre_repeats": 3, "batch": 10, "n_workers": 2,
            "cells": [{"id": cell, "repeats": repeats[cell], "arms": list(ARMS)} for cell in cells],
        },
        "config_digest": "0", "memory": {"metric": "pss", "unit": "MiB", "tool": "a tool"},
        "control_codec": None, "covers": {cover_id(cell): make_cover(cell) for cell in cells}, "skipped": [],
        "rows": [make_row(cell, arm, k) for cell in cells for arm in ARMS for k in range(repeats[cell])],
    }  # fmt: skip


def told(data: dict[str, Any], users: dict[str, Any] | None = None) -> str:
    return report.render(report.Results(data), report.load_claims(), report.Users(users))


def changed(data: dict[str, Any], cell: str, arm: str, **values: Any) -> dict[str, Any]:
    data = copy.deepcopy(data)
    for row in data["rows"]:
        if (row["cell"], row["arm"]) == (cell, arm):
            row.update(values)
    return data


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def lines(text: str, *parts: str) -> list[str]:
    return [line for line in text.splitlines() if all(part in line for part in parts)]


def write(data: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).write_text(json.dumps(data))
    return folder


def test_the_report_is_written_byte_for_byte_again_and_elsewhere(
    made: dict[str, Any], tmp_path: Path
) -> None:
    first = report.write_report(write(made, tmp_path / "a"))
    files = {path.name: path.read_bytes() for path in first.parent.rglob("*.*")}
    shutil.copytree(tmp_path / "a", tmp_path / "some" / "where")
    for again in (tmp_path / "a", tmp_path / "some" / "where"):
        report.write_report(again)
        assert {path.name: path.read_bytes() for path in again.rglob("*.*")} == files
    assert sum(name.endswith(".png") for name in files) == 6
    assert str(tmp_path) not in first.read_text()


def test_the_order_of_rows_does_not_matter(made: dict[str, Any]) -> None:
    assert told({**made, "rows": made["rows"][::-1]}) == told(made)


def test_all_goals_are_reached_and_each_flips_with_its_figure(made: dict[str, Any]) -> None:
    made = copy.deepcopy(made)
    for row in made["rows"]:
        if row["arm"] == "whole":
            row["memory_peak_mb"] = 150.0
    assert [goal.reached for goal in report.goals(report.Results(made))] == [True] * 12
    for cell, arm, values, which in (
        ("1440p/100/1KB", "splice", {"total_time": 2.1}, {0, 2}),
        ("1440p/300/1KB", "splice", {"total_time": 2.1}, {1, 4}),
        ("1440p/100/1KB", "splice", {"work_s": 2.1}, {3}),
        ("1440p/300/1KB", "splice", {"memory_peak_mb": 200.0}, {7}),
        ("1440p/100/1KB", "current", {"memory_peak_mb": 200.0}, {6}),
        ("1440p/100/100KB", "whole", {"memory_peak_mb": 200.0}, {8}),
        ("1440p/100/100KB", "whole", {"work_vs_floor": 1.11}, {9}),
        ("1440p/300/100KB", "whole", {"memory_peak_mb": 190.0}, {10}),
        ("1440p/300/100KB", "splice", {"memory_peak_mb": 190.0}, {11}),
    ):
        altered = changed(made, cell, arm, **values)
        goals = report.goals(report.Results(altered))
        assert {k for k, goal in enumerate(goals) if goal.reached is False} == which
        text = section(told(altered), "Headline goals")
        assert text.count("**not reached**") == len(which)
        counts = f"{12 - len(which)} are reached, {len(which)} are not, 0 were"
        assert counts in section(told(altered), "Summary")


def test_what_failed_is_bold_and_what_was_not_measured_is_missing(made: dict[str, Any]) -> None:
    failed = changed(made, "2160p/100/100KB", "current", success=False, error="MemoryError: a | b\nc")
    text = told(failed)
    assert "**MemoryError: a \\| b c**" in section(text, "Failures and what was left out")
    assert "**1 failed**" in section(text, "Summary")
    assert lines(section(text, "Resolution support matrix"), "2160p", "**failed**", "(missing)")
    gone = {**made, "rows": [row for row in made["rows"] if row["cell"] != "720p/100/100KB"]}
    assert lines(section(told(gone), "Resolution support matrix"), "720p", "(missing)")
    assert "720p/100/100KB `splice`" in section(told(gone), "Failures and what was left out")


def test_a_cell_of_which_one_repeat_failed_says_so(made: dict[str, Any]) -> None:
    made = copy.deepcopy(made)
    one = next(row for row in made["rows"] if (row["cell"], row["arm"], row["repeat"]) == MIDDLE)
    one.update(success=False, error="no")
    assert lines(section(told(made), "All cells"), "1440p/100/100KB", "`whole`", "| 2, **1 failed** |")


def test_what_was_left_out_says_with_which_figure(made: dict[str, Any]) -> None:
    entry = {key: make_row("2160p/100/100KB", "current")[key]
             for key in ("cell", "arm", "resolution", "width", "height", "frame_count",
                         "payload")}  # fmt: skip
    entry |= {"why": "memory", "predicted_mib": 2900.0, "available_mib": 800.0, "reason": "needs 2,900 MiB"}
    rows = [row for row in made["rows"] if (row["cell"], row["arm"]) != (entry["cell"], "current")]
    text = told({**made, "rows": rows, "skipped": [entry]})
    assert lines(text, "left out: needs 2,900 MiB")
    assert lines(section(text, "Failures and what was left out"), "memory", "2,900", "800")


def test_no_rows_at_all_is_a_report_too(made: dict[str, Any], tmp_path: Path) -> None:
    path = report.write_report(write({**made, "rows": [], "covers": {}, "complete": False}, tmp_path))
    assert "**not complete**" in path.read_text()
    assert not (tmp_path / "figures").exists()
    assert not lines(path.read_text(), "nan")


def test_no_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vidstega stress"):
        report.write_report(tmp_path)


@pytest.mark.parametrize(
    ("mb", "word"), [(499, "safe"), (500, "monitor"), (2000, "high risk"), (4000, "critical")]
)
def test_memory_is_graded_by_the_published_thresholds(made: dict[str, Any], mb: float, word: str) -> None:
    text = told(changed(made, "1440p/100/100KB", "current", memory_peak_mb=mb))
    assert f"memory of `current` at 1440p/100/100KB is “{word}”" in text
    matrix = section(text, "Resolution support matrix").split("### `whole`")[0]
    assert lines(matrix, f"| 1440p | {word} |")


@pytest.mark.parametrize(("s", "word"), [(29, "excellent"), (30, "good"), (60, "acceptable"), (120, "slow")])
def test_time_is_graded_by_the_published_thresholds(s: float, word: str) -> None:
    assert report.time_grade(s, report.load_claims()) == word


def test_the_study_contradicts_itself_and_the_report_shows_it(made: dict[str, Any]) -> None:
    text = told(made)
    assert "Its matrix calls 1440p “high risk”, where its own thresholds say “monitor” for 1,050 MB." in text


def test_concurrent_users_come_from_their_own_file(made: dict[str, Any], tmp_path: Path) -> None:
    assert not lines(told(made), "one machine carries")
    folder = write(made, tmp_path)
    carried = {"arm": "splice", "resolution": "1440p", "users": 61, "ended": "slow"}
    (folder / report.USERS).write_text(json.dumps({"carried": [carried]}))
    text = report.write_report(folder).read_text()
    assert lines(text, "1440p", "safe", "| 61 |")
    assert "full scale is not needed: one machine carries 61 users, 50 are asked for" in text
    assert "full scale is needed" in told(made, {"carried": [carried | {"users": 7}]})


def test_what_is_recommended_follows_from_the_figures(made: dict[str, Any]) -> None:
    assert "**quick wins** (the study puts it at $500 to $1,000), since `splice`" in told(made)
    light = copy.deepcopy(made)
    for row in light["rows"]:
        if row["arm"] == "current":
            row["memory_peak_mb"] = 90.0
    assert "**do nothing** (the study puts it at $0)" in told(light)
    slow = changed(made, "1440p/100/100KB", "splice", total_time=70.0)
    assert "**full scale**" in told(slow)
    unmeasured = {**made, "rows": []}
    assert "Recommended by the rules below: (missing)." in told(unmeasured)


def test_workers_are_worth_it_or_not(made: dict[str, Any]) -> None:
    assert "2 workers of `whole+parallel`: worth it" in told(made)
    text = told(changed(made, "1440p/100/100KB", "whole+parallel", efficiency=0.5))
    assert "2 workers of `whole+parallel`: not worth it" in text


def test_each_fix_is_told_apart_with_its_spread(made: dict[str, Any]) -> None:
    rows = section(told(made), "What each fix brings")
    assert lines(rows, "only the frames needed", "| 12.0x (12.0 to 12.0, n=3) |")
    assert lines(rows, "Most time is saved by “only the frames needed”, 12.0x")
    text = told(changed(made, "1440p/100/100KB", "whole", total_time=0.4))
    assert "Most time is saved by “FFmpeg I/O, every frame”" in text


def test_claims_stand_beside_measurements(made: dict[str, Any]) -> None:
    text = section(told(made), "Claimed against measured")
    assert lines(text, "1440p", "published", "1,050", "110", "2-3")
    assert lines(text, "1440p", "`current`", "| 1,150 |", "| 20.2 |", "5.45x")
    assert lines(text, "streaming in batches", "10.0x", "10.5x", "as claimed")
    less = told(changed(made, "1440p/100/100KB", "current+streaming", memory_peak_mb=600.0))
    assert lines(less, "streaming in batches", "10.0x", "**less**")
    assert lines(text, "targets: memory", "`splice`", "105 MB", "**not reached**")


def test_the_slope_is_that_of_the_rows(made: dict[str, Any]) -> None:
    text = section(told(made), "Memory against length")
    assert lines(text, "1440p", "100KB", "`current`", "30, 100, 300", "+1,100.0 MiB per 100 frames", "grows")
    assert lines(text, "1440p", "100KB", "`splice`", "+0.0 MiB per 100 frames", "flat")


def test_the_longest_video_follows_slope_and_growth(made: dict[str, Any]) -> None:
    results = report.Results(made)
    place = results.place("1440p/100/100KB")
    assert place is not None
    assert report.longest_by_memory(results, place, "current", 4000) == pytest.approx((4000 - 50) / 11 / 30)
    assert report.longest_by_memory(results, place, "splice", 4000) == float("inf")
    assert report.longest_by_memory(results, place, "splice", 100) == 0
    assert report.longest_by_disk(results, place, "whole", 2e9) == pytest.approx(1e5 / 30)
    assert report.longest_by_disk(results, place, "splice", 2e9) == pytest.approx((2e9 - 1e6) / 1e4 / 30)
    small = results.place("480p/100/100KB")
    assert small is not None
    scale = 854 * 480 / (2560 * 1440)
    expected = (4000 - 50) / (11 * scale) / 30
    assert report.longest_by_memory(results, small, "current", 4000) == pytest.approx(expected)


def test_a_message_is_detected_or_not(made: dict[str, Any]) -> None:
    assert "`splice`: the estimate gives the message away in 7 of 7 cells" in told(made)
    quiet = changed(made, "1440p/100/1KB", "splice", ws_alpha=0.05)
    assert "`splice`: the estimate gives the message away in 6 of 7 cells" in told(quiet)


def test_the_users_own_videos_are_told_by_name(made: dict[str, Any]) -> None:
    own = {"cell": "mine.mp4/1KB", "resolution": "own"}
    rows = [make_row("720p/100/1KB", arm) | own for arm in ARMS]
    config = {**made["config"], "covers": ["/x/mine.mp4"], "centre": {},
              "cells": [{"id": "mine.mp4/1KB", "repeats": 1, "arms": list(ARMS)}]}  # fmt: skip
    text = told({**made, "rows": rows, "config": config})
    assert lines(section(text, "Resolution support matrix"), "| mine.mp4 | safe |")
