"""Named ways of coding a video again: what a message may have to survive.

Each is run by FFmpeg's encoders within this process, one frame at a time, and can be printed as the `ffmpeg`
command that does the same. They are what they are, ordinary encoders at ordinary settings; no claim is made
about what any site does.

>>> print(named("480p").command("in.mp4", "out.mkv"))  # doctest: +ELLIPSIS
ffmpeg -noautorotate -i in.mp4 -map 0:v:0 -vf "scale=...,format=yuv420p" -c:v libx264 -b:v 1000k ...
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter
from av.video.frame import VideoFrame

from vidstega.errors import InputError, OutputError, ParameterError
from vidstega.media.open import best_video, packets_of, reading

_X264 = (("preset", "medium"),)
_SETTINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "libx264": _X264,
    "libx265": (("preset", "medium"), ("x265-params", "log-level=error")),
    "libvpx-vp9": (("deadline", "good"), ("cpu-used", "4")),
    "libsvtav1": (("preset", "8"),),
}


@dataclass(frozen=True)
class Channel:
    """One way of coding a video again; sound and everything else is left out.

    Parameters
    ----------
    name : what it is called
    codec : FFmpeg's name of the encoder
    crf : constant quality, or None for `kbit_s`
    kbit_s : kbit a second on average, or None
    short_side : pixels that the shorter side is scaled down to; a smaller video stays as it is
    scale : factor for both sides
    fps : frames a second
    trim_s : seconds cut off at the start
    crop : part of width and height cut off, half of it on each side
    brightness : part of the range from black to white that is added
    contrast : factor about the middle of the range
    generations : how many times all of this is done one after the other
    """

    name: str
    codec: str = "libx264"
    crf: int | None = 23
    kbit_s: int | None = None
    short_side: int | None = None
    scale: float = 1.0
    fps: int | None = None
    trim_s: float = 0.0
    crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 1.0
    generations: int = 1

    @property
    def filters(self) -> tuple[tuple[str, str], ...]:
        """Name and arguments of FFmpeg's filters, in order."""
        found = []
        if self.trim_s:
            found += [("trim", f"start={self.trim_s:g}"), ("setpts", "PTS-STARTPTS")]
        if self.crop:
            left = f"{1 - self.crop:g}"
            found.append(("crop", f"trunc(iw*{left}/2)*2:trunc(ih*{left}/2)*2"))
        if self.short_side or self.scale != 1:
            found.append(("scale", f"{self._scaled()}:flags=bicubic"))
        if self.fps:
            found.append(("fps", str(self.fps)))
        if self.brightness or self.contrast != 1:
            middle, span = "(minval+maxval)/2", "(maxval-minval)"
            light = f"(val-{middle})*{self.contrast:g}+{middle}+{self.brightness:g}*{span}"
            found.append(("lutyuv", f"y='clip({light},minval,maxval)'"))
        return (*found, ("format", "yuv420p"))

    def _scaled(self) -> str:
        if self.short_side is None:
            return f"trunc(iw*{self.scale:g}/2)*2:trunc(ih*{self.scale:g}/2)*2"
        short = f"trunc(min({self.short_side},min(iw,ih))/2)*2"
        return f"w='if(gte(iw,ih),-2,{short})':h='if(gte(iw,ih),{short},-2)'"

    def shrinks_to(self, size: tuple[int, int]) -> float:
        """The part of its width that is left of a picture of `size`."""
        return self.scale * min(1.0, (self.short_side or min(size)) / min(size))

    @property
    def options(self) -> dict[str, str]:
        """Options of the encoder but for its bit rate."""
        return dict(_SETTINGS[self.codec]) | ({} if self.crf is None else {"crf": str(self.crf)})

    def command(self, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> str:
        """The `ffmpeg` command that does the same, for a shell; one for each generation."""
        places = [str(source), *(f"generation{i}.mkv" for i in range(1, self.generations)), str(target)]
        lines = [self._line(a, b) for a, b in pairwise(places)]
        return " && ".join(lines)

    def _line(self, source: str, target: str) -> str:
        filters = ",".join(f"{name}={arguments}" for name, arguments in self.filters)
        rate = f"-b:v {self.kbit_s}k" if self.kbit_s else "-b:v 0" if self.codec == "libvpx-vp9" else ""
        options = " ".join(f"-{name} {value}" for name, value in self.options.items())
        words = [
            f"ffmpeg -noautorotate -i {shlex.quote(source)} -map 0:v:0",
            f'-vf "{filters}" -c:v {self.codec} {rate} {options}'.replace("  ", " "),
            f"-threads 1 -fps_mode passthrough -enc_time_base 1/90000 {shlex.quote(target)}",
        ]
        return " ".join(words)

    def run(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        stop_s: float | None = None,
        threads: int = 1,
    ) -> None:
        """Code `source` again into the new file `target`; the container is chosen by its extension.

        Memory holds what decoder and encoder hold, whatever the length.

        Parameters
        ----------
        stop_s : seconds of the source to take, None for all
        threads : of decoder and encoder

        Raises
        ------
        InputError
            If the source cannot be read, or nothing is left of it.
        OutputError
            If the target exists or cannot be written.
        """
        there = Path(target)
        if there.exists():
            raise OutputError(f"{there} exists; give another name")
        if self.generations > 1:
            first = there.with_name(f".{there.stem}.before{there.suffix}")
            try:
                replace(self, generations=1).run(source, first, stop_s=stop_s, threads=threads)
                replace(self, generations=self.generations - 1).run(first, there, threads=threads)
            finally:
                first.unlink(missing_ok=True)
            return None
        try:
            with suppress(av.error.FFmpegError):  # on a busy machine SVT-AV1 may lose count of its frames
                return self._run(source, there, stop_s, threads)
            there.unlink(missing_ok=True)
            return self._run(source, there, stop_s, threads)
        except av.error.FFmpegError as error:
            there.unlink(missing_ok=True)
            raise OutputError(f"{self.codec} stops in the channel {self.name} ({error.strerror})") from None
        except BaseException:
            there.unlink(missing_ok=True)
            raise

    def _run(self, source: str | os.PathLike[str], target: Path, stop_s: float | None, threads: int) -> None:
        with reading(source) as container:
            stream: Any = best_video(container)
            frames = _filtered(_decoded(container, stream, stop_s, threads), stream, self.filters)
            first = next(frames, None)
            if first is None:
                raise InputError(
                    f"nothing is left of {source} in the channel {self.name}; take a longer video"
                )
            try:
                with av.open(str(target), "w") as out:
                    encoder = self._encoder(out, first, stream, threads)
                    try:
                        out.mux(encoder.encode(_plain(first)))
                    except av.error.FFmpegError:
                        raise InputError(
                            f"{source}: {self.codec} does not take frames of {first.width}x{first.height}; "
                            "4:2:0 takes even sizes"
                        ) from None
                    for frame in frames:
                        out.mux(encoder.encode(_plain(frame)))
                    out.mux(encoder.encode(None))
            except OSError as error:
                raise OutputError(f"cannot write {target}: {error.strerror or error}") from None

    def _encoder(self, out: Any, first: VideoFrame, stream: Any, threads: int) -> Any:
        os.environ.setdefault("SVT_LOG", "1")  # errors: it prints a banner otherwise
        encoder = out.add_stream(self.codec, rate=self.fps or stream.average_rate or 25)
        context, before = encoder.codec_context, stream.codec_context
        encoder.width, encoder.height, encoder.pix_fmt = first.width, first.height, first.format.name
        encoder.time_base = context.time_base = first.time_base
        context.color_primaries, context.color_trc = before.color_primaries, before.color_trc
        context.colorspace = before.colorspace
        context.thread_count = threads
        if self.kbit_s or self.codec == "libvpx-vp9":
            context.bit_rate = 1000 * (self.kbit_s or 0)
        encoder.options = self.options
        return encoder


def _decoded(container: Any, stream: Any, stop_s: float | None, threads: int) -> Iterator[VideoFrame]:
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO" if threads > 1 else "NONE"
    begin = None
    try:
        for packet in packets_of(container, stream):
            with suppress(av.error.InvalidDataError):  # a damaged frame is left out, as players do
                for frame in stream.codec_context.decode(packet if packet.size else None):
                    begin = frame.time if begin is None else begin
                    if stop_s is not None and frame.time - begin >= stop_s:
                        return
                    yield frame
    except av.error.FFmpegError as error:
        raise InputError(f"{container.name} cannot be decoded ({error.strerror})") from None


def _filtered(
    frames: Iterator[VideoFrame], stream: Any, filters: tuple[tuple[str, str], ...]
) -> Iterator[VideoFrame]:
    first = next(frames, None)
    if first is None:
        return
    graph = av.filter.Graph()
    nodes = [
        graph.add("buffer", _described(first, stream)),
        *(graph.add(*one) for one in filters),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    for frame in chain((first,), frames):
        graph.push(frame)
        yield from _pulled(graph)
    with suppress(av.error.EOFError):
        graph.push(None)
    yield from _pulled(graph)


def _described(frame: VideoFrame, stream: Any) -> str:
    """A filter's input. The colours belong to it: a scaler that is not told them takes them for others."""
    aspect = stream.sample_aspect_ratio or 1
    return (
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:"
        f"time_base={frame.time_base}:pixel_aspect={aspect.numerator}/{aspect.denominator}:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    )


def _pulled(graph: Any) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _plain(frame: VideoFrame) -> VideoFrame:
    frame.pict_type = 0  # the decoder's frame types would force key frames
    return frame


CHANNELS = {
    channel.name: channel
    for channel in (
        *(Channel(f"crf{crf}", crf=crf) for crf in (23, 28, 35, 40)),
        Channel("hevc28", "libx265", crf=28),
        Channel("vp9-35", "libvpx-vp9", crf=35),
        Channel("av1-40", "libsvtav1", crf=40),
        Channel("720p", crf=None, kbit_s=2500, short_side=720),
        Channel("480p", crf=None, kbit_s=1000, short_side=480),
        Channel("480p-low", crf=None, kbit_s=600, short_side=480),
        Channel("360p", crf=None, kbit_s=400, short_side=360),
        Channel("240p", crf=None, kbit_s=200, short_side=240),
        Channel("480p-vp9", "libvpx-vp9", crf=None, kbit_s=750, short_side=480),
        Channel("25fps", fps=25),
        Channel("trim", trim_s=1.3),
        Channel("half", scale=0.5),
        Channel("crop", crop=0.05),
        Channel("light", brightness=0.03, contrast=1.03),
        Channel("twice", crf=28, generations=2),
    )
}
"""Every channel by its name."""


def named(name: str) -> Channel:
    """The channel of this name.

    Raises
    ------
    ParameterError
        If there is none; the text lists those there are.
    """
    if name not in CHANNELS:
        raise ParameterError(f"there is no channel {name!r}; there are {', '.join(CHANNELS)}")
    return CHANNELS[name]


def chosen(names: str | Iterable[str] | None) -> list[Channel]:
    """The channels of these names, or of one; all if that is None. ParameterError as for `named`."""
    if names is None:
        return list(CHANNELS.values())
    return [named(name) for name in ([names] if isinstance(names, str) else names)]
