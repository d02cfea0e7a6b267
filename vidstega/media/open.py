"""Opening video files with PyAV, and what their containers say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidstega.errors import InputError
from vidstega.media.tags import check_not_encrypted

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


@contextmanager
def reading(
    path: str | os.PathLike[str], *, skip_frame: str = "default", known_stream: int | None = None
) -> Iterator[InputContainer]:
    """A video file, open for reading; InputError in one line if that cannot be.

    FFmpeg decodes a frame or more to learn what the headers do not say. Where that is known from a scan it
    need not, and opening a large video takes a few milliseconds: `skip_frame` ("all", or "nokey" for all
    but key frames) says what to leave out, `known_stream` leaves out all of one stream.
    """
    av.logging.set_level(None)  # PyAV's own callback takes the GIL in decoder threads, which deadlocks
    where = Path(path)
    _check_file(where)
    streams: list[Any] = [] if known_stream is None else [{}] * known_stream + [{"skip_frame": "all"}]
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(_READS)}
    options |= {"skip_frame": skip_frame} if skip_frame != "default" else {}
    name = str(where.absolute())
    try:
        container = av.open(name, metadata_errors="ignore", options=options, stream_options=streams)
    except PermissionError:
        raise InputError(f"{where} may not be read: permission denied") from None
    except (av.error.FFmpegError, ValueError, OSError):
        check_not_encrypted(where)
        raise InputError(f"{where} cannot be read as a video; it is damaged or of another kind") from None
    with container:
        yield container


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


def best_video(container: InputContainer) -> VideoStream:
    """The stream that carries: the largest video that is not cover art."""
    videos = [s for s in container.streams.video if not is_cover_art(s) and s.codec_context is not None]
    if not videos:
        raise InputError(f"{Path(container.name)} has no video stream that can be decoded")
    return max(videos, key=lambda s: s.codec_context.width * s.codec_context.height)


def is_cover_art(stream: Any) -> bool:
    """Whether a stream is an attached picture."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def packets_of(container: InputContainer, stream: Any = None) -> Iterator[Packet[Any]]:
    """Packets of one stream or all; InputError if the file ends in damage."""
    try:
        yield from container.demux(stream) if stream is not None else container.demux()
    except av.error.FFmpegError as error:
        raise InputError(
            f"{container.name} is damaged and cannot be read to its end ({error.strerror})"
        ) from None


def codec_name(stream: Any) -> str:
    """The codec's own name, whatever decoder reads it ("av1", not "libdav1d"); empty if it has none."""
    context = stream.codec_context
    return str(context.codec.canonical_name if context is not None else getattr(stream, "name", None) or "")


def only(container: InputContainer, index: int) -> None:
    for other in container.streams:
        if other.index != index:
            other.discard = av.stream.Discard.all


def solid(container: InputContainer, stream: Any) -> Iterator[Packet[Any]]:
    """Packets of a stream that hold anything."""
    return (packet for packet in packets_of(container, stream) if packet.size)


class Heard:
    """Which packets of the streams beside the video an edit list lets be played."""

    def __init__(self) -> None:
        self._begun: set[int] = set()

    def is_played(self, packet: Packet[Any]) -> bool:
        """Not if an edit list cuts it out; what leads in to a stream's first is kept, decoders need it."""
        if not packet.is_discard:
            self._begun.add(packet.stream_index)
            return True
        return packet.stream_index not in self._begun or packet.stream.type == "video"
