"""`vidstega stress` as a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vidstega.cli import main


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys, vidstega.lab.cli; "
        "print(*sorted({'cv2', 'pandas', 'matplotlib', 'memory_profiler'} & set(sys.modules)))"
    )
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
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("160x120/6/1KB  copy")
    assert "Resolution support matrix" in lines
    assert lines[-1] == f"Report and figures: {tmp_path / 'analysis_report.md'}"
    assert (tmp_path / "analysis_report.md").is_file()
