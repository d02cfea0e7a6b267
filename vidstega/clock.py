"""Where the time of one piece of work goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Seconds by stage: each `lap` adds what passed since the one before, or since `start`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        """Begin to count now."""
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """What passed since the last lap belongs to `stage`."""
        now = time.perf_counter()
        self.add({stage: now - self._last})
        self._last = now

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What passes within belongs to `name`, also where it ends in an error."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: time.perf_counter() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Take over what another clock counted."""
        for stage, more in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + more

    def scaled_to(self, wall: float, rest: str) -> dict[str, float]:
        """The stages, shrunk to the `wall` time that passed if they add up to more, and what is left."""
        total = sum(self.seconds.values())
        scale = min(1.0, wall / total) if total else 0.0
        scaled = {stage: scale * seconds for stage, seconds in self.seconds.items()}
        return scaled | {rest: max(0.0, wall - scale * total)}
