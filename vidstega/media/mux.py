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
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from vidstega.errors import OutputError, ParameterError, UnsupportedError
from vidstega.media.coders import Coded, Copied, Encoding, Recipe
from vidstega.media.likeness import ISO
from vidstega.media.mend import mend
from vidstega.media.open import Heard, is_cover_art, packets_of, reading, solid
from vidstega.media.scan import headers_tell
from vidstega.media.source import KEY, NO_TIME, Scan
from vidstega.media.times import continued
from vidstega.media.tracks import MUXERS, Added, Adder

# libav's interleaver holds packets until every stream has one, for ten seconds if left alone.
_INTERLEAVE_US = 500_000
_TAKES_EQUAL_TIMES = ("matroska", "webm")


def container_of(path: Path) -> str:
    """The container an output's extension asks for."""
    try:
        muxer = MUXERS[path.suffix.lower()]
    except KeyError:
        raise ParameterError(
            f"{path.name}: the extension {path.suffix or '(none)'} says no container that can be written; "
            f"use one of {' '.join(MUXERS)}"
        ) from None
    return "mp4" if muxer in ("3gp", "3g2") else muxer


def _as_attachment(container: str, stream: Any) -> bool:
    """Matroska keeps cover art as an attached file."""
    return container == "matroska" and is_cover_art(stream)


def _is_chapter_track(container: str, stream: Any, source: InputContainer) -> bool:
    """MP4 keeps chapter titles in a track, which a muxer makes of the chapters."""
    return (
        container in ("mp4", "mov", "matroska")
        and stream.type == "data"
        and stream.name == "bin_data"
        and bool(source.chapters())
    )


def mux(
    scan: Scan,
    target: Path,
    recipe: Recipe | Copied,
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
            output = _open_output(target, source, scan)
            adder = Adder(source, output, scan, target)
            copies = _streams(adder, source, output, scan, recipe)
            output.metadata.update(source.metadata)
            if adder.has_timecode:
                _drop_timecodes(output)
            output.set_chapters(source.chapters())
            output.start_encoding()
        added = {index: one for index, one in copies.items() if one is not None}
        streams = {index: one.stream for index, one in added.items()}
        pace = _Pace(container)
        try:
            for item in _merge(source, scan, set(added), parts, progress):
                if isinstance(item, Packet):
                    index, item.stream = item.stream_index, streams[item.stream_index]
                    if index != scan.index:
                        pace.keep(item)
                else:
                    item = _new_packet(item, streams[scan.index], scan.source.time_base)
                with _writing(container):
                    output.mux_one(item)
        except BaseException:
            with suppress(av.error.FFmpegError, OSError):
                output.close()
            raise
        with _writing(container):
            output.close()
            mend(target, list(added.values()), adder.movie)
    return {info.index for info in scan.streams} - set(copies)


def _known_stream(scan: Scan, recipe: Recipe | Copied) -> int | None:
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
        if error.errno in (errno.EINVAL, errno.EPERM, None):  # EPERM: it wants what it was not told
            way_out = "use .mkv" if container != "matroska" else "write it anew: ffmpeg -i IN -c copy OUT.mkv"
            raise UnsupportedError(f"{container} cannot hold this video's packets; {way_out}") from None
        raise OutputError(f"the output cannot be written: {os.strerror(error.errno)}") from None


def _open_output(target: Path, source: InputContainer, scan: Scan) -> OutputContainer:
    muxer = MUXERS[target.suffix.lower()]
    # "unofficial": what is spherical, and the way of Dolby Vision
    options = {"max_interleave_delta": str(_INTERLEAVE_US), "strict": "unofficial"}
    if muxer in ISO:
        options["movie_timescale"] = str(_movie_timescale(source, scan))
        if len(scan.pts) and scan.pts[0] < 0:  # or an edit list would hide what is shown before zero
            options["avoid_negative_ts"] = "make_non_negative"
        if _has_keyed_tags(source):
            options["movflags"] = "use_metadata_tags"
    if muxer == "mpegts":
        options["mpegts_copyts"] = "1"
        if target.suffix.lower() in (".mts", ".m2ts"):
            options["mpegts_m2ts_mode"] = "1"
    output = av.open(str(target), "w", format=muxer, options=options, metadata_errors="ignore")
    output.flags |= av.container.Flags.bitexact.value  # type: ignore[operator]  # no random ids: equal input, equal bytes
    return output


def _drop_timecodes(output: OutputContainer) -> None:
    """A track tells the time code; from a tag libav would make another."""
    for holder in (output, *output.streams):
        for key in [key for key in holder.metadata if key.lower() == "timecode"]:
            del holder.metadata[key]


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


def _streams(
    adder: Adder, source: InputContainer, output: OutputContainer, scan: Scan, recipe: Recipe | Copied
) -> dict[int, Added | None]:
    """By index: the output's stream, or None where the content travels by other means than packets."""
    copies: dict[int, Added | None] = {}
    container = recipe.container
    for stream in source.streams:
        if stream.index == scan.index:
            known = _known_stream(scan, recipe) is not None
            copies[stream.index] = adder.carrying(stream, recipe, known)
        elif _is_chapter_track(container, stream, source):
            copies[stream.index] = None
        elif _as_attachment(container, stream):
            _attach(output, scan.path, stream.index)
            copies[stream.index] = None
        elif (added := adder.other(stream)) is not None:
            copies[stream.index] = added
    return copies


def _attach(output: OutputContainer, path: Path, index: int) -> None:
    with reading(path, skip_frame="all") as source:
        picture = next(solid(source, source.streams[index]), None)
        if picture is None:
            return
        kind = {"mjpeg": "jpeg"}.get(codec := source.streams[index].codec_context.name, codec)
        output.add_attachment(f"cover.{kind}", f"image/{kind}", bytes(picture))


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
    ordinal, heard = -1, Heard()
    for packet in continued(packets_of(source), scan):
        if not packet.size or packet.stream_index not in wanted:
            continue
        if packet.stream_index != scan.index:
            if heard.is_played(packet):
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


class _Pace:
    """Mends the times of other streams' packets where one container says less than the next one needs."""

    def __init__(self, container: str) -> None:
        self._apart = container not in _TAKES_EQUAL_TIMES
        self._last: dict[int, tuple[int, int]] = {}  # as it was read, and in ticks of the output
        self._step: dict[int, int] = {}

    def keep(self, packet: Packet[Any]) -> None:
        """Give a packet of sound a duration if it has none, and let it come a tick after the one before it.

        Matroska tells no durations of sound, without which MP4 would end before the last packet; and it
        rounds to a millisecond, in which more than one packet may begin.
        """
        index, tick = packet.stream_index, packet.stream.time_base
        if packet.dts is None or packet.time_base is None or tick is None:
            return
        before, last = self._last.get(index, (None, None))
        if before is not None:
            self._step[index] = packet.dts - before
        if not packet.duration and packet.stream.type == "audio":
            packet.duration = max(0, self._step.get(index, 0))
        dts, at = packet.dts, _rescaled(packet.dts, packet.time_base, tick)
        if last is not None and at < last + self._apart:
            at = last + self._apart
            _set_apart(packet, at, tick)
        self._last[index] = dts, at


def _rescaled(ticks: int, before: Fraction, after: Fraction) -> int:
    """Ticks of one time base in those of another, rounded; in whole numbers, as fractions are slow."""
    ours, theirs = before.numerator * after.denominator, before.denominator * after.numerator
    return (2 * ticks * ours + theirs) // (2 * theirs)


def _set_apart(packet: Packet[Any], dts: int, tick: Fraction) -> None:
    assert packet.time_base is not None
    ratio, pts = Fraction(packet.time_base / tick), packet.dts if packet.pts is None else packet.pts
    packet.pts, packet.dts = max(round((pts or 0) * ratio), dts), dts
    packet.duration, packet.time_base = round((packet.duration or 0) * ratio), tick


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
