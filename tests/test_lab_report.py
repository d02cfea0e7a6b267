"""The report is a function of the results alone, one screen and a half, and reads as written for them."""

from __future__ import annotations

import copy
import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
from lab_made import CENTRE, STUDY, changed, made, results, without, write

from vidstega.lab import as_markdown
from vidstega.lab.report import render, write_report

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference"
OLD = ("current", "current+streaming", "current+parallel")


@cache
def pages(text: str) -> tuple[str, ...]:
    return render(results(json.loads(text)))


def told(data: dict[str, Any]) -> str:
    return pages(json.dumps(data))[0]


def details(data: dict[str, Any]) -> str:
    return pages(json.dumps(data))[1]


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def lines(text: str, *parts: str) -> list[str]:
    return [line for line in text.splitlines() if all(part in line for part in parts)]


def own(resolution: str = "720p", arms: tuple[str, ...] = STUDY) -> dict[str, Any]:
    """One's own video, measured as `vidstega stress --cover` does."""
    data = made([f"{resolution}/100/1KB"], arms)
    for row in data["rows"]:
        row["cell"] = "mine.mp4/1KB"
    data["cells"][0] |= {"id": "mine.mp4/1KB"}
    data["config"] |= {"covers": ["/x/mine.mp4"], "centre": None}
    return data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a folder with all that can be measured."""
    folder = write(made(), tmp_path_factory.mktemp("report") / "a")
    for name in ("users.json", "survival.json", "detection.json"):
        shutil.copy(REFERENCE / name, folder)
    return write_report(folder)


def test_the_report_is_written_byte_for_byte_elsewhere(written: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in written.parent.rglob("*.*")}
    again = tmp_path / "some" / "where"
    shutil.copytree(written.parent, again, ignore=shutil.ignore_patterns("*.md"))
    write_report(again)
    assert {path.name: path.read_bytes() for path in again.rglob("*.*")} == files
    assert sum(name.endswith(".png") for name in files) == 8
    assert str(written.parent) not in written.read_text()


def test_the_order_of_rows_does_not_matter() -> None:
    other = made() | {"rows": made()["rows"][::-1]}
    assert (told(other), details(other)) == (told(made()), details(made()))


def test_one_screen_and_a_half_with_three_figures(written: Path) -> None:
    for path in (written, REFERENCE / written.name):
        text = path.read_text(encoding="utf-8")
        for title in ("What survives what", "Who finds it", "How many users"):
            assert f"## {title}\n" in text
        assert len(text.splitlines()) <= 120 and text.count("![") == 3
        assert path.with_name("details.md").read_text(encoding="utf-8").count("## ") > 8


def test_no_place_of_a_machine_is_in_what_was_measured() -> None:
    for path in (*REFERENCE.glob("*.json"), *REFERENCE.glob("*.md")):
        assert not re.search(r"[\"' (`]/(tmp|home|root|Users|work)/", path.read_text(encoding="utf-8")), (
            path.name
        )


@pytest.mark.parametrize(
    "data",
    [
        made(),
        without(made(), *OLD),
        without(made(), "splice", "floor", "copy"),
        made(["480p/100/1KB"]),
        {**made(), "rows": []},
        {**made(), "rows": [], "covers": {}, "complete": False},
        own(),
        own("2160p", ("splice",)),
        changed(made(), "2160p/100/100KB", "splice", success=False, error="Kind: no"),
    ],
    ids=["all", "no old way", "no splice", "one cell", "nothing", "torn off", "own", "own splice", "failed"],
)
def test_what_was_not_measured_does_not_appear(data: dict[str, Any]) -> None:
    for text in (told(data), details(data)):
        for word in ("missing", "nan", "None", "not detected", "not planned", "inf ", "| - |"):
            assert word not in text, (word, text)
        rows = [line for line in text.splitlines() if line.startswith("|") and ":--" not in line]
        assert not [row for row in rows if not set(row) - set("| -/")]
        assert not lines(text, "|  |  |  |  |")


def test_without_the_old_way_nothing_is_said_of_it() -> None:
    text = told(without(made(), *OLD))
    assert "present way" not in text.replace("the study's present way beside it", "")
    assert "claimed by the study / **vidstega**" in text
    assert "A larger run would add: the study's present way beside it" in text


def test_ones_own_video_is_told_by_name_beside_the_study_of_its_height() -> None:
    text = told(own())
    assert "hides 1 KB in mine.mp4 (100 frames of 720p)" in text
    (row,) = lines(section(text, "Resolution support"), "| 720p |")
    assert "good → **safe**" in row and "| 270 / 325 / **65.0** |" in row and "1 of 100 frames" in row
    assert "1440p" not in text
    assert "users" not in text
    (row,) = lines(section(told(own("2160p")), "Resolution support"), "| 2160p |")
    assert "→" not in row and row.count(" / ") == 3


def test_a_folder_of_videos_is_grouped_by_height() -> None:
    data = made(["720p/100/1KB", "1080p/100/1KB", "720p/300/1KB"])
    for row in data["rows"]:
        row["cell"] = f"{row['resolution']}-{row['frame_count']}.mp4/1KB"
    for cell in data["cells"]:
        cell["id"] = f"{cell['cover']}/1KB"
    data["config"] |= {"covers": ["/x"], "centre": None}
    rows = lines(section(told(data), "Resolution support"), "**safe**")
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| 720p", "2 of 100 to 300 frames"],
        ["| 1080p", "1 of 100 frames"],
    ]
    assert "scaled to the length" in told(data)


def test_the_verdict_holds_the_figures() -> None:
    text = told(made())
    assert (
        "**vidstega hides 100 KB in 100 frames of 1440p in 0.51 s and 110 MiB; the study's present way, "
        "measured on the same machine, takes 20.2 s and 1,150 MiB. Memory does not grow with the video.**"
    ) in text
    assert "estimate of memory holds; its estimate of time is 5.45 times too high" in text
    assert "Not: eight workers embed" in text


def test_the_table_of_resolutions_holds_claimed_measured_and_ours() -> None:
    table = section(told(made()), "Resolution support")
    assert lines(table, "| 1440p | high risk → **safe** | 1,050 / 1,150 / **110** | 110 / 20.2 / **0.51** |")
    assert lines(table, "| 2160p | **safe** | - / 2,525 / **185** | - / 45.0 / **1.12** |")


def test_what_failed_is_bold_with_its_error() -> None:
    failed = changed(made(), "2160p/100/100KB", "splice", success=False, error="MemoryError: a | b\nc")
    text = told(failed)
    assert "**1 failed**" in text
    assert "- **2160p/100/100KB `splice`: MemoryError: a | b c**" in text
    assert lines(section(text, "Resolution support"), "2160p", "**failed**", "- / 2,525 / -")
    assert lines(details(failed), "2160p/100/100KB", "**MemoryError: a \\| b c**")


def test_many_failures_are_cut_and_counted() -> None:
    failed = copy.deepcopy(made())
    for row in failed["rows"]:
        row.update(success=False, error="no")
    text = told(failed)
    assert "**and 88 more, see details.md**" in text
    assert "Nothing was read back and equal" in text


def test_a_cell_of_which_one_repeat_failed_says_so() -> None:
    data = copy.deepcopy(made())
    next(r for r in data["rows"] if (r["cell"], r["arm"], r["repeat"]) == (CENTRE, "whole", 1)).update(
        success=False, error="no"
    )
    assert lines(section(details(data), "All cells"), CENTRE, "`whole`", "| 2, **1 failed** |")


def test_what_was_left_out_says_with_which_figure() -> None:
    entry = {"cell": "2160p/100/100KB", "arm": "current", "why": "memory", "reason": "needs 2,900 MiB"}
    entry |= {"predicted_mib": 2900.0, "available_mib": 800.0}
    gone = [r for r in made()["rows"] if (r["cell"], r["arm"]) != ("2160p/100/100KB", "current")]
    data = {**made(), "rows": gone, "skipped": [entry]}
    assert "- Left out: 2160p/100/100KB `current`: needs 2,900 MiB" in told(data)
    assert lines(details(data), "memory", "2,900", "800")
    assert lines(section(told(data), "Resolution support"), "2160p", "- / - / **185**")


def test_what_was_planned_and_not_measured_is_named_in_the_details() -> None:
    gone = {**made(), "rows": [r for r in made()["rows"] if r["cell"] != "720p/100/100KB"], "complete": False}
    assert not lines(section(told(gone), "Resolution support"), "720p")
    assert "720p/100/100KB `splice`" in lines(details(gone), "Planned and not measured")[0]
    assert "**Not complete: 96 runs were planned.**" in told(gone)


def test_each_fix_is_told_apart_with_its_spread() -> None:
    table = section(details(made()), "What each fix brings")
    assert lines(table, "only the frames needed", "| 12.0x (12.0 to 12.0, n=3) |")
    assert lines(table, "all together", "12.0x to 120x, 10 cells")


def test_costs_stand_beside_the_limits() -> None:
    table = section(told(made()), "What it costs")
    assert lines(table, "`splice` (transcode)", "0.51 s, 110 MiB, +1.00 MB", "not measured yet")
    assert lines(table, "copy / decode and code", "0.05 s / 4.04 s")


def test_workers_pay_or_not() -> None:
    assert "2 workers of `whole+parallel` pay: efficiency 0.75." in told(made())
    slow = changed(made(), CENTRE, "whole+parallel", total_time=5.5)
    assert "2 workers of `whole+parallel` do not pay: efficiency 0.55." in told(slow)
    assert "workers of `whole`" not in told(made())


def test_memory_against_length_and_longest_videos() -> None:
    text = details(made())
    grows = lines(text, "| 1440p | 100KB | `current` | 30 to 300 |", "| +1,100.0 |", "grows")
    assert grows and lines(text, "| 1440p | 100KB | `splice` |", "| +0.0 |", "flat")
    longest = section(text, "Longest video")
    assert lines(longest, CENTRE, "`current`", "| 12.0 s |")
    assert lines(longest, CENTRE, "`splice`", "any length")


def test_a_notebook_gets_the_figures_inside(written: Path) -> None:
    text = as_markdown(written)
    assert text.count("data:image/png;base64,") == 3 and "(figures/" not in text
