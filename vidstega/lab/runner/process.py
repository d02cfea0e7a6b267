"""Measuring a process from outside: wall and CPU seconds, and the memory of its whole process tree.

The process under test imports what it needs, says so, and waits. Then its memory is the *import baseline*.
It is given one job at a time, and while it works this process samples the tree, so that nothing of the
measuring happens inside what is measured. Memory is the sum of PSS over the tree (proportional set size:
shared pages count once in all), by ``memory_profiler.memory_usage(..., include_children=True)``; where the
system knows no PSS it is USS. Reading PSS walks the page tables of the process and holds its memory map
for that time, so samples are spaced such that reading takes at most a twentieth of the time.

Short peaks fall between samples. Linux knows the high-water mark of a process's resident memory; it is reset
before each job, and how far it rose above where it stood is added to the import baseline. The peak that is
reported is the larger of the two figures, so that a short arm does not look smaller than it is.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from memory_profiler import memory_usage

from vidstega.errors import VidstegaError
from vidstega.lab.schema import Memory

TIMELINE_POINTS = 120
_DUTY = 20
"""A pause between samples is at least so many times what the last sample took."""
_SETTLE_S = 0.05


class ArmError(VidstegaError):
    """An arm failed, was killed or took too long; the message is what it said itself."""


_METRIC = "pss" if sys.platform == "linux" else "uss"


def memory_note(interval_ms: int) -> Memory:
    """How memory is measured here."""
    return Memory(
        metric=_METRIC,
        unit="MiB, sum over the process tree",
        tool=f"memory_profiler {metadata.version('memory-profiler')}, sampled from another process",
        least_interval_ms=interval_ms,
    )


def tree_mib(pid: int) -> float | None:
    """Memory of a process and all its children now, in MiB; None if it is gone."""
    try:
        backend = f"psutil_{_METRIC}"
        (mib,) = memory_usage(pid, interval=0, include_children=True, backend=backend, max_iterations=1)
        return float(mib)
    except (psutil.Error, TypeError):  # TypeError: memory_profiler's answer to a process that is gone
        return None


def tree_cpu_s(pid: int) -> float:
    """CPU seconds so far of a process, its children, and those it has waited for."""
    total = 0.0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])
    return total


class Worker:
    """A fresh Python process that runs `module` and answers jobs: a JSON object a line, in and out.

    A context manager; at its end the process and its children are gone.

    Parameters
    ----------
    module : what to run with ``python -m``
    arguments : of its command line
    interval_s : least time between two samples of memory
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), *, interval_s: float = 0.02) -> None:
        self._interval_s = interval_s
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._out:
            self._lines.put(line)
        self._lines.put(b"")

    def __enter__(self) -> Worker:
        try:
            self._reply(self._lines.get(timeout=120))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and whatever it started."""
        with suppress(psutil.Error):
            root = psutil.Process(self._process.pid)
            for process in (*root.children(recursive=True), root):
                with suppress(psutil.Error):
                    process.kill()
        self._process.wait()
        for pipe in (self._in, self._out, self._stderr):
            with suppress(OSError):
                pipe.close()

    def run(self, job: Mapping[str, Any], *, timeout_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """Do one job and measure it: the reply, and CPU time and memory by their names in a row.

        Raises
        ------
        ArmError
            If it fails, dies or takes longer than `timeout_s`.
        """
        pid = self._process.pid
        time.sleep(_SETTLE_S)
        before, cpu = tree_mib(pid) or 0.0, tree_cpu_s(pid)
        resident = _reset_high_water(pid)
        self._send(job)
        line, times, sizes = self._sample_until_reply(timeout_s)
        cpu, after, highest = tree_cpu_s(pid) - cpu, tree_mib(pid) or 0.0, _status_mib(pid, "VmHWM")
        high_water = None if highest is None or resident is None else before + highest - resident
        sampled = max([before, after, *sizes])
        peak = max(sampled, high_water or 0.0)
        return self._reply(line), {
            "cpu_s": cpu,
            "memory_before_mb": before,
            "memory_after_mb": after,
            "memory_peak_mb": peak,
            "memory_increase_mb": peak - before,
            "memory_sampled_mb": sampled,
            "memory_high_water_mb": high_water,
            "timeline": _thin(times, sizes),
        }

    def _send(self, job: Mapping[str, Any]) -> None:
        try:
            self._in.write(json.dumps(job).encode() + b"\n")
            self._in.flush()
        except OSError:
            raise self._death() from None

    def _sample_until_reply(self, timeout_s: float) -> tuple[bytes, list[float], list[float]]:
        times: list[float] = []
        sizes: list[float] = []
        started, pause = time.perf_counter(), self._interval_s
        while True:
            try:
                return self._lines.get(timeout=pause), times, sizes
            except queue.Empty:
                pass
            began = time.perf_counter()
            if began - started > timeout_s:
                raise ArmError(f"took longer than {timeout_s:.0f} s and was stopped")
            if (mib := tree_mib(self._process.pid)) is not None:
                times.append(began - started)
                sizes.append(mib)
            pause = max(self._interval_s, _DUTY * (time.perf_counter() - began))

    def _reply(self, line: bytes) -> dict[str, Any]:
        if not line:
            raise self._death()
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ArmError(reply["error"])
        return reply

    def _death(self) -> ArmError:
        code = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else "it said nothing"
        if code < 0:
            return ArmError(f"killed by signal {-code}{' (out of memory?)' if code == -9 else ''}: {said}")
        return ArmError(f"ended with status {code}: {said}")


def _reset_high_water(pid: int) -> float | None:
    """Let the high-water mark start from the resident memory of now, which is returned in MiB (Linux)."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return None
    return _status_mib(pid, "VmRSS")


def _status_mib(pid: int, name: str) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)


def _thin(times: Sequence[float], sizes: Sequence[float]) -> dict[str, list[float]]:
    """At most `TIMELINE_POINTS` points; each stands for a stretch and is its highest."""
    step = -(-len(times) // TIMELINE_POINTS) or 1
    stretches = (range(at, min(at + step, len(times))) for at in range(0, len(times), step))
    kept = [max(stretch, key=sizes.__getitem__) for stretch in stretches]
    return {"t_s": [round(times[k], 3) for k in kept], "mib": [round(sizes[k], 1) for k in kept]}
