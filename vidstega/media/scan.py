"""One pass over the packets of a file, decoding nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import xxhash
from av.container import InputContainer
from av.packet import Packet

from vidstega import h264
from vidstega.errors import InputError
from vidstega.media.coded import ESSENTIAL, essence, essence_digest, pictures_of
from vidstega.media.open import Heard, best_video, codec_name, is_cover_art, packets_of, reading, solid
from vidstega.media.source import (
    DISCARD,
    HIDDEN,
    KEY,
    NO_TIME,
    NONREF,
    PACKET,
    Look,
    Packets,
    Scan,
    Source,
    StreamInfo,
)
from vidstega.media.tags import check_not_encrypted, tags_of

MAX_PIXELS = 1 << 26  # 8192 x 8192; a file that claims more is taken for hostile
_CHUNK = 4096
_MOST_LOST_S = 1.0
"""A recording that was cut off may end a little sooner in one stream than in another."""


def scan(path: str | os.PathLike[str], *, digest: bool = False, copied: bool = True) -> Scan:
    """Read every packet once and decode nothing.

    With `digest`, each packet of the carrying stream gets a digest of its essence and every other stream
    one in all, so that two files can be compared without holding either. Digests are 64-bit XXH3: they
    tell damage, not forgery, which is the seal's business. Where nothing of the carrying stream was
    `copied`, its packets need none.
    """
    head = _look_at_head(path)
    with reading(path, skip_frame="default" if head is None else "all") as container:
        stream = best_video(container)
        look = head or _look_of(stream.codec_context)
        _check_look(look, Path(path), stream.codec_context.name)
        codec = codec_name(stream)
        collector = _Collector(codec, stream.codec_context, digest and copied)
        others = _collect(container, stream, collector, digest)
        packets = collector.table()
        if not len(packets):
            raise InputError(f"{path} has a video stream without any frame")
        if digest and stream.frames > len(packets):
            _check_ends(path, packets, float(1 / (stream.average_rate or 25)))
        if head:
            look = replace(look, reorder=max(look.reorder, _reorder(packets)))
        alpha = stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1"
        source = Source(
            Path(path),
            container.format.name,
            stream.index,
            codec,
            stream.time_base or Fraction(1, 1000),
            stream.average_rate or Fraction(25),
            replace(look, has_alpha=alpha, aspect=stream.sample_aspect_ratio or look.aspect),
        )
        tags = tags_of(container)
        streams = tuple(_describe(s, stream.index, tags) for s in container.streams)
        digests = {index: running.result() for index, running in others.items()}
        extents = {index: running.extent for index, running in others.items() if running.extent}
        return Scan(source, packets, streams, collector.pictures.sets, digests, extents)


def _check_ends(path: str | os.PathLike[str], packets: Packets, frame_s: float) -> None:
    """Refuse a file of which less can be read with all its streams than of its video alone."""
    alone = len(scan(path).packets)
    if (alone - len(packets)) * frame_s > _MOST_LOST_S:
        raise InputError(
            f"{path}: a stream beside the video is damaged, only {len(packets):,} of {alone:,} frames "
            "can be read together with it; leave that stream out first (ffmpeg -i IN -map 0:v -c copy OUT)"
        )


def _collect(
    container: InputContainer, stream: Any, collector: _Collector, digest: bool
) -> dict[int, _Running]:
    """Read all packets; those of the streams beside the one that carries in short, if that is wanted."""
    others = [s for s in container.streams if s.index != stream.index]
    if not digest:
        for other in others:
            other.discard = av.stream.Discard.all
    essence = {s.index: _Running(s) for s in others} if digest else {}
    heard = Heard()
    for packet in packets_of(container, None if digest else stream):
        if not packet.size:
            continue
        if packet.stream_index == stream.index:
            collector.add(packet)
        elif heard.is_played(packet):
            essence[packet.stream_index].add(packet)
    return essence


def _look_of(context: Any) -> Look:
    """How the pictures of a codec context look."""
    pixels = context.format
    return Look(
        pixels.name if pixels else "",
        pixels.components[0].bits if pixels else 0,
        (context.width, context.height),
        context.sample_aspect_ratio,
        (context.color_range, context.color_primaries, context.color_trc, context.colorspace),
        context.reorder_depth,
        context.field_order,
    )


def _check_look(look: Look, path: Path, codec: str) -> None:
    width, height = look.size
    if width * height > MAX_PIXELS:
        raise InputError(f"{path} claims {width}x{height}; at most {MAX_PIXELS:,} pixels are taken")
    if not width or not look.pix_fmt:
        raise InputError(f"{path}: no frame of its {codec} video can be decoded")


def _look_at_head(path: str | os.PathLike[str]) -> Look | None:
    """The look of an MP4's H.264 by the first bytes of its first picture; None where those do not tell.

    It is what FFmpeg finds out when it opens a file, at a tenth of the time: there it decodes the picture.
    """
    with reading(path, skip_frame="all") as container:
        check_not_encrypted(Path(path), container)
        stream = best_video(container)
        context: Any = stream.codec_context
        if not headers_tell(container.format.name, codec_name(stream), context.extradata):
            return None
        length_size = h264.ParameterSets.parse(context.extradata).length_size
        packet = next(solid(container, stream), None)
        head, first = h264.until_picture(b"" if packet is None else bytes(packet), length_size)
        if not first or first[0] & 31 != h264.NAL_IDR:
            return None
        context.thread_type, context.skip_frame, context.options = "NONE", "DEFAULT", {"ec": "0"}
        with suppress(av.error.FFmpegError):  # as the rest of it is cut away
            context.decode(Packet(h264.pack([*head, first[: h264.SLICE_HEAD]], length_size)))
        look = _look_of(context)
        context.flush_buffers()
    return look if look.pix_fmt else None


def headers_tell(container: str, codec: str, extradata: bytes | None) -> bool:
    """Whether all about a video but its look is in the file's headers: MP4 has times and parameter sets.

    Such a file need not be decoded to be opened.
    """
    return "mp4" in container.split(",") and codec == "h264" and (extradata or b"")[:1] == b"\1"


def _reorder(packets: Packets) -> int:
    """How many frames at the most are decoded before one that is shown before them."""
    times = packets["pts"][packets["flags"] & (DISCARD | HIDDEN) == 0]
    rank = np.argsort(np.argsort(times, kind="stable"), kind="stable")
    return min(16, int((np.arange(len(times)) - rank).max(initial=0)))


def _describe(stream: Any, carrying: int, tags: dict[int, str]) -> StreamInfo:
    carries = stream.index == carrying
    language = stream.metadata.get("language", "")
    language = "" if language == "und" else language
    codec = codec_name(stream) or tags.get(stream.index, "unknown")
    return StreamInfo(stream.index, stream.type, codec, language, carries, is_cover_art(stream))


class _Collector:
    """Builds the packet table of the carrying stream."""

    def __init__(self, codec: str, context: Any, digest: bool) -> None:
        self._codec, self._digest, self._units = codec, digest, codec in ESSENTIAL
        self.pictures = pictures_of(codec, context)
        self._rows: list[tuple[int, ...]] = []
        self._chunks: list[Packets] = []

    def add(self, packet: Packet[Any]) -> None:
        data: Any = bytes(packet) if self._units else packet
        flags = (KEY if packet.is_keyframe else 0) | (DISCARD if packet.is_discard else 0)
        flags |= self.pictures.add(packet, data, packet.is_keyframe)
        digest = 0
        if self._digest:
            digest = essence_digest(data, self._codec, self.pictures.length_size)
        times = (NO_TIME if t is None else t for t in (packet.pts, packet.dts))
        pos = -1 if packet.pos is None else packet.pos
        self._rows.append((*times, packet.duration or 0, pos, digest, packet.size, flags))
        if len(self._rows) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._chunks.append(np.array(self._rows, PACKET))
        self._rows = []

    def table(self) -> Packets:
        self._flush()
        packets = np.concatenate(self._chunks)
        packets["flags"][self.pictures.alone] |= NONREF
        return packets


class _Running:
    """A running digest of another stream's essence."""

    def __init__(self, stream: Any) -> None:
        self._codec = codec_name(stream)
        nal_units = self._codec in ESSENTIAL
        self._length_size = pictures_of(self._codec, stream.codec_context).length_size if nal_units else 0
        self._hash = xxhash.xxh3_64()
        self._tick, self._times = stream.time_base, (1, 0)

    @property
    def extent(self) -> tuple[Fraction, Fraction] | None:
        """Times of the first and the last packet, in seconds."""
        first, last = self._times
        return None if last < first or not self._tick else (first * self._tick, last * self._tick)

    def add(self, packet: Packet[Any]) -> None:
        if packet.pts is not None:
            first, last = self._times
            self._times = (
                (packet.pts, packet.pts) if last < first else (min(first, packet.pts), max(last, packet.pts))
            )
        for part in essence(packet, self._codec, self._length_size):
            self._hash.update(part)

    def result(self) -> int:
        return self._hash.intdigest()
