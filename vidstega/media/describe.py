"""What a player reads in a file beside packets: one description in a user's terms, whatever the container.

A copy is held to it by `compare`: what it does not say as its cover did is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame

from vidstega.media import boxes, ebml
from vidstega.media.boxes import Box
from vidstega.media.decode import DecodeError, decode_span
from vidstega.media.light import Light, light_of, names
from vidstega.media.likeness import as_entry, as_track
from vidstega.media.open import codec_name, is_cover_art, reading
from vidstega.media.source import Scan

Traits = dict[str, Any]
"""What is said of a stream, by the name a user knows it by."""

_PARTS = {
    b"clap": "crop",
    b"st3d": "stereo arrangement",
    b"sv3d": "spherical projection",
    b"amve": "ambient light",
    b"dvcC": "Dolby Vision configuration",
    b"dvvC": "Dolby Vision configuration",
    b"dvwC": "Dolby Vision configuration",
    b"SA3D": "field of sound",
    b"vexu": "arrangement of views",
}
_COLOUR = ("colour range", "colour primaries", "transfer of light", "colour matrix")
_UNSAID = ((0, 1), (0, 2), (0, 2), (2,))
"""Numbers of ISO/IEC 23091-2 for what is not said; the range is the limited one then."""
_SAID_ELSEWHERE = {"sei unregistered", "regions of interest", "video enc params", "motion vectors"}
_SAID_ELSEWHERE |= {"displaymatrix", "stereo3d", "spherical", "mastering display metadata"}
_SAID_ELSEWHERE |= {"content light level", "ambient viewing environment", "skip samples", "icc profile"}


@dataclass(frozen=True)
class Description:
    """What a file says of itself.

    Parameters
    ----------
    streams : by index
    chapters : (start in seconds, title) each
    attachments : (name, bytes) each
    duration_s : of the whole
    """

    streams: dict[int, Traits]
    chapters: tuple[tuple[float, str], ...]
    attachments: tuple[tuple[str, bytes], ...]
    duration_s: float
    tags: dict[str, str] = field(repr=False, default_factory=dict)


def describe_file(scan: Scan, *, decode: bool = True) -> Description:
    """Read what a file says of itself and of its streams.

    Parameters
    ----------
    decode : whether a key frame may be decoded, for colours that parameter sets of H.264 alone say
    """
    with reading(scan.path, skip_frame="nokey" if decode else "all") as container:
        tracks = _tracks_of(scan, container)
        return Description(
            {s.index: _describe(s, tracks.get(s.id)) for s in container.streams},
            tuple(map(_chapter, container.chapters())),
            tuple(_attachment(s) for s in container.streams if s.type == "attachment"),
            (container.duration or 0) / 1_000_000,
            dict(container.metadata),
        )


def _chapter(told: Any) -> tuple[float, str]:
    return float(told["start"] * told["time_base"]), str(told["metadata"].get("title", ""))


def _attachment(stream: Any) -> tuple[str, bytes]:
    return stream.name or "", stream.data


def _tracks_of(scan: Scan, container: InputContainer) -> dict[int, Box]:
    movie = boxes.read_movie(scan.path) if "mp4" in container.format.name.split(",") else None
    return {} if movie is None else {boxes.track_id(track): track for track in boxes.tracks(movie)}


def _describe(stream: Any, track: Box | None) -> Traits:
    said: Traits = {"kind": stream.type, "codec": _codec(stream), "tags": dict(stream.metadata)}
    said["dispositions"] = Disposition(stream.disposition) & ~Disposition.default
    if stream.type == "video" and not is_cover_art(stream):
        said |= _picture(stream)
    elif stream.type == "audio" and stream.codec_context is not None:
        context = stream.codec_context
        said |= {"sampling rate": context.sample_rate, "number of channels": context.layout.nb_channels}
    if track is not None:
        said |= _of_track(stream, track)
    return {name: value for name, value in said.items() if value is not None}


def _codec(stream: Any) -> str:
    """Its name; MP4 tells the layers of MPEG sound apart no more than their decoder does."""
    if codec_name(stream) in ("mp1", "mp2", "mp3"):
        return "MPEG sound"
    return codec_name(stream) or "unknown"


def _picture(stream: Any) -> Traits:
    context = stream.codec_context
    said: Traits = {"sample aspect ratio": Fraction(stream.sample_aspect_ratio or 1)}
    colour = (context.color_range, context.color_primaries, context.color_trc, context.colorspace)
    said |= dict(zip(_COLOUR, map(_said, colour, _UNSAID), strict=True))
    track, entry = as_track(stream), as_entry(stream)
    if track is not None:
        said["rotation or mirroring"] = _turn(track)
        for box in (box for entry in boxes.sample_entries(track)[:1] for box in entry.children):
            if box.kind in _PARTS:
                said[_PARTS[box.kind]] = box.data
    in_colour = ebml.parse(ebml.get(ebml.parse(ebml.get(entry, ebml.VIDEO)), ebml.COLOUR))
    sited = tuple(ebml.get(in_colour, name)[-1:] for name in ebml.SITING)
    said["place of chroma"] = None if sited in ((b"", b""), (b"\1", b"\2")) else sited
    return said


def _said(value: int, unsaid: tuple[int, ...]) -> int | None:
    return None if value in unsaid else int(value)


def _turn(track: Box) -> bytes | None:
    """The part of a display matrix that turns and mirrors; a translation has no meaning for one picture."""
    numbers = np.frombuffer(boxes.shown_as(track)[8:44], ">i4")
    turn = np.sign(numbers[[0, 1, 3, 4]])
    return None if not len(numbers) or turn.tolist() == [1, 0, 0, 1] else numbers[[0, 1, 3, 4]].tobytes()


def _of_track(stream: Any, track: Box) -> Traits:
    """What only an MP4 says for sure: durations, how large a subtitle is, what kind of data a track has."""
    said: Traits = {}
    if stream.duration is not None and stream.time_base:
        said["duration"] = float(stream.duration * stream.time_base)
    if stream.type == "subtitle":
        said["size and place"] = boxes.shown_as(track)[8:]
    if stream.type == "data":
        said["sample description"] = b"".join(entry.pack() for entry in boxes.sample_entries(track))
    if stream.type == "video" and boxes.has_second_view(track):
        said["second view"] = True
    if stream.type == "audio":
        entry = next(iter(boxes.sample_entries(track)), Box(b""))
        said |= {_PARTS[box.kind]: box.data for box in entry.children if box.kind == b"SA3D"}
    return said


# -- what comes along with frames -----------------------------------------------------------------------


def first_frame(scan: Scan) -> Iterator[VideoFrame]:
    """The first frame that is shown, or nothing if it does not decode."""
    try:
        yield next(decode_span(scan.source, 0, scan.packets, scan.pts[:1]))
    except (DecodeError, StopIteration):
        return


def light(scan: Scan) -> Light:
    """How the pictures were graded."""
    return next((light_of(frame) for frame in first_frame(scan)), Light())


def accompanies(scan: Scan) -> set[str]:
    """Names of what comes along with the first frame and is said nowhere else."""
    found: set[str] = set()
    for frame in first_frame(scan):
        found |= names(frame)
        found |= {"the interlaced mark"} if frame.interlaced_frame else set()
    return {name for name in found if not name.startswith("kind ")} - _SAID_ELSEWHERE
