"""How frames become packets again: a lossless codec, or H.264 pictures of raw samples.

A recipe is a small frozen value that can be sent to a worker; `coder` makes of it what codes one span.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from vidstega import h264
from vidstega.media.decode import planes
from vidstega.media.encode import Encoder, Lossless
from vidstega.media.light import Light
from vidstega.media.segments import Span
from vidstega.media.source import DISCARD, HIDDEN, KEY, Packets, Source

_HEADER_IN_EXTRADATA = {"mp4", "mov", "matroska", "webm", "flv"}

PacketRow = tuple[int, int, int, int, int, int, int]
"""A packet's row of the table, see `media.source.PACKET`."""

Coded = tuple[PacketRow, Any]
"""A packet: its row and its bytes."""


def wants_header(container: str) -> bool:
    """Whether this container keeps a codec's header apart from its packets."""
    return container in _HEADER_IN_EXTRADATA


@dataclass(frozen=True)
class RawPictures:
    """Each frame as one picture of raw samples under the source's own headers.

    Parameters
    ----------
    sps : the source's
    pps_id : id of the parameter set that was added for these pictures
    length_size : bytes of length before a NAL unit, 0 for start codes
    extradata : the source's, with the added set
    in_band : parameter sets that travel with each picture
    """

    container: str
    sps: h264.SPS
    pps_id: int
    length_size: int
    extradata: bytes
    in_band: tuple[bytes, ...] = ()

    def coder(self, source: Source, span: Span, packets: Packets) -> _RawCoder:
        """What codes one span, given the rows of its packets."""
        return _RawCoder(self, span, packets)


@dataclass(frozen=True)
class Encoding:
    """All frames by one lossless encoder."""

    container: str
    lossless: Lossless
    light: Light = field(default_factory=Light)

    def graded(self, light: Light) -> Encoding:
        """The same for pictures that were graded in such light."""
        return replace(self, lossless=self.lossless.graded(light), light=light)

    def coder(self, source: Source, span: Span, packets: Packets) -> _EncodedFrames:
        """What codes one span, given the rows of its packets."""
        return _EncodedFrames(self, source, span, packets)


@dataclass(frozen=True)
class Copied:
    """Packets that are copied, but for some of their bits; nothing is coded."""

    container: str


Recipe = RawPictures | Encoding
"""How all spans of a video are coded."""


class _RawCoder:
    """Writes each frame as one picture of raw samples, with the times of the packets it replaces."""

    def __init__(self, recipe: RawPictures, span: Span, packets: Packets) -> None:
        start, stop = span.replaced
        rows = packets[start - span.first : stop - span.first]
        self._times = iter(zip(np.sort(rows["pts"]).tolist(), np.sort(rows["dts"]).tolist(), strict=True))
        self._durations = dict(zip(rows["pts"].tolist(), rows["duration"].tolist(), strict=True))
        self._writer = h264.PCMWriter(recipe.sps, recipe.pps_id)
        self._recipe, self._ordinal, self._alone = recipe, start, span.alone
        self._replaced: dict[int, tuple[list[bytes], bytes]] = {}
        self.extradata = b""

    def on_packet(self, packet: Packet[Any]) -> None:
        """Keep of a packet what the picture that takes its place needs: its captions and its slice's head."""
        if packet.pts is not None and packet.pts in self._durations:
            head, first = h264.until_picture(bytes(packet), self._recipe.length_size)
            captions = [nal for nal in map(h264.captions_of, head) if nal]
            self._replaced[packet.pts] = captions, first[: h264.SLICE_HEAD]

    def put(self, frame: VideoFrame) -> list[Coded]:
        """Packets that are ready with this frame."""
        pts, dts = next(self._times)
        captions, first = self._replaced.pop(pts)
        if self._alone:
            picture = self._writer.stand_in(planes(frame), h264.moment_of(first, self._recipe.sps))
        else:
            picture = self._writer.idr(planes(frame), self._ordinal)
        data = h264.pack([*self._recipe.in_band, *captions, picture], self._recipe.length_size)
        self._ordinal += 1
        return [((pts, dts, self._durations[pts], -1, 0, len(data), 0 if self._alone else KEY), data)]

    def finish(self) -> list[Coded]:
        """Packets that are left."""
        return []


class _EncodedFrames:
    """Feeds a lossless encoder and gives what comes out of it, in the order it went in."""

    on_packet = None

    def __init__(self, recipe: Encoding, source: Source, span: Span, packets: Packets) -> None:
        header = wants_header(recipe.container)
        self._encoder: Encoder | None = Encoder(source, recipe.lossless, header)
        self._times = iter(span.pts if span.written is None else span.written)
        self._durations = iter(_durations(span, packets))
        self.extradata = self._encoder.extradata

    def put(self, frame: VideoFrame | None) -> list[Coded]:
        """Packets that are ready with this frame; None for the last ones."""
        assert self._encoder is not None
        return [(self._row(packet), packet) for packet in self._encoder.encode(frame)]

    def _row(self, packet: Packet[Any]) -> PacketRow:
        at, duration = int(next(self._times)), int(next(self._durations))
        return at, at, duration, -1, 0, packet.size, KEY if packet.is_keyframe else 0

    def finish(self) -> list[Coded]:
        """Packets that are left."""
        packets = self.put(None)
        self._encoder = None  # its frames are let go before the next span makes its own
        return packets


def _durations(span: Span, packets: Packets) -> list[int]:
    """How long each of the span's frames is shown, by its packet."""
    first, last = span.pts[[0, -1]]
    rows = packets[(packets["flags"] & (DISCARD | HIDDEN) == 0)]
    rows = rows[(rows["pts"] >= first) & (rows["pts"] <= last)]
    durations: list[int] = rows["duration"][np.argsort(rows["pts"], kind="stable")].tolist()
    return durations
