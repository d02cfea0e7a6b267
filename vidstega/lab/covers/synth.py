"""Synthetic covers as files: seeded frames of `scene`, coded as ordinary video, with a tone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidstega.errors import OutputError, ParameterError
from vidstega.files import Output
from vidstega.lab.covers.scene import Planes, cover_frames, require
from vidstega.media.decode import planes

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

    The same arguments give the same file on the same machine. A file at `path` is replaced, and only once
    the new one is whole.

    Parameters
    ----------
    path : where to write; the extension decides the container, ``.webm`` gets Opus sound, all others AAC
    width, height : in pixels, 16 to 16384; odd sizes only where codec and `pix_fmt` allow them
    frames : at least 1; the scene cut is at frame ``frames // 2``
    seed : picks scene, colours, movement, grain and tone; not negative
    gop_s : seconds between key frames; they are fixed, the scene cut makes none
    bframes : most B-frames in a row, 0 to 16; most codecs without them ignore it, mjpeg wants 0
    codec : FFmpeg's name of an encoder, such as ``"libx264"``, ``"libx265"``, ``"libvpx-vp9"``, ``"ffv1"``
    crf : quality on x264's scale, 0 (best) to 63; lossless codecs ignore it
    pix_fmt : stored format; frames are made as 8-bit 4:2:0 and converted
    sound : whether to add a mono tone at 48 kHz, as long as the video
    options : of the encoder; they win over ours, ``x264-params`` and ``x265-params`` are appended
    preset : speed of x264 and x265

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
    require(math.isfinite(fps) and 0 < fps <= 1000, f"fps={fps}", "take more than 0 and at most 1000")
    require(math.isfinite(gop_s) and gop_s > 0, f"gop_s={gop_s}", "take more than 0 seconds")
    require(0 <= bframes <= 16, f"bframes={bframes}", "take 0 to 16")
    require(0 <= crf <= 63, f"crf={crf}", "take 0 (best) to 63")
    _check_formats(codec, pix_fmt)
    pictures = cover_frames(width, height, frames, seed)
    rate = Fraction(fps).limit_denominator(1001)
    gop, out = max(1, round(gop_s * rate)), Output(path, True)
    ours = _codec_options(codec, gop, crf, preset) | {"bf": str(bframes)}
    with out.folder() as folder:
        part = folder / path.name
        try:
            # sound is coded first: let the muxer hold it, however long, until the pictures have come as far
            with av.open(str(part), "w", options={"max_interleave_delta": "0"}) as container:
                video = _add_video(container, codec, rate, (width, height), pix_fmt, gop)
                _open_encoder(video.codec_context, codec, ours, options or {})
                tone = _add_tone(container, path.suffix) if sound else None
                if tone is not None:
                    _encode_tone(container, tone, seed, frames / rate)
                for pts, picture in enumerate(pictures):
                    container.mux(video.encode(_to_frame(picture, pts, video.codec_context)))
                container.mux(video.encode(None))
        except ParameterError:
            raise
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"cannot write {path}: {error}; check container, folder and disk") from error
        except ValueError as error:
            raise ParameterError(f"{path.name}: {error}; take an extension that holds this codec") from error
        out.publish(part)
    return path


def _check_formats(codec: str, pix_fmt: str) -> None:
    try:
        kind = av.Codec(codec, "w").type
        av.VideoFormat(pix_fmt)
    except ValueError as error:
        raise ParameterError(
            f"codec={codec!r}, pix_fmt={pix_fmt!r}: {error}; take an encoder and a pixel format FFmpeg has"
        ) from error
    require(kind == "video", f"codec={codec!r}", "take a video encoder")


def _add_video(
    container: OutputContainer, codec: str, rate: Fraction, size: tuple[int, int], pix_fmt: str, gop: int
) -> VideoStream:
    stream = cast(VideoStream, container.add_stream(codec, rate=rate))
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt, context.gop_size = pix_fmt, gop
    stream.time_base = context.time_base = 1 / rate
    rgb = av.VideoFormat(pix_fmt).is_rgb
    context.color_primaries = context.color_trc = _BT709
    context.colorspace = _RGB if rgb else _BT709
    context.color_range = _FULL if rgb or pix_fmt.startswith("yuvj") else _TV
    return stream


def _codec_options(codec: str, gop: int, crf: float, preset: str) -> dict[str, str]:
    """What makes this encoder give ordinary video with fixed, closed GOPs.

    x264 goes without macroblock trees: in the x264 of PyAV 18.1 they differ from run to run where the
    processor has AVX-512 (not with ``asm=avx2``), and covers have to repeat.
    """
    fixed = f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0"
    x264 = {"preset": preset, "crf": str(crf), "x264-params": f"{fixed}:mbtree=0"}
    table = {
        "libx264": x264,
        "libx264rgb": x264,
        "libx265": {"preset": preset, "crf": str(crf), "x265-params": f"{fixed}:log-level=error"},
        "libvpx-vp9": {"crf": str(crf), "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"},
        "libsvtav1": {"crf": str(crf), "preset": "10"},
        "ffv1": {"level": "3"},
    }
    scale = round(_QP2LAMBDA * max(1.0, crf / 5))
    return table.get(codec, {"flags": "+qscale", "global_quality": str(scale), "sc_threshold": "1000000000"})


def _open_encoder(
    context: VideoCodecContext, codec: str, ours: Mapping[str, str], more: Mapping[str, str]
) -> None:
    appended = {
        name: f"{ours[name]}:{more[name]}"  # the last one wins inside x264 and x265
        for name in ("x264-params", "x265-params")
        if name in ours and name in more
    }
    context.options = options = {**ours, **more, **appended}
    try:
        context.open()
    except av.FFmpegError as error:
        raise ParameterError(
            f"{codec} refuses {context.width}x{context.height} {context.pix_fmt} with {options}; "
            "4:2:0 wants even sizes, interlaced 4:2:0 a height in fours, and options must be this encoder's"
        ) from error
    unknown = sorted(set(context.options) & set(more))  # libav leaves what it did not use
    require(not unknown, f"options={unknown} of {codec}", "take options that this encoder has")


def _to_frame(picture: Planes, pts: int, context: VideoCodecContext) -> av.VideoFrame:
    height, width = picture[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, samples in zip(planes(frame), picture, strict=True):
        plane[:] = samples
    frame.colorspace, frame.color_range = _BT709, _TV
    if context.pix_fmt != "yuv420p":
        frame = frame.reformat(format=context.pix_fmt)
    frame.pts, frame.time_base = pts, context.time_base
    frame.pict_type = 0
    return frame


def _add_tone(container: OutputContainer, suffix: str) -> AudioStream:
    codec = "libopus" if suffix.lower() == ".webm" else "aac"
    stream = cast(AudioStream, container.add_stream(codec, rate=_RATE))
    stream.codec_context.layout = "mono"
    stream.codec_context.bit_rate = 96_000
    return stream


def _encode_tone(container: OutputContainer, stream: AudioStream, seed: int, duration_s: Fraction) -> None:
    """A quiet mono tone whose pitch and loudness sway, a second at a time."""
    pitch, end = 220 * 2 ** (seed % 12 / 12), round(duration_s * _RATE)
    for start in range(0, end, _RATE):
        t = np.arange(start, min(start + _RATE, end)) / _RATE
        loudness = 0.15 + 0.05 * np.sin(2 * np.pi * 0.7 * t)
        wave = loudness * np.sin(2 * np.pi * pitch * t + 2 * np.sin(np.pi * t))
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, start, Fraction(1, _RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
