"""A real server in a process of its own, and watching what it takes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vidstega.lab.runner.process import tree_mib

NO_RATES = ("--rate-embed", "", "--rate-extract", "", "--rate-work", "", "--rate-address", "")


@dataclass(frozen=True)
class Server:
    """A server process that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def serving(data: Path, *options: str, start_s: float = 60) -> Iterator[Server]:
    """Run ``vidstega serve`` at a free port of the loopback; ended, and waited for, on the way out."""
    log = data.parent / f"{data.name}.log"
    command = [sys.executable, "-m", "vidstega", "serve", "--port", "0", "--data", str(data), *options]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    try:
        yield Server(_address(process, log, start_s), process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[bytes], log: Path, seconds: float) -> str:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            for word in line.decode().split():
                if word.startswith("http://"):
                    return word.rstrip("/")
    finally:
        timer.cancel()
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")


class Watch:
    """Asks for a value again and again in a thread, which takes a tenth of its time at most.

    ``seconds`` and ``values`` are what was seen when.
    """

    def __init__(self, get: Callable[[], int], interval_s: float = 0.1) -> None:
        self.seconds: list[float] = []
        self.values: list[int] = []
        self._get, self._interval_s = get, interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set():
            asked = time.monotonic()
            self.values.append(self._get())
            self.seconds.append(time.monotonic() - began)
            self._stop.wait(max(self._interval_s, 9 * (time.monotonic() - asked)))


class PeakMemory(Watch):
    """Samples the memory of a process tree in bytes, the server and its jobs alike."""

    def __init__(self, pid: int) -> None:
        super().__init__(lambda: tree_bytes(pid))

    @property
    def peak_bytes(self) -> int:
        """The largest sample."""
        return max(self.values, default=0)


def tree_bytes(pid: int) -> int:
    """Bytes a process and all below it take now; 0 if it is gone."""
    return int((tree_mib(pid) or 0) * (1 << 20))
