"""Where the time of one piece of work goes."""

from __future__ import annotations

import time


class Clock:
    """Seconds by stage: each `lap` adds what passed since the one before, or since `start`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
