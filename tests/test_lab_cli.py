"""`vidstega stress` as a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vidstega.cli import main

HEAVY = {"cv2", "pandas", "matplotlib", "memory_profiler", "pydantic", "jinja2"}


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, vidstega.lab.cli; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_a_missing_package_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith(("vidstega.lab", "memory_profiler"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "memory_profiler", None)
    assert main(["stress", "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "vidstega[notebooks]" in error
    assert "memory_profiler" in error
    assert len(error.strip().splitlines()) == 1


def test_what_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("memory_profiler")
    assert main(["stress", "--config", "nothing", "--out", str(tmp_path)]) == 1
    assert "give one of" in capsys.readouterr().err
    assert main(["stress", "--only", "8k", "--out", str(tmp_path)]) == 2
    assert "selects none" in capsys.readouterr().err


def test_measures_what_is_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("memory_profiler")
    config = tmp_path / "mine.toml"
    config.write_text(
        'resolutions = ["160x120"]\nframes = [6, 12]\npayloads = ["1KB"]\narms = ["splice", "copy"]\n'
        '[centre]\nresolution = "160x120"\nframes = 12\npayload = "1KB"\n'
    )
    assert main(["stress", "--config", str(config), "--only", "6,copy", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# Stress analysis: mine\n")
    assert "not complete" in out.lower() and "1 equal, 0 failed" in out
    assert "![" not in out
    assert out.splitlines()[-1] == f"Report and figures: {tmp_path / 'analysis_report.md'}"
    assert (tmp_path / "analysis_report.md").is_file() and (tmp_path / "details.md").is_file()


def test_a_folder_of_ones_own_videos(
    capsys: pytest.CaptureFixture[str], cover: Path, cover_vp9: Path, tmp_path: Path
) -> None:
    pytest.importorskip("memory_profiler")
    folder, out = tmp_path / "mine", tmp_path / "out"
    folder.mkdir()
    for one in (cover, cover_vp9):
        (folder / one.name).write_bytes(one.read_bytes())
    (folder / "broken.mp4").write_text("no video")
    (folder / "notes.txt").write_text("no video either")
    assert main(["stress", "--cover", str(folder), "--only", "splice", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "broken.mp4 is left out: " in text and "notes" not in text
    report = (out / "analysis_report.md").read_text()
    rows = [line for line in report.splitlines() if "**safe**" in line]
    assert [row.split(" | ")[0] for row in rows] == ["| 120p", "| 240p"]
    assert "users" not in report and "1440p" not in report


def test_a_folder_without_videos_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("memory_profiler")
    assert main(["stress", "--cover", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "holds no video that can be read" in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
