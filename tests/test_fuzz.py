"""Mutated video files: a sample of what experiments/fuzz_files.py tries by the ten thousand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CLIPS

SCRIPT = Path(__file__).resolve().parents[1] / "experiments" / "fuzz_files.py"
SMALLEST = 60_000  # bytes of the real clips that a sample can afford


@pytest.mark.skipif(os.name != "posix", reason="memory is limited as POSIX knows it")
@pytest.mark.timeout(900)
def test_mutated_files_do_no_harm(tmp_path: Path) -> None:
    clips = ["--clips", str(CLIPS), "--largest", str(SMALLEST)] if CLIPS.is_dir() else []
    command = [sys.executable, str(SCRIPT), "--cases", "200", "--seed", "2", "--work", str(tmp_path), *clips]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200  cases" in done.stdout
    assert not list(tmp_path.glob("case-*"))
