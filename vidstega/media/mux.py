"""Packets in, packets out: one pass over the cover, its carrying packets exchanged for parts.

Nothing is decided here. All other streams, the metadata, chapters, attachments and every timestamp are
copied; what the container cannot hold is named, never dropped in silence.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from vidstega.errors import OutputError, ParameterError, UnsupportedError
from vidstega.media.coders import Coded, Encoding, RawPictures, Recipe
from vidstega.media.decode import display_matrix
from vidstega.media.encode import configure, describe
from vidstega.media.open import is_cover_art, packets_of, reading
from vidstega.media.scan import headers_tell
from vidstega.media.source import KEY, NO_TIME, Scan
from vidstega.media.times import continued

_CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".flv": "flv",
}
# libav's interleaver holds packets until every stream has one, for ten seconds if left alone.
_INTERLEAVE_US = 500_000


def container_of(path: Path) -> str:
    """The container an output's extension asks for."""
    try:
        return _CONTAINERS[path.suffix.lower()]
    except KeyError:
        raise ParameterError(
            f"{path.name}: the extension {path.suffix or '(none)'} says no container that can be written; "
            f"use one of {' '.join(_CONTAINERS)}"
        ) from None


def _as_attachment(container: str, stream: Any) -> bool:
    """Matroska keeps cover art as an attached file."""
    return container == "matroska" and is_cover_art(stream)


def _is_chapter_track(container: str, stream: Any, source: InputContainer) -> bool:
    """MP4 keeps chapter titles in a track, which its muxer makes anew."""
    return (
        container in ("mp4", "mov")
        and stream.type == "data"
        and stream.name == "bin_data"
        and bool(source.chapters())
    )


def _holds(container: str, stream: Any) -> bool:
    if is_cover_art(stream) and container != "mp4":
        return False  # it would come back as a second video
    try:
        with av.open(BytesIO(), "w", format=container) as trial:
            _add_copy(trial, stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _add_copy(output: OutputContainer, stream: Any) -> Any:
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    if stream.time_base:
        copy.time_base = stream.time_base
    return copy


def mux(
    scan: Scan,
    target: Path,
    recipe: Recipe,
    parts: Iterable[tuple[tuple[int, int], Iterable[Coded]]],
    *,
    progress: Callable[[int], None] | None = None,
) -> set[int]:
    """Write `target`: the cover's packets, each replaced range of the carrying stream exchanged for its part.

    Gives the indices of the streams the container cannot hold. No part is asked for before it is known
    that the container holds the carrying one.

    Parameters
    ----------
    recipe : how the parts are coded
    parts : pairs of (packets [start, stop) replaced, packets instead), in order

    Raises
    ------
    OutputError
        If the disk is full.
    UnsupportedError
        If the container cannot hold the carrying video, or one of its packets.
    """
    container = recipe.container
    with reading(scan.path, known_stream=_known_stream(scan, recipe)) as source:
        with _writing(container):
            output = _open_output(target, container, source, scan)
            copies = _streams(source, output, scan, recipe)
            output.metadata.update(source.metadata)
            output.set_chapters(source.chapters())
            output.start_encoding()
        wanted = {index for index, copy in copies.items() if copy is not None}
        try:
            for item in _merge(source, scan, wanted, parts, progress):
                if isinstance(item, Packet):
                    item.stream = copies[item.stream_index]
                else:
                    item = _new_packet(item, copies[scan.index], scan.source.time_base)
                with _writing(container):
                    output.mux_one(item)
        except BaseException:
            with suppress(av.error.FFmpegError, OSError):
                output.close()
            raise
        with _writing(container):
            output.close()
    return {info.index for info in scan.streams} - set(copies)


def _known_stream(scan: Scan, recipe: Recipe) -> int | None:
    """The carrying stream, if the file's headers say all of it that the output needs."""
    # Of a copied stream Matroska also notes where chroma is sited, which a scan does not tell.
    enough = isinstance(recipe, Encoding) or recipe.container != "matroska"
    extradata = scan.sets.extra.extradata if scan.sets.extra else None
    return scan.index if enough and headers_tell(scan.format, scan.codec, extradata) else None


@contextmanager
def _writing(container: str) -> Iterator[None]:
    """What goes wrong with the output, and nothing else, in one line."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        if error.errno in (errno.EINVAL, None):
            raise UnsupportedError(f"{container} cannot hold this video's packets; use .mkv") from None
        raise OutputError(f"the output cannot be written: {os.strerror(error.errno)}") from None


def _open_output(target: Path, container: str, source: InputContainer, scan: Scan) -> OutputContainer:
    options = {"max_interleave_delta": str(_INTERLEAVE_US)}
    if container in ("mp4", "mov"):
        options["movie_timescale"] = str(_movie_timescale(source, scan))
        if len(scan.pts) and scan.pts[0] < 0:  # or an edit list would hide what is shown before zero
            options["avoid_negative_ts"] = "make_non_negative"
        if _has_keyed_tags(source):
            options["movflags"] = "use_metadata_tags"
    if container == "mpegts":
        options["mpegts_copyts"] = "1"
    output = av.open(str(target), "w", format=container, options=options, metadata_errors="ignore")
    output.flags |= av.container.Flags.bitexact.value  # type: ignore[operator]  # no random ids: equal input, equal bytes
    return output


def _has_keyed_tags(source: InputContainer) -> bool:
    """Whether tags are of the kind phones write (com.android.version); MP4 keeps those or cover art."""
    return any(key.startswith("com.") for key in source.metadata) and not any(
        map(is_cover_art, source.streams)
    )


def _movie_timescale(source: InputContainer, scan: Scan) -> int:
    """A timescale in which edit lists of every track come out exact; the video's if there is none."""
    bases = [s.time_base.denominator for s in source.streams if s.time_base and not is_cover_art(s)]
    common = math.lcm(*bases)
    return common if common < 1 << 31 else scan.source.time_base.denominator


def _streams(source: InputContainer, output: OutputContainer, scan: Scan, recipe: Recipe) -> dict[int, Any]:
    """By index: the output's stream, or None where the content travels by other means than packets."""
    copies: dict[int, Any] = {}
    container = recipe.container
    for stream in source.streams:
        if stream.index == scan.index:
            copies[stream.index] = _add_carrying(output, stream, scan, recipe)
        elif _holds(container, stream):
            copies[stream.index] = _add_copy(output, stream)
        elif _as_attachment(container, stream):
            _attach(output, scan.path, stream.index)
            copies[stream.index] = None
        elif _is_chapter_track(container, stream, source):
            copies[stream.index] = None
    return copies


def _add_carrying(output: OutputContainer, stream: Any, scan: Scan, recipe: Recipe) -> Any:
    if isinstance(recipe, Encoding):
        return _add_coded(output, stream, scan, recipe)
    if not _holds(recipe.container, stream):
        raise UnsupportedError(f"{recipe.container} cannot hold this {scan.codec} video; use .mkv")
    copy = _add_copy(output, stream)
    if isinstance(recipe, RawPictures):
        copy.codec_context.extradata = recipe.extradata
    if _known_stream(scan, recipe) is not None:  # and so not looked into
        describe(copy.codec_context, scan.source)
        copy.codec_context.reorder_depth = scan.source.reorder
    return copy


def _attach(output: OutputContainer, path: Path, index: int) -> None:
    with reading(path, known=True) as source:
        picture = next(packet for packet in source.demux(source.streams[index]) if packet.size)
        kind = {"mjpeg": "jpeg"}.get(codec := source.streams[index].codec_context.name, codec)
        output.add_attachment(f"cover.{kind}", f"image/{kind}", bytes(picture))


def _add_coded(output: OutputContainer, stream: Any, scan: Scan, recipe: Encoding) -> Any:
    coded: Any = output.add_stream(recipe.lossless.codec, rate=scan.source.rate)
    configure(coded.codec_context, scan.source, recipe.lossless)
    coded.time_base = scan.source.time_base
    coded.metadata.update({k: v for k, v in stream.metadata.items() if k.lower() != "encoder"})
    coded.disposition = stream.disposition
    if (matrix := display_matrix(scan)) is not None:
        coded.set_display_matrix(np.frombuffer(matrix, "<i4").tolist())
    return coded


def _merge(
    source: InputContainer,
    scan: Scan,
    wanted: set[int],
    parts: Iterable[tuple[tuple[int, int], Iterable[Coded]]],
    progress: Callable[[int], None] | None,
) -> Iterator[Packet[Any] | Coded]:
    """The source's packets in file order; a new one in the place of each that is replaced."""
    ranges = iter(parts)
    (start, stop), fresh = _next_part(ranges)
    ordinal = -1
    for packet in continued(packets_of(source), scan):
        if not packet.size or packet.stream_index not in wanted:
            continue
        if packet.stream_index != scan.index:
            yield packet
            continue
        ordinal += 1
        if progress is not None:
            progress(1)
        if not start <= ordinal < stop:
            yield packet
            continue
        if (new := next(fresh, None)) is not None:
            yield new
        if ordinal == stop - 1:
            yield from fresh
            (start, stop), fresh = _next_part(ranges)
    yield from fresh
    for _, coded in ranges:
        yield from coded


def _next_part(
    ranges: Iterator[tuple[tuple[int, int], Iterable[Coded]]],
) -> tuple[tuple[int, int], Iterator[Coded]]:
    item = next(ranges, None)
    return ((-1, -1), iter(())) if item is None else (item[0], iter(item[1]))


def _new_packet(item: Coded, stream: Any, time_base: Fraction) -> Packet[Any]:
    (pts, dts, duration, _, _, _, flags), data = item
    packet: Packet[Any] = data if isinstance(data, Packet) else Packet(data)
    packet.stream, packet.time_base = stream, time_base
    packet.pts, packet.dts = pts, None if dts == NO_TIME else dts
    packet.duration = duration
    packet.is_keyframe = bool(flags & KEY)
    return packet
