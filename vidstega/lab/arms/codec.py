"""Which lossless codec the control arms write: the fastest of OpenCV's that comes back exactly, by trial."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidstega.clock import Clock
from vidstega.errors import InputError, OutputError
from vidstega.lab.arms.control import Picture, open_video, open_writer, pictures

CODECS = (("HFYU", ".mkv"), ("FFV1", ".mkv"), ("FFVH", ".mkv"), ("ULRG", ".mkv"), ("M8RG", ".mkv"))
"""Lossless codecs OpenCV's FFmpeg may write. Some go through 4:2:2 or 4:2:0, are not exact, and fall out;
PNG, JPEG-LS and JPEG 2000 are exact or nearly so and ten times slower, so they are not tried at all."""


@dataclass(frozen=True)
class Trial:
    """How one codec did on a few frames; seconds are the best of three turns."""

    fourcc: str
    suffix: str
    exact: bool
    write_s: float = 0.0
    read_s: float = 0.0


def pick_codec() -> tuple[Trial, list[Trial]]:
    """The fastest of `CODECS` that comes back exactly, by trial on a few frames; and all trials.

    They take turns and the best time of each counts: what else the machine does must not make the control
    arm look slow.

    Raises
    ------
    OutputError
        If OpenCV here writes none of them exactly.
    """
    rng = np.random.default_rng([0, 0])
    ramp = np.add.outer(np.arange(360), np.arange(640))[..., None] // (4, 5, 6)
    frames = [(ramp + rng.integers(0, 8, ramp.shape)).astype(np.uint8) for _ in range(6)]
    with tempfile.TemporaryDirectory(prefix="vidstega-") as folder:
        turns = [[_try_codec(*codec, frames, Path(folder)) for codec in CODECS] for _ in range(3)]
    trials = [
        replace(
            some[0],
            exact=all(one.exact for one in some),
            write_s=min(one.write_s for one in some),
            read_s=min(one.read_s for one in some),
        )
        for some in zip(*turns, strict=True)
    ]
    exact = [trial for trial in trials if trial.exact]
    if not exact:
        raise OutputError(f"OpenCV writes none of {', '.join(name for name, _ in CODECS)} without loss here")
    return min(exact, key=lambda trial: trial.write_s + trial.read_s), trials


def _try_codec(fourcc: str, suffix: str, frames: list[Picture], folder: Path) -> Trial:
    path, clock = folder / f"{fourcc}{suffix}", Clock()
    try:
        writer = open_writer(path, fourcc, 25.0, frames[0].shape[1::-1])
        for frame in frames:
            writer.write(frame)
        writer.release()
        clock.lap("write")
        back = list(pictures(open_video(path)))
        clock.lap("read")
    except (InputError, OutputError):
        return Trial(fourcc, suffix, False)
    exact = len(back) == len(frames) and all(map(np.array_equal, back, frames))
    return Trial(fourcc, suffix, exact, clock.seconds["write"], clock.seconds["read"])
