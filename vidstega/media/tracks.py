"""The streams of an output: which ones its container can hold, and how each is added.

Where libav's muxer does not know a sample description, the packets travel under another, and `mend` puts
the right one in its place afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer, OutputContainer

from vidstega.errors import UnsupportedError
from vidstega.media import boxes, ebml
from vidstega.media.boxes import Box
from vidstega.media.coders import Copied, Encoding, RawPictures, Recipe
from vidstega.media.encode import describe
from vidstega.media.likeness import ISO, add_coded, add_copy, as_acm, as_track, copy_marks, nothing_known
from vidstega.media.open import codec_name, is_cover_art
from vidstega.media.source import Scan

MUXERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".m4a": "mp4",
    ".f4v": "mp4",
    ".3gp": "3gp",
    ".3g2": "3g2",
    ".mov": "mov",
    ".qt": "mov",
    ".mkv": "matroska",
    ".mk3d": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".m2t": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".flv": "flv",
}
"""libav's muxer by an output's extension."""
_TS = (
    *("mpeg1video", "mpeg2video", "mpeg4", "h264", "hevc", "vvc", "cavs", "dirac", "vc1", "avs2", "avs3"),
    *("mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m"),
    *("dvb_subtitle", "dvb_teletext", "smpte_klv", "timed_id3"),
)
_BLU_RAY = ("pcm_bluray", "hdmv_pgs_subtitle", "hdmv_text_subtitle")
"""What MPEG-TS has a stream type for; libav writes anything else too, but no reader knows what it is."""


@dataclass(frozen=True)
class Added:
    """A stream of the output.

    Parameters
    ----------
    stream : what packets are given
    number : its number in the output
    role : "copy" of packets, "coded" anew, or where libav does not know its description, "opaque"
    kind : of media
    track : the track of an MP4 or MOV file that it comes from, or is like
    entry : the description of the Matroska track that it comes from, or is like
    aspect : of a sample, if it is a video
    size : of a picture, (width, height)
    title : its name
    quicktime : whether the track is described as QuickTime does
    """

    stream: Any
    number: int
    role: str
    kind: str
    track: Box | None = field(repr=False, default=None)
    entry: ebml.Elements = field(repr=False, default_factory=list)
    aspect: Fraction | None = None
    size: tuple[int, int] = (0, 0)
    title: str = ""
    quicktime: bool = False


class Adder:
    """Adds the streams of a source to an output, one by one."""

    def __init__(self, source: InputContainer, output: OutputContainer, scan: Scan, target: Path) -> None:
        self._output, self._scan = output, scan
        self._suffix, self._muxer = target.suffix.lower(), MUXERS[target.suffix.lower()]
        self.movie = boxes.read_movie(scan.path) if _is_iso(source) else None
        self._tracks = {boxes.track_id(track): track for track in boxes.tracks(self.movie or Box(b"moov"))}
        self._quicktime = self.movie is not None and boxes.is_quicktime(scan.path)
        told = ebml.read_tracks(scan.path) if "matroska" in source.format.name else None
        self._entries = [e for e in told.entries if ebml.get(e, ebml.CODEC)] if told else []

    @property
    def has_timecode(self) -> bool:
        """Whether a track of the source's tells its time code, so that a tag need not."""
        return any(boxes.handler(track) == b"tmcd" for track in self._tracks.values())

    def carrying(self, stream: Any, recipe: Recipe | Copied, known: bool) -> Added:
        """Add the stream that carries: its copy, or one like it by another codec."""
        track = self._tracks.get(stream.id)
        aspect = stream.sample_aspect_ratio or self._scan.source.look.aspect
        if track is None and (track := as_track(stream)) and aspect and self._muxer != "mov":
            boxes.widen(track, aspect)
        if isinstance(recipe, Encoding):
            new = add_coded(self._output, stream, track, self._scan.source, recipe)
        else:
            new = self._spliced(stream, recipe, known)
        role = "coded" if isinstance(recipe, Encoding) else "copy"
        if aspect:
            new.codec_context.sample_aspect_ratio = aspect
        return self._added(new, stream, role, track, aspect=aspect, size=self._scan.size)

    def _spliced(self, stream: Any, recipe: Recipe | Copied, known: bool) -> Any:
        if not holds(self._muxer, self._suffix, stream):
            name = self._scan.codec
            raise UnsupportedError(f"{self._suffix} cannot hold this {name} video; use .mkv")
        copy = add_copy(self._output, stream)
        if isinstance(recipe, RawPictures):
            copy.codec_context.extradata = recipe.extradata
        if known:  # and so not looked into
            describe(copy.codec_context, self._scan.source)
            copy.codec_context.reorder_depth = self._scan.source.look.reorder
        return copy

    def other(self, stream: Any) -> Added | None:
        """Add another stream; None if the container cannot hold it."""
        track = self._tracks.get(stream.id)
        if track and self._muxer in ISO and (boxes.handler(track) in (b"tmcd", b"meta") or _is_data(stream)):
            return self._opaque(stream, track)
        if holds(self._muxer, self._suffix, stream):
            copy = add_copy(self._output, stream)
            return self._added(copy, stream, "copy", track, **_shape(copy, stream))
        if is_cover_art(stream):
            return None
        if track and self._muxer in ISO and self._quicktime == (self._muxer == "mov"):
            return self._opaque(stream, track)
        return self._stand_in(stream) if self._muxer == "matroska" else None

    def _opaque(self, stream: Any, track: Box) -> Added:
        """The track of an MP4 as it is, of whatever kind."""
        with nothing_known() as template:
            new = self._output.add_stream_from_template(template)
        new.metadata.clear()
        copy_marks(new, stream)
        return self._added(new, stream, "opaque", track)

    def _stand_in(self, stream: Any) -> Added | None:
        """The track of a Matroska file as it is, or sound as Windows describes it."""
        entry = self._entries[stream.index] if stream.index < len(self._entries) else as_acm(stream)
        stands_for = {"video": "mjpeg", "audio": "pcm_s16le", "subtitle": "subrip"}.get(stream.type)
        if not entry or stands_for is None:
            return None
        rate = stream.codec_context.sample_rate if stream.type == "audio" else None
        size = {"width": 16, "height": 16} if stream.type == "video" else {}
        new = self._output.add_mux_stream(stands_for, rate, **size)
        copy_marks(new, stream)
        return self._added(new, stream, "opaque", entry=entry)

    def _added(self, new: Any, stream: Any, role: str, track: Box | None = None, **more: Any) -> Added:
        added = Added(new, new.index, role, stream.type, track, quicktime=self._quicktime, **more)
        return self._named(added, stream)

    def _named(self, added: Added, stream: Any) -> Added:
        """In Matroska, with a name that is long enough for what is put in its place later."""
        if self._muxer not in ("matroska", "webm") or not (added.entry or added.aspect):
            return added
        name = next((key for key in stream.metadata if key.lower() == "title"), "title")
        title = added.stream.metadata.pop(name, "")
        added.stream.metadata["title"] = "-" * (80 + len(title.encode()) + len(ebml.pack(added.entry)))
        return replace(added, title=title)


def _is_iso(source: InputContainer) -> bool:
    return "mp4" in source.format.name.split(",")


def _is_data(stream: Any) -> bool:
    return bool(stream.type == "data" and stream.codec_context is None)


def _shape(copy: Any, stream: Any) -> dict[str, Any]:
    """Aspect and size of a copied video's pictures; the copy is told of it too."""
    if stream.type != "video" or is_cover_art(stream) or not stream.sample_aspect_ratio:
        return {}
    copy.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio
    context = stream.codec_context
    return {"aspect": stream.sample_aspect_ratio, "size": (context.width, context.height)}


def holds(muxer: str, suffix: str, stream: Any) -> bool:
    """Whether a container of this extension has a way to say what this stream is."""
    if is_cover_art(stream) and muxer not in ("mp4", "3gp", "3g2"):
        return False  # it would come back as a second video
    if muxer == "mpegts":
        name = codec_name(stream)
        return name in _TS or (name in _BLU_RAY and suffix in (".mts", ".m2ts"))
    try:
        with av.open(BytesIO(), "w", format=muxer) as trial:
            add_copy(trial, stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True
