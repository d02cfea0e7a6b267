"""Everything that touches PyAV for reading and coding: open, scan, decode a span, code without loss.

Frames are counted from 0 in the order they are shown, `stop` is exclusive, and times are integers in the
stream's own time base. FFmpeg's planes are seen as NumPy views, never through RGB.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import av.codec.context
import av.error
import av.logging
import numpy as np
import xxhash
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidstega import h264
from vidstega.errors import InputError, UnsupportedError

NO_TIME = -(1 << 63)
KEY, DISCARD, HIDDEN, IDR, SAFE, NONREF = 1, 2, 4, 8, 16, 32
"""Flags of a packet: key, cut away by an edit list, shows nothing, holds an IDR, decoding can start here,
no other picture is predicted from it (H.264 only)."""

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

MAX_PIXELS = 1 << 26  # 8192 x 8192; a file that claims more is taken for hostile
_READS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "mpegts",
    "flv",
    "avi",
    "mpeg",
    "ogg",
    "asf",
    "mxf",
    "nut",
    "ivf",
    "yuv4mpegpipe",
    "gif",
    *("h264", "hevc", "mpegvideo", "wav", "mp3", "aac", "flac"),  # to be refused by what they lack
)
_CHUNK = 4096
_TS_RUN_UP = 188 * 64


class DecodeError(InputError):
    """Frames of a span that starts at packet `first` could not be decoded."""

    def __init__(self, text: str, first: int) -> None:
        super().__init__(text, first)  # both, so that it survives pickling
        self.first = first

    def __str__(self) -> str:
        return str(self.args[0])


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
class Source:
    """A video stream, as much of it as a task needs to decode some of it and code it again."""

    path: Path
    format: str
    index: int
    codec: str
    pix_fmt: str
    size: tuple[int, int]
    depth: int
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None
    colour: tuple[int, int, int, int]
    """Range, primaries, transfer and matrix, in the numbers of ISO/IEC 23091-2."""
    reorder: int
    """How many frames the decoder holds back to bring them into order."""


@dataclass(frozen=True)
class Scan(Source):
    """What one pass over a file's packets tells. `packets` holds the carrying video stream alone."""

    packets: Packets
    streams: tuple[StreamInfo, ...]
    digests: dict[int, int] = field(repr=False)
    """Per other stream one digest of its packets' essence, in order. Empty unless asked for."""
    sets: h264.ParameterSets | None = field(repr=False, default=None)
    sps: tuple[bytes, ...] = field(repr=False, default=())
    pps: tuple[bytes, ...] = field(repr=False, default=())
    """Distinct H.264 parameter sets, of the extradata and of the packets."""
    sets_in_band: bool = False
    has_alpha: bool = False
    """Whether the stream has transparency that FFmpeg's decoder drops (VP8, VP9)."""
    field_order: int = 0

    @property
    def source(self) -> Source:
        """The stream without its packet table."""
        return Source(**{f.name: getattr(self, f.name) for f in fields(Source)})

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which packets become a frame that is shown."""
        return np.asarray((self.packets["flags"] & (DISCARD | HIDDEN)) == 0)

    @property
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
        return float((int(ends.max()) - int(shown["pts"].min())) * self.time_base)

    @property
    def headers_tell(self) -> bool:
        """Whether this file need not be decoded to be opened, see `_headers_tell`."""
        return _headers_tell(self.format, self.codec, self.sets.extradata if self.sets else None)

    @cached_property
    def raw_pictures(self) -> NDArray[np.bool_]:
        """Which packets are as large as a raw frame: pictures of I_PCM macroblocks, ours or another's."""
        sps = h264.parse_sps(self.sps[0]) if self.sps else None
        if sps is None or sps.obstacle():
            return np.zeros(len(self.packets), bool)
        large = self.packets["size"] >= sps.raw_bytes
        return np.asarray(large & (self.packets["flags"] & (KEY | NONREF) != 0))


def open_input(
    path: str | os.PathLike[str], *, known: bool = False, known_stream: int | None = None
) -> InputContainer:
    """Open a video file for reading; InputError in one line if that cannot be.

    FFmpeg decodes a frame or more to learn what the headers do not say. Where that is `known` from a scan,
    of all streams or of one, it need not, and opening a large video takes a few milliseconds.
    """
    av.logging.set_level(None)  # PyAV's own callback takes the GIL in decoder threads, which deadlocks
    where = Path(path)
    _check_file(where)
    options: list[Any] = [] if known_stream is None else [{}] * known_stream + [{"skip_frame": "all"}]
    try:
        return av.open(
            str(where.absolute()),
            metadata_errors="ignore",
            options={
                "protocol_whitelist": "file",
                "format_whitelist": ",".join(_READS),
                **({"skip_frame": "all"} if known else {}),
            },
            stream_options=options,
        )
    except PermissionError:
        raise InputError(f"{where} may not be read: permission denied") from None
    except (av.error.FFmpegError, ValueError, OSError):
        raise InputError(f"{where} cannot be read as a video; it is damaged or of another kind") from None


def _check_file(path: Path) -> None:
    try:
        if path.is_file():
            return
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be a file: {error}") from None
    if path.is_dir():
        raise InputError(f"{path} is a directory; give a video file")
    raise InputError(f"{path} is no regular file" if exists else f"{path} does not exist")


@contextmanager
def reading(
    path: str | os.PathLike[str], *, known: bool = False, known_stream: int | None = None
) -> Iterator[InputContainer]:
    """`open_input`, closed at the end."""
    container = open_input(path, known=known, known_stream=known_stream)
    try:
        yield container
    finally:
        container.close()


def best_video(container: InputContainer) -> VideoStream:
    """The stream that carries: the largest video that is not cover art."""
    videos = [s for s in container.streams.video if not is_cover_art(s) and s.codec_context is not None]
    if not videos:
        raise InputError(f"{Path(container.name)} has no video stream that can be decoded")
    return max(videos, key=lambda s: s.codec_context.width * s.codec_context.height)


def is_cover_art(stream: Any) -> bool:
    """Whether a stream is an attached picture."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def scan(path: str | os.PathLike[str], *, digest: bool = False, copied: bool = True) -> Scan:
    """Read every packet once and decode nothing.

    With `digest`, each packet of the carrying stream gets a digest of its essence and every other stream
    one in all, so that two files can be compared without holding either. Digests are 64-bit XXH3: they
    tell damage, not forgery, which is the seal's business. Where nothing of the carrying stream was
    `copied`, its packets need none.
    """
    head = _look_at_head(path)
    with reading(path, known=head is not None) as container:
        stream = best_video(container)
        look = head or _Look.at(stream.codec_context)
        look.check(Path(path), stream.codec_context.name)
        codec, extradata = codec_name(stream), stream.codec_context.extradata
        sets = h264.ParameterSets.parse(extradata) if codec == "h264" and extradata else None
        collector = _Collector(codec, sets, digest and copied)
        others = [s for s in container.streams if s.index != stream.index]
        if not digest:
            for other in others:
                other.discard = av.stream.Discard.all
        essence = {s.index: _Running(s) for s in others} if digest else {}
        for packet in packets_of(container, None if digest else stream):
            if not packet.size:
                continue
            if packet.stream_index == stream.index:
                collector.add(packet)
            else:
                essence[packet.stream_index].add(packet)
        packets = collector.table()
        if not len(packets):
            raise InputError(f"{path} has a video stream without any frame")
        reorder = max(look.reorder, _reorder(packets)) if head else look.reorder
        return Scan(
            Path(path), container.format.name, stream.index, codec, look.pix_fmt, look.size, look.depth,
            stream.time_base or Fraction(1, 1000), stream.average_rate or Fraction(25),
            look.aspect, look.colour, reorder, packets,
            tuple(_describe(s, stream.index) for s in container.streams),
            {index: running.result() for index, running in essence.items()}, sets,
            tuple(collector.sps), tuple(collector.pps), collector.in_band,
            stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1", look.field_order,
        )  # fmt: skip


@dataclass(frozen=True)
class _Look:
    """What a decoder finds out about a video from its first picture."""

    pix_fmt: str
    depth: int
    size: tuple[int, int]
    aspect: Fraction | None
    colour: tuple[int, int, int, int]
    reorder: int
    field_order: int

    @classmethod
    def at(cls, context: Any) -> _Look:
        pixels = context.format
        return cls(
            pixels.name if pixels else "", pixels.components[0].bits if pixels else 0,
            (context.width, context.height), context.sample_aspect_ratio,
            (context.color_range, context.color_primaries, context.color_trc, context.colorspace),
            context.reorder_depth, context.field_order,
        )  # fmt: skip

    def check(self, path: Path, codec: str) -> None:
        width, height = self.size
        if width * height > MAX_PIXELS:
            raise InputError(f"{path} claims {width}x{height}; at most {MAX_PIXELS:,} pixels are taken")
        if not width or not self.pix_fmt:
            raise InputError(f"{path}: no frame of its {codec} video can be decoded")


def _look_at_head(path: str | os.PathLike[str]) -> _Look | None:
    """The look of an MP4's H.264 by the first bytes of its first picture; None where those do not tell.

    It is what FFmpeg finds out when it opens a file, at a tenth of the time: there it decodes the picture.
    """
    with reading(path, known=True) as container:
        stream = best_video(container)
        context: Any = stream.codec_context
        if not _headers_tell(container.format.name, codec_name(stream), context.extradata):
            return None
        length_size = h264.ParameterSets.parse(context.extradata).length_size
        packet = next(_solid(container, stream), None)
        head, first = h264.until_picture(b"" if packet is None else bytes(packet), length_size)
        if not first or first[0] & 31 != h264.NAL_IDR:
            return None
        context.thread_type, context.skip_frame, context.options = "NONE", "DEFAULT", {"ec": "0"}
        with suppress(av.error.FFmpegError):  # as the rest of it is cut away
            context.decode(Packet(h264.pack([*head, first[: h264.SLICE_HEAD]], length_size)))
        look = _Look.at(context)
        context.flush_buffers()
    return look if look.pix_fmt else None


def _headers_tell(container: str, codec: str, extradata: bytes | None) -> bool:
    """Whether all about a video but its look is in the file's headers: MP4 has times and parameter sets."""
    return "mp4" in container.split(",") and codec == "h264" and (extradata or b"")[:1] == b"\1"


def _reorder(packets: Packets) -> int:
    """How many frames at the most are decoded before one that is shown before them."""
    times = packets["pts"][packets["flags"] & (DISCARD | HIDDEN) == 0]
    rank = np.argsort(np.argsort(times, kind="stable"), kind="stable")
    return min(16, int((np.arange(len(times)) - rank).max(initial=0)))


def packets_of(container: InputContainer, stream: Any = None) -> Iterator[Packet[Any]]:
    """Packets of one stream or all; InputError if the file ends in damage."""
    try:
        yield from container.demux(stream) if stream is not None else container.demux()
    except av.error.FFmpegError as error:
        raise InputError(
            f"{container.name} is damaged and cannot be read to its end ({error.strerror})"
        ) from None


def codec_name(stream: Any) -> str:
    """The codec's own name, whatever decoder reads it ("av1", not "libdav1d")."""
    context = stream.codec_context
    return str(context.codec.canonical_name if context is not None else "unknown")


def _describe(stream: Any, carrying: int) -> StreamInfo:
    codec = codec_name(stream) if stream.codec_context is not None else getattr(stream, "name", None)
    language = stream.metadata.get("language", "")
    return StreamInfo(
        stream.index, stream.type, codec or "unknown", "" if language == "und" else language,
        stream.index == carrying, is_cover_art(stream),
    )  # fmt: skip


class _Collector:
    """Builds the packet table, and for H.264 the parameter sets seen in band."""

    def __init__(self, codec: str, sets: h264.ParameterSets | None, digest: bool) -> None:
        self._codec, self._digest = codec, digest
        self._length_size = sets.length_size if sets else 0
        self.sps: dict[bytes, None] = dict.fromkeys(sets.sps if sets else ())
        self.pps: dict[bytes, None] = dict.fromkeys(sets.pps if sets else ())
        self.in_band = False
        self._rows: list[tuple[int, ...]] = []
        self._chunks: list[Packets] = []
        self.count = 0

    def add(self, packet: Packet[Any]) -> None:
        pts, dts = packet.pts, packet.dts
        flags = (KEY if packet.is_keyframe else 0) | (DISCARD if packet.is_discard else 0)
        digest = 0
        if self._codec == "h264":
            data = bytes(packet)
            flags |= self._h264_flags(data, flags)
            if self._digest:
                digest = _short_digest(h264_essence(data, self._length_size))
        else:
            flags |= _hidden(self._codec, packet) | (SAFE if flags & KEY else 0)
            if self._digest:
                digest = _short_digest(packet)
        self._rows.append(
            (
                NO_TIME if pts is None else pts,
                NO_TIME if dts is None else dts,
                packet.duration or 0,
                -1 if packet.pos is None else packet.pos,
                digest,
                packet.size,
                flags,
            )
        )
        self.count += 1
        if len(self._rows) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._chunks.append(np.array(self._rows, PACKET))
        self._rows = []

    def table(self) -> Packets:
        self._flush()
        return np.concatenate(self._chunks)

    def _h264_flags(self, data: bytes, flags: int) -> int:
        head, first = h264.until_picture(data, self._length_size)
        idr = safe = bool(first) and first[0] & 31 == h264.NAL_IDR
        for nal in head:
            nal_type = nal[0] & 31 if nal else 0
            if nal_type in (h264.NAL_SPS, h264.NAL_PPS):
                (self.sps if nal_type == h264.NAL_SPS else self.pps).setdefault(nal)
                self.in_band = True
            elif nal_type == h264.NAL_SEI and flags & KEY:
                safe = safe or h264.recovers_at_once(nal)
        alone = bool(first) and not h264.is_reference(first)
        return (IDR if idr else 0) | (SAFE if safe and flags & KEY else 0) | (NONREF if alone else 0)


class _Running:
    """A running digest of another stream's essence."""

    def __init__(self, stream: Any) -> None:
        self._codec = codec_name(stream) if stream.codec_context is not None else ""
        context = stream.codec_context
        extradata = context.extradata if context is not None and self._codec == "h264" else None
        self._length_size = h264.ParameterSets.parse(extradata).length_size if extradata else 0
        self._hash = xxhash.xxh3_64()

    def add(self, packet: Packet[Any]) -> None:
        if self._codec == "h264":
            for part in h264_essence(bytes(packet), self._length_size):
                self._hash.update(part)
        elif self._codec == "aac":
            self._hash.update(_without_adts(bytes(packet)))
        else:
            self._hash.update(packet)

    def result(self) -> int:
        return self._hash.intdigest()


def h264_essence(data: bytes, length_size: int) -> list[bytes]:
    """The NAL units of a packet without what containers add, take away or repack."""
    return [nal for nal in h264.nals(data, length_size) if nal and nal[0] & 31 not in (7, 8, 9, 12)]


def _without_adts(data: bytes) -> bytes:
    if len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return data[7 if data[1] & 1 else 9 :]
    return data


def _short_digest(parts: Any) -> int:
    digest = xxhash.xxh3_64()
    for part in parts if isinstance(parts, list) else (parts,):
        digest.update(part)
    return digest.intdigest()


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


def planes(frame: VideoFrame) -> list[NDArray[Any]]:
    """Zero-copy views of a frame's planes, (height, width) of uint8 or uint16; writing writes the frame.

    The frame must be writable (`frame.make_writable()`) before anything is written through a view.
    """
    views = []
    for plane in frame.planes:
        itemsize = 1 if frame.format.components[0].bits <= 8 else 2
        width = plane.width * _samples_per_pixel(frame, plane)
        views.append(
            np.ndarray(
                (plane.height, width),
                np.uint8 if itemsize == 1 else np.dtype("<u2"),
                buffer=plane,  # type: ignore[arg-type]
                strides=(plane.line_size, itemsize),
            )
        )
    return views


def _samples_per_pixel(frame: VideoFrame, plane: Any) -> int:
    """2 for the interleaved chroma of NV12 and its kin, else 1."""
    return 2 if frame.format.name.startswith("nv") and plane.index == 1 else 1


def check_format(frame: VideoFrame) -> None:
    """UnsupportedError for pixel formats without a luma plane of whole samples."""
    pixels = frame.format
    depths = {component.bits for component in pixels.components}
    luma_first = not pixels.is_rgb and not pixels.has_palette and not pixels.is_bit_stream
    if not luma_first or len(depths) != 1 or max(depths) > 16 or (max(depths) > 8 and pixels.is_big_endian):
        raise UnsupportedError(f"pixel format {pixels.name} has no separate luma plane of 8 to 16 bits")
    if len(frame.planes) == 1 and len(pixels.components) > 1:
        raise UnsupportedError(f"pixel format {pixels.name} interleaves luma and chroma")


def frame_digest(frame: VideoFrame) -> int:
    """64 bits over the samples of all planes, row padding left out."""
    digest = xxhash.xxh3_64()
    for view in planes(frame):
        digest.update(np.ascontiguousarray(view).data)
    return digest.intdigest()


def decode_span(
    source: Source,
    first: int,
    packets: Packets,
    pts: NDArray[np.int64],
    threads: int = 1,
    on_packet: Callable[[Packet[Any]], None] | None = None,
    *,
    alone: bool = False,
) -> Iterator[VideoFrame]:
    """Decode `packets`, which start at ordinal `first`, and give the frames shown at `pts`.

    Parameters
    ----------
    packets : rows of the packet table; decoding can start at the first of them
    pts : sorted times of the frames wanted
    on_packet : called with each packet that is not shown before the first wanted one
    alone : whether the last packet's picture needs no other: of those before it parameter sets count alone

    Raises
    ------
    DecodeError
        If not all of them decode; never fewer frames in silence.
    UnsupportedError
        If size or pixel format change in mid-stream.
    """
    wanted, got = pts.tolist(), 0
    with reading(source.path, known=True) as container:
        for frame in _decode(container, source, first, packets, wanted[0], threads, on_packet, alone):
            if frame.pts is None or frame.pts < wanted[0]:
                continue
            if got == len(wanted) or frame.pts != wanted[got] or frame.is_corrupt:
                break
            if (frame.width, frame.height) != source.size or frame.format.name != source.pix_fmt:
                raise UnsupportedError(
                    f"{source.path}: frames of {frame.width}x{frame.height} {frame.format.name} in a stream "
                    f"of {source.size[0]}x{source.size[1]} {source.pix_fmt}; code it again at one size first"
                )
            got += 1
            yield frame
    if got != len(wanted):
        at_s = float(wanted[got] * source.time_base)
        raise DecodeError(
            f"{source.path}: of {len(wanted)} frames only {got} decode; the one at {at_s:.3f} s is damaged",
            first,
        )


def _decode(
    container: InputContainer,
    source: Source,
    first: int,
    packets: Packets,
    from_pts: int,
    threads: int,
    on_packet: Callable[[Packet[Any]], None] | None,
    alone: bool,
) -> Iterator[VideoFrame]:
    stream: Any = container.streams[source.index]
    context = stream.codec_context
    context.thread_count = threads
    context.thread_type = "AUTO" if threads > 1 else "NONE"
    context.reorder_depth = source.reorder
    if alone:
        context.flags2 |= av.codec.context.Flags2.show_all  # or FFmpeg waits for a key frame
    # Frames that are shown before the first that is wanted, and that no other depends on, need no decoding.
    early = packets["pts"] < from_pts
    if alone:
        early[:-1] = True
    unneeded = "ALL" if alone else "NONREF"
    try:
        for ordinal, packet in _packets_from(container, source, first, packets[0]):
            if ordinal >= first + len(packets):
                break
            on_the_way = bool(early[ordinal - first])
            context.skip_frame = unneeded if on_the_way and source.codec == "h264" else "DEFAULT"
            if on_packet is not None and not on_the_way:
                on_packet(packet)
            yield from context.decode(packet)
        yield from context.decode(None)
    except av.error.FFmpegError:
        return  # the frames that are missing are counted by the caller


def _packets_from(
    container: InputContainer, source: Source, first: int, target: np.void
) -> Iterator[tuple[int, Packet[Any]]]:
    """Packets from ordinal `first` on: by a seek, or by reading up to it where a seek does not get there."""
    stream: Any = container.streams[source.index]
    _only(container, source.index)
    if not first:
        yield from enumerate(_solid(container, stream))
        return
    if _sought(container, stream, source, target):
        for packet in _solid(container, stream):
            if _identity(packet) == _key(target):
                yield first, packet
                yield from enumerate(_solid(container, stream), first + 1)
                return
            if _is_behind(packet, target):
                break
    with reading(source.path, known=True) as again:
        _only(again, source.index)
        for ordinal, packet in enumerate(_solid(again, again.streams[source.index])):
            if ordinal >= first:
                yield ordinal, packet


def _only(container: InputContainer, index: int) -> None:
    for other in container.streams:
        if other.index != index:
            other.discard = av.stream.Discard.all


def _sought(container: InputContainer, stream: Any, source: Source, target: np.void) -> bool:
    """Seek to a packet or before it: by time, or in MPEG-TS, whose seeks by time overshoot, by position."""
    times = [int(t) for t in (target["pts"], target["dts"]) if t != NO_TIME]
    try:
        if source.format == "mpegts":
            container.seek(max(0, int(target["pos"]) - _TS_RUN_UP), unsupported_byte_offset=True)
        elif times:
            container.seek(min(times), stream=stream)
        else:
            return False
    except av.error.FFmpegError:
        return False
    return True


def _is_behind(packet: Packet[Any], target: np.void) -> bool:
    """Whether a packet comes after the one that is sought."""
    wanted = int(target["dts"])
    return packet.dts is not None and wanted != NO_TIME and packet.dts > wanted


def _key(row: np.void) -> tuple[int, int]:
    return int(row["pts"]), int(row["size"])


def let_go() -> None:
    """Give the memory of a decoder that is done with back to the system.

    PyAV's objects refer to each other in circles that hold a decoder and its frames until Python happens to
    collect them, and glibc keeps what is freed of them unless it is asked.
    """
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _solid(container: InputContainer, stream: Any) -> Iterator[Packet[Any]]:
    return (packet for packet in container.demux(stream) if packet.size)


def _identity(packet: Packet[Any]) -> tuple[int, int]:
    return NO_TIME if packet.pts is None else packet.pts, packet.size


# -- coding without loss --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lossless:
    """A codec and its settings that bring every sample back."""

    codec: str
    options: tuple[tuple[str, str], ...]


_X264 = Lossless(
    "libx264",
    (("preset", "ultrafast"), ("qp", "0"), ("x264-params", "keyint=60:min-keyint=60:bframes=0:threads=1")),
)
_FFV1 = Lossless("ffv1", (("level", "3"), ("slices", "4"), ("slicecrc", "1"), ("g", "1")))
# its real-time mode would be faster, but drops frames that are hard to code
_VP9 = Lossless("libvpx-vp9", (("lossless", "1"), ("cpu-used", "5"), ("deadline", "good"), ("g", "60")))

# gray is left to FFV1: FFmpeg decodes monochrome H.264 as 4:2:0
_H264_8 = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12"}
_H264_10 = {"yuv420p10le", "yuv422p10le", "yuv444p10le"}
_VP9_8 = {"yuv420p", "yuv422p", "yuv440p", "yuv444p"}


def lossless_for(pix_fmt: str, size: tuple[int, int], container: str) -> Lossless:
    """How this pixel format is coded without loss into this container ("mp4", "matroska", ...).

    Raises UnsupportedError naming the extensions that can carry it.
    """
    can = {
        "libx264": pix_fmt in _H264_8 | _H264_10 and _divides(pix_fmt, size),
        "ffv1": pix_fmt in {f.name for f in av.codec.Codec("ffv1", "w").video_formats or ()},
        "libvpx-vp9": pix_fmt in _VP9_8,
    }
    if container == "webm" and can["libvpx-vp9"]:
        return _VP9
    if container in ("mp4", "mov", "matroska", "mpegts", "flv") and can["libx264"]:
        return _X264
    if container == "matroska" and can["ffv1"]:
        return _FFV1
    able = [".mp4", ".mov", ".mkv", ".ts", ".flv"] if can["libx264"] else [".mkv"] if can["ffv1"] else []
    able += [".webm"] if can["libvpx-vp9"] else []
    what = f"{size[0]}x{size[1]} {pix_fmt}"
    if not able:
        raise UnsupportedError(f"{what} cannot be coded without loss by any codec at hand")
    raise UnsupportedError(f"{what} cannot be carried without loss in {container}; use {' or '.join(able)}")


def _divides(pix_fmt: str, size: tuple[int, int]) -> bool:
    """x264 wants sizes that its chroma divides."""
    wide = 2 if "420" in pix_fmt or "422" in pix_fmt or pix_fmt == "nv12" else 1
    high = 2 if "420" in pix_fmt or pix_fmt == "nv12" else 1
    return size[0] % wide == 0 and size[1] % high == 0


def describe(context: Any, source: Source) -> None:
    """Tell a context what the pictures of this video are like."""
    context.width, context.height = source.size
    context.pix_fmt = source.pix_fmt
    if source.aspect:
        context.sample_aspect_ratio = source.aspect
    context.color_range, context.color_primaries, context.color_trc, context.colorspace = source.colour


def configure(context: Any, source: Source, lossless: Lossless) -> None:
    """Set an encoder context up like the stream it stands in for."""
    describe(context, source)
    context.time_base = source.time_base
    context.framerate = source.rate
    context.thread_count = 1
    context.options = dict(lossless.options)


class Encoder:
    """One lossless encoder, frame by frame, its header in the extradata if the container wants it there."""

    def __init__(self, source: Source, lossless: Lossless, header: bool) -> None:
        self._context: Any = av.codec.context.CodecContext.create(lossless.codec, "w")
        configure(self._context, source, lossless)
        if header:
            self._context.flags |= av.codec.context.Flags.global_header
        self._context.open()
        self.extradata: bytes = self._context.extradata or b""

    def encode(self, frame: VideoFrame | None) -> Iterable[Packet[Any]]:
        """Packets that are ready; None flushes. The frame's own type must not force key frames."""
        if frame is not None:
            frame.pict_type = 0
        packets: Iterable[Packet[Any]] = self._context.encode(frame)
        return packets
