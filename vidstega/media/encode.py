"""Coding frames, without loss or with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.codec.context
from av.packet import Packet
from av.video.frame import VideoFrame

from vidstega.errors import UnsupportedError
from vidstega.media.decode import planes
from vidstega.media.light import Light, names
from vidstega.media.source import Source


@dataclass(frozen=True)
class Lossless:
    """A codec and its settings that bring every sample back."""

    codec: str
    options: tuple[tuple[str, str], ...]

    def graded(self, light: Light) -> Lossless:
        """The same, but saying in what light its pictures were graded, where the codec has a way."""
        told = {"x264-params": light.x264()}
        return replace(self, options=tuple((key, value + told.get(key, "")) for key, value in self.options))


_MOST_TICKS = 10**6
_X264 = Lossless(
    "libx264",
    (("preset", "ultrafast"), ("qp", "0"), ("x264-params", "keyint=60:min-keyint=60:bframes=0:threads=1")),
)
_FFV1 = Lossless("ffv1", (("level", "3"), ("slicecrc", "1"), ("g", "1")))
_FFV1_IN_FOUR = Lossless("ffv1", (("level", "3"), ("slices", "4"), ("slicecrc", "1"), ("g", "1")))
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
        # where slices would cut chroma samples, FFmpeg wants to choose their number itself
        return _FFV1 if size[0] % 2 or size[1] % 2 else _FFV1_IN_FOUR
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
    if source.look.aspect:
        context.sample_aspect_ratio = source.look.aspect
    context.color_range, context.color_primaries, context.color_trc, context.colorspace = source.look.colour


def configure(context: Any, source: Source, lossless: Lossless) -> None:
    """Set an encoder context up like the stream it stands in for."""
    describe(context, source)
    context.time_base = 1 / _countable(source.rate)
    context.framerate = source.rate
    context.thread_count = 1
    context.options = dict(lossless.options)


def _countable(rate: Fraction) -> Fraction:
    """A rate in numbers that every encoder takes."""
    if rate.numerator <= _MOST_TICKS:
        return rate
    return min(rate.limit_denominator(1001), Fraction(1000))


class Encoder:
    """One lossless encoder, frame by frame, its header in the extradata if the container wants it there.

    It sees frames numbered, not their times: these may be equal, or finer than it can count.
    """

    def __init__(self, source: Source, lossless: Lossless, header: bool) -> None:
        self._context: Any = av.codec.context.CodecContext.create(lossless.codec, "w")
        configure(self._context, source, lossless)
        if header:
            self._context.flags |= av.codec.context.Flags.global_header
        self._context.open()
        self._number = 0
        self._strips: bool | None = None
        self.extradata: bytes = self._context.extradata or b""

    def encode(self, frame: VideoFrame | None) -> Iterable[Packet[Any]]:
        """Packets that are ready; None flushes. The frame's own type must not force key frames."""
        if frame is not None:
            # libx264 starts anew at what it reads of stereo, and codes with losses from there on
            if self._strips is None:  # asked of one alone: asking ties a frame into a circle
                self._strips = "stereo3d" in names(frame)
            frame = _bare(frame) if self._strips else frame
            frame.pict_type, frame.pts, frame.time_base = 0, self._number, self._context.time_base
            self._number += 1
        packets: Iterable[Packet[Any]] = self._context.encode(frame)
        return packets


def _bare(frame: VideoFrame) -> VideoFrame:
    """The same picture without what comes along with it."""
    bare = VideoFrame(frame.width, frame.height, frame.format.name)
    bare.pts = frame.pts
    if frame.time_base is not None:
        bare.time_base = frame.time_base
    for ours, theirs in zip(planes(bare), planes(frame), strict=True):
        ours[...] = theirs
    return bare


def lossy_for(
    pix_fmt: str, size: tuple[int, int], container: str, crf: float, preset: str
) -> tuple[str, Lossless]:
    """How this pixel format is coded with losses into this container, by x264 at a constant quality.

    Raises
    ------
    UnsupportedError
        Naming what can carry it.
    """
    if not _divides(pix_fmt, size):
        raise UnsupportedError(
            f"x264 cannot code {pix_fmt} of {size[0]}x{size[1]}, an odd size; crop or pad it to even sides"
        )
    if pix_fmt not in _H264_8 | _H264_10:
        raise UnsupportedError(
            f"{size[0]}x{size[1]} {pix_fmt} cannot be coded by x264; convert it to yuv420p"
        )
    if container not in ("mp4", "mov", "matroska", "mpegts", "flv"):
        raise UnsupportedError(f"{container} does not hold H.264; use .mp4, .mov or .mkv")
    settings = (("preset", preset), ("crf", f"{crf:g}"), ("x264-params", "bframes=0:threads=1"))
    return container, Lossless("libx264", settings)


def code_frames(source: Source, codec: Lossless, frames: Iterable[VideoFrame], target: Path) -> None:
    """Code frames into a new Matroska file with nothing else in it, with their times."""
    with av.open(str(target), "w", format="matroska") as output:
        stream: Any = output.add_stream(codec.codec, rate=source.rate)
        configure(stream.codec_context, source, codec)
        stream.time_base = stream.codec_context.time_base = source.time_base
        first: int | None = None
        for frame in frames:
            at = frame.pts or 0
            first = at if first is None else first
            frame.pict_type, frame.pts, frame.time_base = 0, at - first, source.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
