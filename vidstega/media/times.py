"""Times that a container takes: told apart where frames share one, going on where parts were joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from vidstega.media.source import Scan

NEEDS_EACH_ITS_OWN = ("mp4", "mov", "mpegts")
"""Containers that hold no two frames of one time."""
_FINEST = 90_000  # MPEG-TS counts so many ticks a second


def told_apart(times: NDArray[np.int64], time_base: Fraction) -> NDArray[np.int64]:
    """The same times, those that are not after the one before moved to the next tick of any container."""
    step = max(1, -(-1 // (_FINEST * time_base)))
    ramp = np.arange(len(times)) * step
    return np.maximum.accumulate(times - ramp) + ramp


def continued(packets: Iterable[Packet[Any]], scan: Scan) -> Iterator[Packet[Any]]:
    """All packets; what a census added to the times of the carrying stream is added to the others'."""
    tracks: dict[int, _Track] = {}
    for packet in packets:
        if scan.joins and packet.size and packet.stream_index != scan.index:
            track = tracks.setdefault(packet.stream_index, _Track(scan, packet.time_base))
            track.move(packet)
        yield packet


class _Track:
    """One stream beside the carrying one: each time its times go back, a part begins."""

    def __init__(self, scan: Scan, time_base: Any) -> None:
        self._offsets = [0, *(round(join * scan.source.time_base / time_base) for join in scan.joins)]
        self._part, self._lift = 0, 0
        self._read: int | None = None
        self._written: int | None = None

    def move(self, packet: Packet[Any]) -> None:
        read = packet.dts if packet.dts is not None else packet.pts
        if read is None:
            return
        if self._read is not None and self._written is not None and read < self._read:
            self._part = min(self._part + 1, len(self._offsets) - 1)
            self._lift = max(self._offsets[self._part], self._written + 1 - read)
        self._read, self._written = read, read + self._lift
        packet.pts = None if packet.pts is None else packet.pts + self._lift
        packet.dts = None if packet.dts is None else packet.dts + self._lift
