"""What comes along with a frame beside its samples."""

from __future__ import annotations

from typing import Any

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame


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
