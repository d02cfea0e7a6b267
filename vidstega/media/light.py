"""What comes along with a frame beside its samples, such as how it was graded (HDR10).

That is the colours and light of the display and the light of the content, in the units of the boxes mdcv and
clli, which are those of the SEI messages (ITU-T H.265, D.3.28 and D.3.35).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidstega.media.boxes import Box

_CHROMA, _LUMA = 50_000, 10_000


def side_data(frame: VideoFrame) -> list[Any]:
    """All of it, of kinds that PyAV has no name for too."""
    Type._missing_ = classmethod(_nameless)  # type: ignore[method-assign, assignment]
    return list(frame.side_data)


def _nameless(kinds: Any, value: object) -> Any:
    """A member for a number that FFmpeg knows and PyAV does not; without one no side data can be read."""
    member = object.__new__(kinds)
    member._name_, member._value_ = f"KIND_{value}", value
    return member


def names(frame: VideoFrame) -> set[str]:
    """Names of all kinds there are, in lower case."""
    return {data.type.name.replace("_", " ").lower() for data in side_data(frame)}


@dataclass(frozen=True)
class Light:
    """Contents of the boxes mdcv and clli, empty where nothing is said."""

    mastering: bytes = b""
    content: bytes = b""

    @property
    def boxes(self) -> list[Box]:
        """As they stand in an MP4."""
        told = ((b"mdcv", self.mastering), (b"clli", self.content))
        return [Box(kind, data) for kind, data in told if data]

    def x264(self) -> str:
        """As x264 is told of it, to say so in the stream."""
        told = ""
        if self.mastering:
            gx, gy, bx, by, rx, ry, wx, wy = np.frombuffer(self.mastering[:16], ">u2").tolist()
            most, least = np.frombuffer(self.mastering[16:], ">u4").tolist()
            told += f":mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})"
        if self.content:
            told += ":cll={},{}".format(*np.frombuffer(self.content, ">u2"))
        return told


def light_of(frame: VideoFrame) -> Light:
    """What a frame says of it (FFmpeg's libavutil/mastering_display_metadata.h)."""
    told = {data.type.name: bytes(data) for data in side_data(frame)}
    mastering = told.get("MASTERING_DISPLAY_METADATA", b"")
    content = np.frombuffer(told.get("CONTENT_LIGHT_LEVEL", b"")[:8], "<u4")
    light = b"" if len(content) < 2 else np.minimum(content, 0xFFFF).astype(">u2").tobytes()
    return Light(_mastering(mastering), light)


def _mastering(data: bytes) -> bytes:
    """Eight fractions of red, green, blue and white, two of luminance, and whether each of both is there."""
    if len(data) < 88:
        return b""
    numbers = np.frombuffer(data[:88], "<i4")
    tops, bottoms = numbers[0:20:2], np.maximum(numbers[1:20:2], 1)
    value = tops / bottoms
    red, green, blue, white = (value[at : at + 2] for at in (0, 2, 4, 6))
    if not (numbers[20] and numbers[21]):
        return b""
    chroma = np.rint(np.concatenate([green, blue, red, white]) * _CHROMA).astype(">u2")
    luma = np.rint(value[[9, 8]] * _LUMA).astype(">u4")
    return bytes(chroma.tobytes() + luma.tobytes())
