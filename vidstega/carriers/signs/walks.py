"""Pictures of a file walked through, in the order of the list, as far as somebody asks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from itertools import groupby

import numpy as np

from vidstega.carriers.signs.codecs import CODECS, codec_of
from vidstega.carriers.signs.tiers import Tiers, tiers_of
from vidstega.errors import UnsupportedError
from vidstega.media.packets import packets_at
from vidstega.media.source import Scan
from vidstega.residual import Signs

MOST_SIGNS = 1 << 21
_COMPILING_S = 1.0
_TRELLIS = "vidstega.coding.viterbi"
KERNELS = (_TRELLIS, *(name for codec in CODECS.values() for name in codec.kernels))
"""Modules that are compiled when they are first imported, for all codecs."""


@dataclass(frozen=True, eq=False)
class Walked:
    """A picture of the list.

    Parameters
    ----------
    ordinal : number of its packet
    packet : its bytes
    places : where in the packet its slices lie, as [start, stop)
    signs : those that may be turned
    obstacle : empty, or why there are none
    """

    ordinal: int
    packet: bytes = field(repr=False)
    places: tuple[tuple[int, int], ...]
    signs: Signs = field(repr=False)
    obstacle: str = ""

    @property
    def units(self) -> list[bytes]:
        """Its slice NAL units."""
        return [self.packet[start:stop] for start, stop in self.places]

    def with_units(self, units: Sequence[bytes]) -> bytes:
        """The packet with other units, each as long as the one before."""
        data = bytearray(self.packet)
        for (start, stop), unit in zip(self.places, units, strict=True):
            data[start:stop] = unit
        return bytes(data)


def obstacle_of(scan: Scan) -> str | None:
    """Why no picture of this video carries, as far as its headers tell."""
    if scan.codec not in CODECS:
        return f"the video is {scan.codec}; signs are read in H.264 and HEVC"
    if (why := codec_of(scan).obstacle(scan)) is not None:
        return why
    if not len(tiers(scan)):
        return "others are predicted from every picture"
    if "mp4" in scan.format.split(",") and not _apart(scan):
        return "an edit list shows pictures twice"
    return None


def _apart(scan: Scan) -> bool:
    at = scan.packets["pos"]
    return len(np.unique(at)) == len(at) and bool((at >= 0).all())


def tiers(scan: Scan) -> Tiers:
    """The list of pictures of a scanned video."""
    if "tiers" not in scan.memo:
        scan.memo["tiers"] = tiers_of(scan.packets, tells_all=codec_of(scan).tells_all)
    found: Tiers = scan.memo["tiers"]
    return found


def pictures(scan: Scan, *, keep: bool = True) -> Iterator[Walked]:
    """The pictures of the list, one after the other, up to where it ends; kept, they are read once."""
    ready(scan.codec)
    kept: dict[int, Walked] = scan.memo.setdefault("walked", {}) if keep else {}
    total = 0
    for run in tiers(scan).runs:
        for ordinal, walked in _through(scan, run.tolist(), kept):
            total += len(walked.signs)
            if total > MOST_SIGNS:
                return
            if keep:
                kept[ordinal] = walked
            yield walked


def _through(scan: Scan, run: list[int], kept: dict[int, Walked]) -> Iterator[tuple[int, Walked]]:
    for known, some in groupby(run, kept.__contains__):
        ordinals = list(some)
        if known:
            yield from ((ordinal, kept[ordinal]) for ordinal in ordinals)
            continue
        for ordinal, packet in packets_at(scan, np.array(ordinals)):
            yield ordinal, _walk(scan, ordinal, packet)


def _walk(scan: Scan, ordinal: int, packet: bytes) -> Walked:
    codec = codec_of(scan)
    found = codec.units(packet, scan.sets.length_size)
    units = [] if found.obstacle else [packet[start:stop] for start, stop in found.slices]
    picture, usable = codec.walk(units, codec.sets(scan))
    return Walked(ordinal, packet, found.slices, picture.signs[usable], found.obstacle or picture.obstacle)


def first_unlisted(scan: Scan) -> bytes:
    """The slices of the first picture that never carries, without zeros that some containers drop."""
    runs = tiers(scan).runs
    rest = np.setdiff1d(np.arange(len(scan.packets)), np.concatenate(runs))
    for _, packet in packets_at(scan, rest[:1]):
        return b"".join(nal.rstrip(b"\0") for nal in slices_of(scan, packet))
    return b""


def slices_of(scan: Scan, packet: bytes) -> list[bytes]:
    """Slice NAL units of a packet."""
    codec = codec_of(scan)
    return [packet[start:stop] for start, stop in codec.units(packet, scan.sets.length_size).slices]


@lru_cache
def ready(codec: str) -> None:
    """Compile what is needed for one codec, or load it: seconds the first time, then a moment.

    Raises
    ------
    UnsupportedError
        If numba cannot be imported here.
    """
    line = threading.Timer(_COMPILING_S, _say)
    line.daemon = True
    line.start()
    try:
        for name in (_TRELLIS, *CODECS[codec].kernels):
            import_module(name)
    except ImportError as error:
        raise UnsupportedError(f"numba cannot be imported, which signs need ({error})") from None
    finally:
        line.cancel()


def _say() -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        print("vidstega: compiling what reads signs, once; this takes some 15 s", file=sys.stderr)
