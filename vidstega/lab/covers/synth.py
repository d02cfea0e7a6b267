"""Synthetic covers as files: seeded frames of `scene`, coded as ordinary video, with a tone.

Never use uniform noise as a cover: no camera makes it, no codec compresses it, and every hidden bit in
it is invisible.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidstega.errors import OutputError, ParameterError
from vidstega.lab.covers.noise import Floats
from vidstega.lab.covers.paint import Bytes, Planes
from vidstega.lab.covers.scene import cover_frames, require

_RATE = 48_000  # Hz
_QP2LAMBDA = 118  # FFmpeg's FF_QP2LAMBDA: global_quality for one step of quantiser
_BT709, _RGB = 1, 0  # AVCOL_PRI_BT709 = AVCOL_TRC_BT709 = AVCOL_SPC_BT709; AVCOL_SPC_RGB
_TV, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG


def make_cover(
    path: str | Path,
    *,
    width: int = 854,
    height: int = 480,
    frames: int = 100,
    fps: int | float | Fraction = 30,
    seed: int = 0,
    gop_s: float = 2.0,
    bframes: int = 2,
    codec: str = "libx264",
    crf: float = 20,
    pix_fmt: str = "yuv420p",
    sound: bool = True,
    options: Mapping[str, str] | None = None,
    preset: str = "veryfast",
) -> Path:
    """Write a synthetic cover video, with a tone as sound, and return its path.

    The same arguments give the same frames; with the lossy codecs that holds per machine, since an
    encoder may decide by its number of threads. A file at `path` is replaced, and only once the new
    one is whole.

    Parameters
    ----------
    path : str or Path
        Where to write. The extension decides the container; ``.webm`` gets Opus sound, all others AAC.
    width, height : int
        Size in pixels, 16 to 16384; odd sizes only where codec and `pix_fmt` allow them.
    frames : int
        Number of frames, at least 1. The scene cut is at frame ``frames // 2``.
    fps : int, float or Fraction
        Frames per second.
    seed : int
        Picks scene, colours, movement, grain and tone; not negative.
    gop_s : float
        Seconds between key frames. They are fixed; the scene cut makes none.
    bframes : int
        Most B-frames in a row, 0 to 16; most codecs without B-frames ignore it, mjpeg wants 0.
    codec : str
        FFmpeg's name of an encoder, such as ``"libx264"``, ``"libx265"``, ``"libvpx-vp9"``, ``"ffv1"``.
    crf : float
        Quality on x264's scale, 0 (best) to 63; lossless codecs ignore it.
    pix_fmt : str
        Stored format. Frames are made as 8-bit 4:2:0 and converted.
    sound : bool
        Whether to add a mono tone at 48 kHz, as long as the video.
    options : mapping of str to str, optional
        More encoder options. They win over ours; ``x264-params`` and ``x265-params`` are appended.
    preset : str
        Speed of x264 and x265.

    Raises
    ------
    ParameterError
        An argument is senseless, or the encoder refuses the combination.
    OutputError
        The file cannot be written. Nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_cover(f"{folder}/small.mp4", width=64, height=48, frames=4).name
    'small.mp4'
    """
    path = Path(path)
    rate = _check_timing(fps, gop_s, bframes, crf)
    _check_formats(codec, pix_fmt)
    planes = cover_frames(width, height, frames, seed)
    gop = max(1, round(gop_s * rate))
    ours = _codec_options(codec, gop, crf, preset) | {"bf": str(bframes)}
    with _folder_beside(path) as folder, _explained(path):
        part = Path(folder) / path.name
        with av.open(str(part), "w") as container:
            video = _add_video(container, codec, rate, (width, height), pix_fmt)
            video.codec_context.gop_size = gop
            _open_encoder(video.codec_context, codec, ours, options or {})
            tone = _Tone(container, path.suffix, seed) if sound else None
            _encode(container, video, planes, tone)
            if tone is not None:
                tone.finish(frames / rate)
        part.replace(path)
    return path


# --- encoding ---------------------------------------------------------------------------------------------


def _add_video(
    container: OutputContainer, codec: str, rate: Fraction, size: tuple[int, int], pix_fmt: str
) -> VideoStream:
    stream = cast(VideoStream, container.add_stream(codec, rate=rate))
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt = pix_fmt
    stream.time_base = context.time_base = 1 / rate
    rgb = av.VideoFormat(pix_fmt).is_rgb
    context.color_primaries = context.color_trc = _BT709
    context.colorspace = _RGB if rgb else _BT709
    context.color_range = _FULL if rgb or pix_fmt.startswith("yuvj") else _TV
    return stream


def _open_encoder(
    context: VideoCodecContext, codec: str, ours: Mapping[str, str], more: Mapping[str, str]
) -> None:
    context.options = options = _merge_options(ours, more)
    try:
        context.open()
    except av.FFmpegError as error:
        raise ParameterError(
            f"{codec} refuses {context.width}x{context.height} {context.pix_fmt} with {options}; "
            "4:2:0 wants even sizes, interlaced 4:2:0 a height in fours, and options must be this encoder's"
        ) from error
    unknown = sorted(set(context.options) & set(more))  # libav leaves what it did not use
    require(not unknown, f"options={unknown} of {codec}", "take options that this encoder has")


def _codec_options(codec: str, gop: int, crf: float, preset: str) -> dict[str, str]:
    """What makes this encoder give ordinary video with fixed, closed GOPs.

    x264 goes without macroblock trees: in the x264 of PyAV 18.1 they differ from run to run where the
    processor has AVX-512 (not with ``asm=avx2``), and covers have to repeat.
    """
    fixed = f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0"
    table = {
        "libx264": {"preset": preset, "crf": str(crf), "x264-params": f"{fixed}:mbtree=0"},
        "libx264rgb": {"preset": preset, "crf": str(crf), "x264-params": f"{fixed}:mbtree=0"},
        "libx265": {"preset": preset, "crf": str(crf), "x265-params": f"{fixed}:log-level=error"},
        "libvpx-vp9": {"crf": str(crf), "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"},
        "libsvtav1": {"crf": str(crf), "preset": "10"},
        "ffv1": {"level": "3"},
    }
    scale = round(_QP2LAMBDA * max(1.0, crf / 5))
    return table.get(codec, {"flags": "+qscale", "global_quality": str(scale), "sc_threshold": "1000000000"})


def _merge_options(ours: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    merged = {**ours, **more}
    for name in ("x264-params", "x265-params"):
        if name in ours and name in more:
            merged[name] = f"{ours[name]}:{more[name]}"  # the last one wins inside x264 and x265
    return merged


def _encode(
    container: OutputContainer,
    video: VideoStream,
    planes: Iterator[Planes],
    tone: _Tone | None,
) -> None:
    """Encode and mux every frame; the sound up to its time goes before a video packet."""
    for pts, picture in enumerate(planes):
        for packet in video.encode(_to_frame(picture, pts, video.codec_context)):
            _mux(container, packet, tone)
    for packet in video.encode(None):
        _mux(container, packet, tone)


def _mux(container: OutputContainer, packet: av.Packet[Any], tone: _Tone | None) -> None:
    if tone is not None and packet.dts is not None and packet.time_base is not None:
        tone.advance(packet.dts * packet.time_base)
    container.mux(packet)


def _to_frame(picture: Planes, pts: int, context: VideoCodecContext) -> av.VideoFrame:
    height, width = picture[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, samples in zip(frame.planes, picture, strict=True):
        view: Bytes = np.ndarray(samples.shape, np.uint8, memoryview(plane), strides=(plane.line_size, 1))
        view[:] = samples
    frame.colorspace, frame.color_range = _BT709, _TV
    if context.pix_fmt != "yuv420p":
        frame = frame.reformat(format=context.pix_fmt)
    frame.pts, frame.time_base = pts, context.time_base
    frame.pict_type = 0
    return frame


class _Tone:
    """A quiet mono tone whose pitch and loudness sway, encoded as far as the video has come."""

    def __init__(self, container: OutputContainer, suffix: str, seed: int) -> None:
        codec = "libopus" if suffix.lower() == ".webm" else "aac"
        self._container = container
        self._stream = cast(AudioStream, container.add_stream(codec, rate=_RATE))
        self._stream.codec_context.layout = "mono"
        self._stream.codec_context.bit_rate = 96_000
        self._pitch = 220 * 2 ** (seed % 12 / 12)
        self._done = 0
        self._stream.codec_context.open()
        self._chunk = self._stream.codec_context.frame_size or 1024

    def advance(self, time_s: Fraction) -> None:
        """Mux the sound before `time_s` in whole codec frames."""
        while (self._done + self._chunk) <= time_s * _RATE:
            self._send(self._chunk)

    def finish(self, duration_s: Fraction) -> None:
        """Mux what is left until `duration_s`, and close the sound."""
        end = round(duration_s * _RATE)
        while self._done < end:
            self._send(min(self._chunk, end - self._done))
        self._container.mux(self._stream.encode(None))

    def _send(self, count: int) -> None:
        frame = av.AudioFrame.from_ndarray(self._samples(count)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, self._done, Fraction(1, _RATE)
        self._done += count
        self._container.mux(self._stream.encode(frame))

    def _samples(self, count: int) -> Floats:
        t = np.arange(self._done, self._done + count) / _RATE
        loudness = 0.15 + 0.05 * np.sin(2 * np.pi * 0.7 * t)
        wave = loudness * np.sin(2 * np.pi * self._pitch * t + 2 * np.sin(np.pi * t))
        return cast(Floats, wave.astype(np.float32))


# --- arguments and files ----------------------------------------------------------------------------------


def _check_timing(fps: int | float | Fraction, gop_s: float, bframes: int, crf: float) -> Fraction:
    require(math.isfinite(fps) and 0 < fps <= 1000, f"fps={fps}", "take more than 0 and at most 1000")
    require(math.isfinite(gop_s) and gop_s > 0, f"gop_s={gop_s}", "take more than 0 seconds")
    require(0 <= bframes <= 16, f"bframes={bframes}", "take 0 to 16")
    require(0 <= crf <= 63, f"crf={crf}", "take 0 (best) to 63")
    return Fraction(fps).limit_denominator(1001)


def _check_formats(codec: str, pix_fmt: str) -> None:
    try:
        kind = av.Codec(codec, "w").type
        av.VideoFormat(pix_fmt)
    except ValueError as error:
        raise ParameterError(
            f"codec={codec!r}, pix_fmt={pix_fmt!r}: {error}; take an encoder and a pixel format FFmpeg has"
        ) from error
    require(kind == "video", f"codec={codec!r}", "take a video encoder")


def _folder_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A scratch folder on the same file system, so that the finished file moves in one step."""
    try:
        return tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; make the folder {path.parent} writable") from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what libav says about the file at `path` into our errors."""
    try:
        yield
    except ParameterError:
        raise
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"cannot write {path}: {error}; check container, folder and disk") from error
    except ValueError as error:
        raise ParameterError(f"{path.name}: {error}; take an extension that holds this codec") from error
