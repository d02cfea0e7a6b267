"""A process is measured from outside, and what becomes of it is said in one line."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("cv2")
pytest.importorskip("memory_profiler")
from vidstega.lab.runner.process import ArmError, Worker


def test_a_worker_that_dies_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dies.py").write_text("import sys\nprint('{}', flush=True)\ninput()\nsys.exit(3)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker("dies") as worker, pytest.raises(ArmError, match="ended with status 3: it said nothing"):
        worker.run({}, timeout_s=20)


def test_a_worker_that_is_killed_says_so() -> None:
    with Worker("vidstega.lab.arms", ["copy"]) as worker:
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(ArmError, match=r"killed by signal 9 \(out of memory\?\)"):
            worker.run({"do": "read"}, timeout_s=20)


def test_a_worker_that_fails_goes_on() -> None:
    with Worker("vidstega.lab.arms", ["copy"]) as worker:
        for _ in range(2):
            with pytest.raises(ArmError, match=r"^\w+: "):
                worker.run({"do": "hide"}, timeout_s=20)


def test_memory_that_is_held_for_a_moment_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far shorter than the distance of two samples: the high-water mark has it, where there is one."""
    module = tmp_path / "blip.py"
    module.write_text(
        "import json, sys\nprint(json.dumps({'ready': 1}), flush=True)\n"
        "for line in sys.stdin:\n    x = bytearray(b'1') * (100 << 20)\n    del x\n"
        "    print(json.dumps({'ok': 1}), flush=True)\n"
    )
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("no high-water mark here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker("blip", interval_s=5) as worker:
        for _ in range(2):
            _, seen = worker.run({}, timeout_s=20)
            assert 95 < seen["memory_increase_mb"] < 125


def test_a_worker_that_takes_too_long_is_stopped() -> None:
    with Worker("vidstega.lab.arms", ["current"]) as worker:
        with pytest.raises(ArmError, match="took longer than 0 s"):
            worker.run({"do": "codec"}, timeout_s=0.01)
        pid = worker._process.pid
    assert not Path(f"/proc/{pid}").exists()
