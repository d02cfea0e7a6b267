"""Which lossless codec the control arms write: the fastest of OpenCV's that comes back exactly, by trial."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from vidstega.clock import Clock
from vidstega.errors import InputError, OutputError
from vidstega.lab.arms.control import Picture, open_video, open_writer, pictures
from vidstega.lab.model import Model, field

CODECS = (("HFYU", ".mkv"), ("FFV1", ".mkv"), ("FFVH", ".mkv"), ("ULRG", ".mkv"), ("M8RG", ".mkv"))
"""Lossless codecs OpenCV's FFmpeg may write. Some go through 4:2:2 or 4:2:0, are not exact, and fall out;
PNG, JPEG-LS and JPEG 2000 are exact or nearly so and ten times slower, so they are not tried at all."""


class Trial(Model):
    """How one codec of OpenCV did on a few frames."""

    fourcc: str = field("OpenCV's name")
    suffix: str = field("of the file")
    exact: bool = field("whether frames come back as they were")
    write_s: float = field("in the best of three turns", "s")
    read_s: float = field("in the best of three turns", "s")

    @property
    def seconds(self) -> float:
        """Writing and reading."""
        return self.write_s + self.read_s


class Codec(Trial):
    """The codec of the control arms, and all that were tried."""

    trials: tuple[Trial, ...] = field("all of them")


def pick_codec() -> Codec:
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
    trials = tuple(min(some, key=lambda one: (one.exact, one.seconds)) for some in zip(*turns, strict=True))
    exact = [trial for trial in trials if trial.exact]
    if not exact:
        raise OutputError(f"OpenCV writes none of {', '.join(name for name, _ in CODECS)} without loss here")
    return Codec(**min(exact, key=lambda one: one.seconds).model_dump(), trials=trials)


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
        return Trial(fourcc=fourcc, suffix=suffix, exact=False, write_s=0.0, read_s=0.0)
    exact = len(back) == len(frames) and all(map(np.array_equal, back, frames))
    took = {"write_s": clock.seconds["write"], "read_s": clock.seconds["read"]}
    return Trial(fourcc=fourcc, suffix=suffix, exact=exact, **took)
