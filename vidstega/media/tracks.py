"""The streams of an output: which ones its container can hold, and how each is added.

Where libav's muxer does not know a sample description, the packets travel under another, and `mend` puts
the right one in its place afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from vidstega.media.coders import Encoding, RawPictures, Recipe, wants_header
from vidstega.media.encode import Encoder, configure, describe
from vidstega.media.open import codec_name, is_cover_art
from vidstega.media.source import Scan, Source

MUXERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".3gp": "3gp",
    ".3g2": "3g2",
    ".mov": "mov",
    ".qt": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".m2t": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
    ".flv": "flv",
}
"""libav's muxer by an output's extension."""
ISO = ("mp4", "3gp", "3g2", "mov")
_TS = (
    *("mpeg1video", "mpeg2video", "mpeg4", "h264", "hevc", "vvc", "cavs", "dirac", "vc1", "avs2", "avs3"),
    *("mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m"),
    *("dvb_subtitle", "dvb_teletext", "smpte_klv", "timed_id3"),
)
_BLU_RAY = ("pcm_bluray", "hdmv_pgs_subtitle", "hdmv_text_subtitle")
"""What MPEG-TS has a stream type for; libav writes anything else too, but no reader knows what it is."""
_BESIDES_CODING = (b"pasp", b"clap", b"colr", b"fiel", b"st3d", b"sv3d", b"mdcv", b"clli", b"amve", b"cclv")
"""What a sample description tells of a picture that does not depend on how it is coded."""


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
        self._source, self._output, self._scan = source, output, scan
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

    def carrying(self, stream: Any, recipe: Recipe, known: bool) -> Added:
        """Add the stream that carries: its copy, or one like it by another codec."""
        track, aspect = (
            self._tracks.get(stream.id),
            stream.sample_aspect_ratio or self._scan.source.look.aspect,
        )
        if track is None and (track := as_track(stream)) and aspect and self._muxer != "mov":
            boxes.widen(track, aspect)
        if isinstance(recipe, Encoding):
            new = _add_coded(self._output, stream, track, self._scan.source, recipe)
        else:
            new = self._spliced(stream, recipe, known)
        role = "coded" if isinstance(recipe, Encoding) else "copy"
        if aspect:
            new.codec_context.sample_aspect_ratio = aspect
        return self._added(new, stream, role, track, aspect=aspect, size=self._scan.size)

    def _spliced(self, stream: Any, recipe: Recipe, known: bool) -> Any:
        if not holds(self._muxer, self._suffix, stream):
            name = self._scan.codec
            raise UnsupportedError(f"{self._suffix} cannot hold this {name} video; use .mkv")
        copy = add_copy(self._output, stream)
        if isinstance(recipe, RawPictures):
            copy.codec_context.extradata = recipe.extradata
        if known:  # and so not looked into
            describe(copy.codec_context, self._scan.source)
            copy.codec_context.reorder_depth = self._scan.source.reorder
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
        with _nothing_known() as template:
            new = self._output.add_stream_from_template(template)
        new.metadata.clear()
        _copy_marks(new, stream)
        return self._added(new, stream, "opaque", track)

    def _stand_in(self, stream: Any) -> Added | None:
        """The track of a Matroska file as it is, or sound as Windows describes it."""
        entry = self._entries[stream.index] if stream.index < len(self._entries) else _as_acm(stream)
        stands_for = {"video": "mjpeg", "audio": "pcm_s16le", "subtitle": "subrip"}.get(stream.type)
        if not entry or stands_for is None:
            return None
        rate = stream.codec_context.sample_rate if stream.type == "audio" else None
        size = {"width": 16, "height": 16} if stream.type == "video" else {}
        new = self._output.add_mux_stream(stands_for, rate, **size)
        _copy_marks(new, stream)
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
        name = codec_name(stream) if stream.codec_context is not None else getattr(stream, "name", None)
        return name in _TS or (name in _BLU_RAY and suffix in (".mts", ".m2ts"))
    try:
        with av.open(BytesIO(), "w", format=muxer) as trial:
            add_copy(trial, stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def add_copy(output: OutputContainer, stream: Any) -> Any:
    """A stream for the same packets."""
    copy = output.add_stream_from_template(stream, opaque=True)
    _copy_marks(copy, stream)
    return copy


def _copy_marks(copy: Any, stream: Any) -> None:
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    if stream.time_base:
        copy.time_base = stream.time_base


# -- what libav says of a stream ------------------------------------------------------------------------


def as_track(stream: Any) -> Box | None:
    """How libav describes a stream in MP4, whatever it comes from; None if it cannot."""
    for muxer in ("mp4", "mov"):
        try:
            return _track_of(_header(muxer, lambda output: add_copy(output, stream)))
        except (av.error.FFmpegError, ValueError):
            continue
    return None


def as_entry(stream: Any) -> ebml.Elements:
    """How libav describes a stream in Matroska; nothing if it cannot."""
    try:
        header = _header("matroska", lambda output: add_copy(output, stream))
    except (av.error.FFmpegError, ValueError):
        return []
    return next(iter(ebml.parse_tracks(header)), [])


def _header(muxer: str, add: Any) -> bytes:
    """What a file with one stream starts with."""
    memory = BytesIO()
    options = {"strict": "unofficial"} | ({"movflags": "empty_moov"} if muxer in ISO else {})
    with av.open(memory, "w", format=muxer, options=options, metadata_errors="ignore") as output:
        add(output)
        output.start_encoding()
        return memory.getvalue()


def _track_of(header: bytes) -> Box | None:
    movie = boxes.parse_movie(header)
    return None if movie is None else next(iter(boxes.tracks(movie)), None)


def _as_acm(stream: Any) -> ebml.Elements:
    """How Matroska describes sound that only Windows has a number for (RFC 9559, A_MS/ACM)."""
    try:
        wave = _header("wav", lambda output: add_copy(output, stream))
    except (av.error.FFmpegError, ValueError):
        return []
    at = wave.find(b"fmt ")
    size = int.from_bytes(wave[at + 4 : at + 8], "little")
    private = wave[at + 8 : at + 8 + size]
    context, bits = stream.codec_context, int.from_bytes(private[14:16], "little")
    sound = [
        (ebml.RATE, ebml.real(context.sample_rate)),
        (ebml.CHANNELS, ebml.number(context.layout.nb_channels)),
        *([(ebml.BITS, ebml.number(bits))] if bits else []),
    ]
    return [(ebml.CODEC, b"A_MS/ACM"), (ebml.PRIVATE, private), (ebml.AUDIO, ebml.pack(sound))]


@contextmanager
def _nothing_known() -> Iterator[Any]:
    """A stream of data that libav passes on as it is."""
    header = _header("mp4", lambda output: output.add_data_stream("bin_data"))
    with av.open(BytesIO(header)) as template:
        yield template.streams[0]


def _add_coded(
    output: OutputContainer, stream: Any, track: Box | None, source: Source, recipe: Encoding
) -> Any:
    """A stream by a recipe's codec that says of its pictures what another track says."""
    with _described_like(track, source, recipe) as template:
        coded: Any = output.add_stream_from_template(template, opaque=True)
    _copy_marks(coded, stream)
    for key in [key for key in coded.metadata if key.lower() == "encoder"]:
        del coded.metadata[key]
    context = coded.codec_context
    context.extradata = Encoder(source, recipe.lossless, wants_header(recipe.container)).extradata or None
    describe(context, source)
    context.framerate = source.rate
    coded.time_base = source.time_base
    return coded


@contextmanager
def _described_like(track: Box | None, source: Source, recipe: Encoding) -> Iterator[Any]:
    """A stream by a recipe's codec, described by libav's own reading of an MP4 header.

    It is the one way to give a muxer what PyAV has no setter for: mirroring, cropping, what is spherical.
    """

    def add(output: OutputContainer) -> None:
        coded: Any = output.add_stream(recipe.lossless.codec, rate=source.rate)
        configure(coded.codec_context, source, recipe.lossless)

    muxer = "mov" if recipe.lossless.codec == "ffv1" else "mp4"
    header = _header(muxer, add)
    movie = boxes.parse_movie(header)
    assert movie is not None
    told = boxes.tracks(movie)[0]
    for entry in boxes.sample_entries(told):
        entry.children += recipe.light.boxes
    if track is not None:
        liken(told, track, besides_coding(track))
    with av.open(BytesIO(header[: header.index(b"moov") - 4] + movie.pack())) as template:
        yield template.streams[0]


def besides_coding(track: Box) -> tuple[bytes, ...]:
    """Kinds of boxes that describe a track's pictures however they are coded; of two views one is left."""
    lost = (b"st3d",) if boxes.has_second_view(track) else ()
    return tuple(kind for kind in _BESIDES_CODING if kind not in lost)


def liken(track: Box, other: Box, kinds: tuple[bytes, ...]) -> None:
    """Let a track be presented as another is, and its samples described by these boxes of the other's."""
    boxes.show_as(track, other)
    for entry, model in zip(boxes.sample_entries(track), boxes.sample_entries(other), strict=False):
        for kind in kinds:
            if (box := model.get(kind)) is not None:
                entry.put(box)
