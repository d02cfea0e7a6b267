"""Decoding a span of a video, and its frames as NumPy views of their planes, never through RGB."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import av.codec.context
import av.error
import numpy as np
import xxhash
from av.container import InputContainer
from av.packet import Packet
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega.errors import InputError, UnsupportedError
from vidstega.media.open import only, reading, solid
from vidstega.media.source import HIDDEN, NO_TIME, Packets, Scan, Source

_TS_RUN_UP = 188 * 64


class DecodeError(InputError):
    """Frames of a span that starts at packet `first` could not be decoded."""

    def __init__(self, text: str, first: int) -> None:
        super().__init__(text, first)  # both, so that it survives pickling
        self.first = first

    def __str__(self) -> str:
        return str(self.args[0])


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
    whole: bool = False,
) -> Iterator[VideoFrame]:
    """Decode `packets`, which start at ordinal `first`, and give the frames shown at `pts`.

    Parameters
    ----------
    packets : rows of the packet table; decoding can start at the first of them
    pts : sorted times of the frames wanted
    on_packet : called with each packet that is not shown before the first wanted one
    whole : whether no frames but these may come out
    alone : whether the last packet's picture needs no other: of those before it parameter sets count alone

    Raises
    ------
    DecodeError
        If not all of them decode; never fewer frames in silence.
    UnsupportedError
        If size or pixel format change in mid-stream.
    """
    wanted, got = pts.tolist(), 0
    way = _Way(source, first, packets, wanted[0], on_packet, alone)
    with reading(source.path, skip_frame="all") as container:
        for frame in _decode(container, way, threads):
            expected = wanted[got] if got < len(wanted) else None
            if frame.is_corrupt and not way.takes_damage:
                break  # wanted or on the way to one that is: others are predicted from it
            if way.passes_over(frame, expected, whole):
                continue
            if whole and expected is None:
                raise DecodeError(f"{source.path}: more frames decode than its packets say", first)
            if frame.pts != expected:
                break
            _check_look(source, frame)
            got += 1
            yield frame
    if got != len(wanted):
        at_s = float(wanted[got] * source.time_base)
        raise DecodeError(
            f"{source.path}: of {len(wanted)} frames only {got} decode; the one at {at_s:.3f} s is damaged",
            first,
        )


def decode_all(source: Source, packets: Packets) -> Iterator[VideoFrame]:
    """All frames that come out where decoding starts at the first packet; what is damaged is passed over."""
    with reading(source.path, skip_frame="all") as container:
        way = _Way(replace(source, as_decoded=True), 0, packets, int(packets["pts"].min()))
        yield from _decode(container, way, 1)


def decode_strictly(
    source: Source,
    first: int,
    packets: Packets,
    wanted: NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode packets from ordinal `first` on without any tolerance, and give ordinals and frames.

    It is for coding without interlacing.

    Parameters
    ----------
    packets : rows of the packet table; decoding can start at the first of them
    wanted : which of them are to come out; where it is given, pictures that none depends on are passed over

    Raises
    ------
    InputError
        If the decoder has anything to complain about.
    """
    ordinals = {pts: ordinal for ordinal, pts in enumerate(packets["pts"].tolist(), first)}
    with reading(source.path, skip_frame="all") as container:
        context = _decoder(container, source, threads)
        context.options = {"err_detect": "explode"}
        try:
            for frame in _strictly(container, context, source, first, packets, wanted):
                ordinal = ordinals.get(frame.pts)
                if frame.is_corrupt:
                    raise InputError(f"{source.path}: packet {ordinal} decodes as damaged")
                if ordinal is not None and (wanted is None or wanted[ordinal - first]):
                    yield ordinal, frame
        except av.error.FFmpegError as error:
            raise InputError(
                f"{source.path}: a decoder that forgives nothing stops ({error.strerror})"
            ) from None


def _strictly(
    container: InputContainer,
    context: Any,
    source: Source,
    first: int,
    packets: Packets,
    wanted: NDArray[np.bool_] | None,
) -> Iterator[VideoFrame]:
    for ordinal, packet in islice(packets_from(container, source, first, packets[0]), len(packets)):
        # of other codecs' pictures a decoder does not know which ones none depends on
        passed_over = source.codec == "h264" and wanted is not None and not wanted[ordinal - first]
        context.skip_frame = "NONREF" if passed_over else "DEFAULT"
        yield from context.decode(packet)
    yield from context.decode(None)


def _decoder(container: InputContainer, source: Source, threads: int) -> Any:
    """The decoder of the carrying stream, set up and not yet begun."""
    context: Any = container.streams[source.index].codec_context
    context.thread_count = threads
    context.thread_type = "AUTO" if threads > 1 else "NONE"
    context.reorder_depth = source.look.reorder
    return context


def _check_look(source: Source, frame: VideoFrame) -> None:
    if (frame.width, frame.height) != source.size or frame.format.name != source.pix_fmt:
        raise UnsupportedError(
            f"{source.path}: frames of {frame.width}x{frame.height} {frame.format.name} in a stream "
            f"of {source.size[0]}x{source.size[1]} {source.pix_fmt}; code it again at one size first"
        )


@dataclass(frozen=True)
class _Way:
    """What is decoded on the way to a frame; see `decode_span`."""

    source: Source
    first: int
    packets: Packets
    from_pts: int
    on_packet: Callable[[Packet[Any]], None] | None = None
    alone: bool = False

    def early(self) -> NDArray[np.bool_]:
        """Packets that are shown before the first that is wanted."""
        early = self.packets["pts"] < self.from_pts
        if self.alone:
            early[:-1] = True
        return np.asarray(early)

    @property
    def takes_damage(self) -> bool:
        """Whether a frame that is marked as damaged is what it should be.

        To a decoder a picture that stands alone lacks a key frame; and damage of the source is as it is.
        """
        return self.alone or self.source.as_decoded

    def passes_over(self, frame: VideoFrame, expected: int | None, whole: bool) -> bool:
        """Whether a frame is none of those that are wanted, and need not be."""
        if self.source.as_decoded and frame.pts != expected:
            return True  # a decoder made it up for what is missing
        return frame.pts is None or (frame.pts < self.from_pts and not whole)


def _decode(container: InputContainer, way: _Way, threads: int) -> Iterator[VideoFrame]:
    source = way.source
    context = _decoder(container, source, threads)
    if way.alone:
        context.flags2 |= av.codec.context.Flags2.show_all  # or FFmpeg waits for a key frame
    passed_over: Any = suppress(av.error.FFmpegError) if source.as_decoded else nullcontext()
    try:
        for packet in _prepared(container, context, way):
            with passed_over:
                yield from context.decode(packet)
        with passed_over:
            yield from context.decode(None)
    except av.error.FFmpegError:
        return  # the frames that are missing are counted by the caller


def _prepared(container: InputContainer, context: Any, way: _Way) -> Iterator[Packet[Any]]:
    """The packets of the way, each with what the decoder has to know about it."""
    source = way.source
    # Frames that are shown before the first that is wanted, and that no other depends on, need no decoding.
    early, unneeded = way.early(), "ALL" if way.alone else "NONREF"
    may_skip = source.codec == "h264" and not source.as_decoded
    packets = packets_from(container, source, way.first, way.packets[0])
    for row, on_the_way, (_, packet) in zip(way.packets, early, packets, strict=False):
        context.skip_frame = unneeded if on_the_way and may_skip else "DEFAULT"
        if way.on_packet is not None and not on_the_way:
            way.on_packet(packet)
        if source.as_decoded:
            packet.pts = None if row["flags"] & HIDDEN else int(row["pts"])
            packet.dts = None
        yield packet


def packets_from(
    container: InputContainer, source: Source, first: int, target: np.void
) -> Iterator[tuple[int, Packet[Any]]]:
    """Packets from ordinal `first` on: by a seek, or by reading up to it where a seek does not get there."""
    stream: Any = container.streams[source.index]
    only(container, source.index)
    if not first:
        yield from enumerate(solid(container, stream))
        return
    if _sought(container, stream, source, target):
        for packet in solid(container, stream):
            if _identity(packet) == _key(target):
                yield first, packet
                yield from enumerate(solid(container, stream), first + 1)
                return
            if _is_behind(packet, target):
                break
    with reading(source.path, skip_frame="all") as again:
        only(again, source.index)
        for ordinal, packet in enumerate(solid(again, again.streams[source.index])):
            if ordinal >= first:
                yield ordinal, packet


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


def _identity(packet: Packet[Any]) -> tuple[int, int]:
    return NO_TIME if packet.pts is None else packet.pts, packet.size


def frame_size(scan: Scan) -> int:
    """Bytes of one decoded frame."""
    try:
        pixels = VideoFormat(scan.source.pix_fmt, *scan.size)
    except ValueError:
        raise UnsupportedError(f"pixel format {scan.source.pix_fmt} is not known") from None
    return int(scan.size[0] * scan.size[1] * max(pixels.bits_per_pixel, 8) / 8 + 0.5)
