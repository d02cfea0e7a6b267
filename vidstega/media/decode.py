"""Decoding a span of a video, and its frames as NumPy views of their planes, never through RGB."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
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
from vidstega.media.source import NO_TIME, Packets, Scan, Source

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
    with reading(source.path, known=True) as again:
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
