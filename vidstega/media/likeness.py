"""What libav says of a stream, as the header of a file with that stream alone, and streams made from such.

It is the one way to ask and to tell libav what PyAV has no attribute for: mirroring, cropping, what is
spherical, the light a picture was graded in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import av
import av.error
from av.container import OutputContainer

from vidstega.media import boxes, ebml
from vidstega.media.boxes import Box
from vidstega.media.coders import Encoding, wants_header
from vidstega.media.encode import Encoder, configure, describe
from vidstega.media.source import Source

ISO = ("mp4", "3gp", "3g2", "mov")
"""The muxers that write boxes."""
_BESIDES_CODING = (b"pasp", b"clap", b"colr", b"fiel", b"st3d", b"sv3d", b"mdcv", b"clli", b"amve", b"cclv")
"""What a sample description tells of a picture that does not depend on how it is coded."""


def add_copy(output: OutputContainer, stream: Any) -> Any:
    """A stream for the same packets."""
    copy = output.add_stream_from_template(stream, opaque=True)
    copy_marks(copy, stream)
    return copy


def copy_marks(copy: Any, stream: Any) -> None:
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    if stream.time_base:
        copy.time_base = stream.time_base


def as_track(stream: Any) -> Box | None:
    """How libav describes a stream in MP4, whatever it comes from; None if it cannot."""
    try:
        return _track_of(_header("mp4", lambda output: add_copy(output, stream)))
    except (av.error.FFmpegError, ValueError):
        return None if stream.type != "video" else _as_track_of_another(as_entry(stream))


def _as_track_of_another(entry: ebml.Elements) -> Box | None:
    """What libav says of a picture's look in MP4, where MP4 has no name for its codec."""
    if not entry:
        return None
    renamed = [*ebml.without(entry, ebml.CODEC, ebml.PRIVATE), (ebml.CODEC, b"V_MJPEG")]
    with av.open(BytesIO(ebml.file_of(renamed))) as other:
        return _track_of(_header("mp4", lambda output: add_copy(output, other.streams[0])))


def as_entry(stream: Any) -> ebml.Elements:
    """How libav describes a stream in Matroska; nothing if it cannot."""
    try:
        header = _header("matroska", lambda output: add_copy(output, stream))
    except (av.error.FFmpegError, ValueError):
        return []
    tracks = ebml.tracks_in(BytesIO(header))
    return tracks.entries[0] if tracks and tracks.entries else []


def _header(muxer: str, add: Callable[[OutputContainer], Any]) -> bytes:
    """What a file with one stream starts with."""
    memory = BytesIO()
    options = {"strict": "unofficial"} | ({"movflags": "empty_moov"} if muxer in ISO else {})
    with av.open(memory, "w", format=muxer, options=options, metadata_errors="ignore") as output:
        add(output)
        output.start_encoding()
        return memory.getvalue()


def _track_of(header: bytes) -> Box | None:
    movie = boxes.parse_movie(header)
    track = None if movie is None else next(iter(boxes.tracks(movie)), None)
    for entry in [] if track is None else boxes.sample_entries(track):
        if entry.get(b"st3d") or entry.get(b"sv3d"):
            entry.drop(b"vexu")  # which says the same again
    return track


def as_acm(stream: Any) -> ebml.Elements:
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
def nothing_known() -> Iterator[Any]:
    """A stream of data that libav passes on as it is."""
    header = _header("mp4", lambda output: output.add_data_stream("bin_data"))
    with av.open(BytesIO(header)) as template:
        yield template.streams[0]


def add_coded(
    output: OutputContainer, stream: Any, track: Box | None, source: Source, recipe: Encoding
) -> Any:
    """A stream by a recipe's codec that says of its pictures what another track says."""
    with _described_like(track, source, recipe) as template:
        coded: Any = output.add_stream_from_template(template, opaque=True)
    copy_marks(coded, stream)
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
    """A stream by a recipe's codec, described by libav's own reading of an MP4 header."""
    movie = boxes.parse_movie(header := _coded_header(source, recipe))
    assert movie is not None
    told = boxes.tracks(movie)[0]
    for entry in boxes.sample_entries(told):
        entry.children += recipe.light.boxes
        if recipe.lossless.codec == "ffv1":  # libav reads it in MP4, but does not write it
            entry.kind = b"FFV1"
            entry.drop(b"esds")
    if track is not None:
        liken(told, track, besides_coding(track))
    with av.open(BytesIO(header[: header.index(b"moov") - 4] + movie.pack())) as template:
        yield template.streams[0]


def _coded_header(source: Source, recipe: Encoding) -> bytes:
    codec, lossless = recipe.lossless.codec, recipe.lossless

    def add(output: OutputContainer) -> None:
        coded: Any = output.add_stream("mjpeg" if codec == "ffv1" else codec, rate=source.rate)
        if codec == "ffv1":
            coded.codec_context.width, coded.codec_context.height = source.size
            coded.codec_context.pix_fmt = "yuvj444p"
        else:
            configure(coded.codec_context, source, lossless)

    return _header("mp4", add)


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
