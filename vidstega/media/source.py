"""What is known of a video: how its pictures look, where its stream is, and its table of packets.

Frames are counted from 0 in the order they are shown, `stop` is exclusive, and times are integers in the
stream's own time base.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega import h264, hevc

ParameterSets = h264.ParameterSets | hevc.ParameterSets
NO_TIME = -(1 << 63)
KEY, DISCARD, HIDDEN, IDR, SAFE, NONREF = 1, 2, 4, 8, 16, 32
"""Flags of a packet: key, cut away by an edit list, shows nothing, holds an IDR, decoding can start here,
no other picture is predicted from it (H.264: as it says itself; HEVC: none refers to it)."""

PACKET = np.dtype(
    [
        ("pts", "<i8"),
        ("dts", "<i8"),
        ("duration", "<i8"),
        ("pos", "<i8"),
        ("digest", "<u8"),
        ("size", "<i4"),
        ("flags", "u1"),
    ]
)
Packets = NDArray[np.void]
"""One row of 45 bytes a packet, in file (decode) order."""


@dataclass(frozen=True)
class StreamInfo:
    """One stream of a file, as far as a reader of `probe` cares."""

    index: int
    kind: str
    codec: str
    language: str = ""
    carries: bool = False
    cover_art: bool = False

    def __str__(self) -> str:
        notes = [self.language, "carries" if self.carries else "", "cover art" if self.cover_art else ""]
        return f"#{self.index} {self.kind} {self.codec}" + "".join(f", {note}" for note in notes if note)


@dataclass(frozen=True)
class Look:
    """How a video's pictures look, as a decoder finds out from the first.

    Parameters
    ----------
    size : (width, height) in samples of luma
    depth : bits per sample of luma
    colour : range, primaries, transfer and matrix, in the numbers of ISO/IEC 23091-2
    reorder : how many frames the decoder holds back to bring them into order
    has_alpha : whether there is transparency that FFmpeg's decoder drops (VP8, VP9)
    """

    pix_fmt: str
    depth: int
    size: tuple[int, int]
    aspect: Fraction | None
    colour: tuple[int, int, int, int]
    reorder: int
    field_order: int
    has_alpha: bool = False


@dataclass(frozen=True)
class Source:
    """A video stream, as much of it as a task needs to decode some of it and code it again."""

    path: Path
    format: str
    index: int
    codec: str
    time_base: Fraction
    rate: Fraction
    look: Look
    as_decoded: bool = False
    """Whether the packet table was corrected by decoding: packets get its times, and damage is as it is."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in samples of luma."""
        return self.look.size

    @property
    def pix_fmt(self) -> str:
        """FFmpeg's name of the pixel format."""
        return self.look.pix_fmt


@dataclass(frozen=True)
class InBand:
    """Parameter sets of a stream: its extradata, and the distinct ones of it and the packets."""

    extra: ParameterSets | None = field(repr=False, default=None)
    sps: tuple[bytes, ...] = field(repr=False, default=())
    pps: tuple[bytes, ...] = field(repr=False, default=())
    with_packets: bool = False

    @property
    def length_size(self) -> int:
        """Bytes of length in front of a NAL unit, 0 for start codes."""
        return self.extra.length_size if self.extra else 0


@dataclass(frozen=True)
class Scan:
    """What one pass over a file's packets tells.

    Parameters
    ----------
    source : the stream that carries
    packets : its packet table; no other stream's
    streams : all streams of the file
    sets : its parameter sets, if it is H.264 or HEVC
    digests : per other stream one digest of its packets' essence, in order; empty unless asked for
    extents : with digests, of each such stream the times of its first and last packet, in seconds
    joins : what was added to the times from each place on where they went back, in order (see `media.census`)
    notes : what was found out by decoding and is worth telling
    memo : what carriers have read of this very file, for as long as it is asked about
    """

    source: Source
    packets: Packets = field(repr=False)
    streams: tuple[StreamInfo, ...]
    sets: InBand = field(repr=False, default=InBand())
    digests: dict[int, int] = field(repr=False, default_factory=dict)
    extents: dict[int, tuple[Fraction, Fraction]] = field(repr=False, default_factory=dict)
    joins: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    memo: dict[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def index(self) -> int:
        """Number of the stream that carries."""
        return self.source.index

    @property
    def format(self) -> str:
        """FFmpeg's name of the container."""
        return self.source.format

    @property
    def codec(self) -> str:
        """The codec's own name."""
        return self.source.codec

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in samples of luma."""
        return self.source.size

    @property
    def depth(self) -> int:
        """Bits per sample of luma."""
        return self.source.look.depth

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which packets become a frame that is shown."""
        return np.asarray((self.packets["flags"] & (DISCARD | HIDDEN)) == 0)

    @cached_property
    def pts(self) -> NDArray[np.int64]:
        """Times of the shown frames, in the order they are shown."""
        return np.sort(self.packets["pts"][self.shown])

    @property
    def duration_s(self) -> float:
        """Seconds from the first shown frame to the end of the last."""
        shown = self.packets[self.shown]
        if not len(shown):
            return 0.0
        ends = shown["pts"] + np.maximum(shown["duration"], 0)
        return float((int(ends.max()) - int(shown["pts"].min())) * self.source.time_base)

    @cached_property
    def raw_pictures(self) -> NDArray[np.bool_]:
        """Which packets are as large as a raw frame: pictures of I_PCM macroblocks, ours or another's."""
        sps = h264.parse_sps(self.sets.sps[0]) if self.codec == "h264" and self.sets.sps else None
        if sps is None or sps.obstacle():
            return np.zeros(len(self.packets), bool)
        large = self.packets["size"] >= sps.raw_bytes
        return np.asarray(large & (self.packets["flags"] & (KEY | NONREF) != 0))
