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
from vidstega.media.coded import (
    ESSENTIAL,
    HEVCPictures,
    essence,
    essence_digest,
    length_size_of,
    short_digest,
)
from vidstega.media.fields import Pairs, h264_fields, mpeg2_fields
from vidstega.media.open import Heard, best_video, codec_name, is_cover_art, packets_of, reading, solid
from vidstega.media.source import (
    DISCARD,
    HIDDEN,
    IDR,
    KEY,
    NO_TIME,
    NONREF,
    PACKET,
    SAFE,
    InBand,
    Look,
    Packets,
    Scan,
    Source,
    StreamInfo,
)
from vidstega.media.starts import Starts
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
        codec, extradata = codec_name(stream), stream.codec_context.extradata
        sets = h264.ParameterSets.parse(extradata) if codec == "h264" and extradata else None
        collector = _Collector(codec, stream.codec_context, sets, digest and copied)
        pictures = collector.pictures
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
        return Scan(
            source,
            packets,
            streams,
            collector.sets(),
            digests,
            extents,
            hevc=pictures.sets() if pictures else InBand(),
        )


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
    codec = codec_name(stream) if stream.codec_context is not None else getattr(stream, "name", None)
    language = stream.metadata.get("language", "")
    language = "" if language == "und" else language
    codec = codec or tags.get(stream.index, "unknown")
    return StreamInfo(stream.index, stream.type, codec, language, carries, is_cover_art(stream))


class _Collector:
    """Builds the packet table, and for H.264 the parameter sets seen in band."""

    def __init__(self, codec: str, context: Any, sets: h264.ParameterSets | None, digest: bool) -> None:
        self._codec, self._digest, self._extra = codec, digest, sets
        self._starts, self._pairs = Starts(codec, context), Pairs()
        self._length_size = sets.length_size if sets else 0
        self._sps: dict[bytes, None] = dict.fromkeys(sets.sps if sets else ())
        self._pps: dict[bytes, None] = dict.fromkeys(sets.pps if sets else ())
        self._in_band = False
        self.pictures = HEVCPictures(context.extradata or b"") if codec == "hevc" else None
        self._rows: list[tuple[int, ...]] = []
        self._chunks: list[Packets] = []

    def add(self, packet: Packet[Any]) -> None:
        flags = (KEY if packet.is_keyframe else 0) | (DISCARD if packet.is_discard else 0)
        digest = 0
        if self._codec == "h264":
            data = bytes(packet)
            flags |= self._h264_flags(data, flags)
            if self._digest:
                digest = essence_digest(data, self._codec, self._length_size)
        elif self.pictures is not None:
            data = bytes(packet)
            flags |= self.pictures.add(packet, data) | (
                SAFE if flags & KEY and self._starts.at(packet) else 0
            )
            if self._digest:
                digest = essence_digest(data, self._codec, self.pictures.length_size)
        else:
            flags |= self._hidden(packet) | (SAFE if flags & KEY and self._starts.at(packet) else 0)
            if self._digest:
                digest = short_digest(packet)
        times = (NO_TIME if t is None else t for t in (packet.pts, packet.dts))
        pos = -1 if packet.pos is None else packet.pos
        self._rows.append((*times, packet.duration or 0, pos, digest, packet.size, flags))
        if len(self._rows) == _CHUNK:
            self._flush()

    def _hidden(self, packet: Packet[Any]) -> int:
        if self._codec == "mpeg2video":
            return HIDDEN if self._pairs.completed_by(mpeg2_fields(bytes(packet))) else 0
        return _hidden(self._codec, packet)

    def _flush(self) -> None:
        self._chunks.append(np.array(self._rows, PACKET))
        self._rows = []

    def table(self) -> Packets:
        self._flush()
        packets = np.concatenate(self._chunks)
        if self.pictures is not None:
            packets["flags"][self.pictures.alone] |= NONREF
        return packets

    def sets(self) -> InBand[h264.ParameterSets]:
        return InBand(self._extra, tuple(self._sps), tuple(self._pps), self._in_band)

    def _h264_flags(self, data: bytes, flags: int) -> int:
        head, first = h264.until_picture(data, self._length_size)
        idr = safe = bool(first) and first[0] & 31 == h264.NAL_IDR
        for nal in head:
            nal_type = nal[0] & 31 if nal else 0
            if nal_type in (h264.NAL_SPS, h264.NAL_PPS):
                (self._sps if nal_type == h264.NAL_SPS else self._pps).setdefault(nal)
                self._in_band = True
            elif nal_type == h264.NAL_SEI and flags & KEY:
                safe = safe or h264.recovers_at_once(nal)
        alone = bool(first) and not h264.is_reference(first)
        if first and self._completes(data):
            return HIDDEN
        return (IDR if idr else 0) | (SAFE if safe and flags & KEY else 0) | (NONREF if alone else 0)

    def _completes(self, data: bytes) -> bool:
        """Whether a packet is but the second field of a picture, and so shows nothing of its own."""
        with suppress(InputError):  # a damaged header pairs nothing
            sps = h264.parse_sps(next(reversed(self._sps))) if self._sps else None
            if sps is None or sps.frame_mbs_only:
                return False
            return self._pairs.completed_by(h264_fields(data, self._length_size, sps))
        return False


class _Running:
    """A running digest of another stream's essence."""

    def __init__(self, stream: Any) -> None:
        self._codec = codec_name(stream) if stream.codec_context is not None else ""
        context = stream.codec_context
        extradata = context.extradata if context is not None else None
        self._length_size = length_size_of(self._codec, extradata or b"")
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
        if self._codec in ESSENTIAL:
            for part in essence(bytes(packet), self._codec, self._length_size):
                self._hash.update(part)
        elif self._codec == "aac":
            self._hash.update(_without_adts(bytes(packet)))
        else:
            self._hash.update(packet)

    def result(self) -> int:
        return self._hash.intdigest()


def _without_adts(data: bytes) -> bytes:
    if len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return data[7 if data[1] & 1 else 9 :]
    return data


def _hidden(codec: str, packet: Packet[Any]) -> int:
    """VP8 and VP9 store frames that are never shown as packets of their own (RFC 6386 9.1; VP9 6.2)."""
    if codec == "vp8":
        return 0 if memoryview(packet)[0] & 0x10 else HIDDEN
    if codec != "vp9":
        return 0
    view = memoryview(packet)
    first, last = view[0], view[-1]
    if last & 0xE0 == 0xC0:  # a superframe ends in an index and shows its last frame
        return 0
    shift = 1 if (first >> 4) & 3 == 3 else 0
    if (first >> (3 - shift)) & 1:  # show_existing_frame
        return 0
    return 0 if (first >> (1 - shift)) & 1 else HIDDEN
