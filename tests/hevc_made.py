"""HEVC that libx265 makes for tests; without it they are skipped."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidstega import hevc
from vidstega.h264.nal import nals
from vidstega.hevc.slices import Sets
from vidstega.media.scan import scan as scan_file

PLAIN = "bframes=3:b-pyramid=0"


def has_x265() -> bool:
    try:
        av.Codec("libx265", "w")
    except Exception:
        return False
    return True


requires_x265 = pytest.mark.skipif(not has_x265(), reason="PyAV has no libx265")

CODINGS = {
    "default": ("yuv420p", ""),
    "10 bits": ("yuv420p10le", "bframes=4:b-pyramid=1"),
    "no wavefront": ("yuv420p", "wpp=0:signhide=0"),
    "slices": ("yuv420p", "slices=2:wpp=1"),
    "open groups": ("yuv420p", "open-gop=1:bframes=4:b-pyramid=1"),
    "temporal layers": ("yuv420p", "temporal-layers=3:bframes=4:b-pyramid=1"),
    "scaling lists": ("yuv420p", "scaling-list=default:weightb=1"),
    "lossless blocks": ("yuv420p", "cu-lossless=1:rd=6:qp=4"),
    "constrained intra": ("yuv420p", "constrained-intra=1"),
    "amp and rectangles": ("yuv420p", "amp=1:rect=1:rd=6:limit-modes=0"),
    "transform skip": ("yuv420p", "tskip=1:rd=6:qp=12"),
    "units of 16": ("yuv420p", "ctu=16:max-tu-size=16"),
    "units of 32, blocks of 16": ("yuv420p", "ctu=32:min-cu-size=16:max-tu-size=16"),
    "deep trees": ("yuv420p10le", "tu-intra-depth=4:tu-inter-depth=4:cbqpoffs=4:crqpoffs=-5"),
    "small groups of QP": ("yuv420p", "aq-mode=2:qg-size=8:crf=18"),
    "P alone": ("yuv420p", "bframes=0"),
    "no loop filters": ("yuv420p", "no-sao=1:no-deblock=1:b-intra=1"),
}


def encode(
    path: Path,
    params: str = PLAIN,
    *,
    pixels: str = "yuv420p",
    frames: int = 17,
    size: tuple[int, int] = (208, 136),
    noise: int = 14,
    qp: int = 20,
) -> Path:
    """A moving picture with grain, and patches that come and go, by libx265; one key frame in 12."""
    options = {
        "preset": "fast",
        "x265-params": f"log-level=none:pools=1:frame-threads=1:keyint=12:scenecut=0:qp={qp}:{params}",
    }
    width, height = size
    deep = pixels.endswith("10le")
    rng = np.random.default_rng(1)
    grain = rng.integers(0, noise, (height, width))
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.time_base = Fraction(1, 25)
        for i in range(frames):
            luma = 110 + 60 * np.sin((x + 3 * i) / 17) * np.cos((y - 2 * i) / 23) + np.roll(grain, 5 * i, 1)
            for _ in range(4):
                left, top = rng.integers(0, width - 48), rng.integers(0, height - 48)
                luma[top : top + 40, left : left + 48] = (
                    rng.integers(40, 200) + 2 * (x - 2 * y)[:40, :48] % 31
                )
            frame = av.VideoFrame(width, height, "yuv420p10le" if deep else "yuv420p")
            for plane, samples in zip(
                frame.planes, (luma, luma[::2, ::2], 255 - luma[::2, ::2]), strict=True
            ):
                rows = np.zeros(
                    (plane.height, plane.line_size // (1 + deep)), np.uint16 if deep else np.uint8
                )
                rows[:, : plane.width] = samples * (4 if deep else 1)
                plane.update(rows)
            frame = frame.reformat(format=pixels)
            frame.pts = i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def coded_pictures(path: Path) -> Iterator[tuple[av.Packet, list[bytes], Sets]]:
    """Packets of a file with their slices and the parameter sets."""
    scan = scan_file(path)
    sets = Sets.parse(scan.sets.sps, scan.sets.pps)
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams[scan.index]):
            if packet.size:
                units = nals(bytes(packet), scan.sets.extra.length_size)
                yield packet, [nal for nal in units if hevc.is_slice(nal)], sets


def byte_stream(path: Path) -> bytes:
    """The same video with start codes."""
    out = io.BytesIO()
    with av.open(str(path)) as source, av.open(out, "w", format="hevc") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()
