"""Decoding without any tolerance: what a decoder that forgives nothing makes of a group of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av.error
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega.errors import InputError
from vidstega.media.decode import packets_from
from vidstega.media.open import reading
from vidstega.media.source import Packets, Source


def decode_strictly(
    source: Source,
    first: int,
    packets: Packets,
    wanted: NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode packets from `first` on, and give numbers and frames; of coding without interlacing.

    Parameters
    ----------
    packets : rows of the packet table; decoding can start at the first of them
    wanted : which of them are to come out; where it is given, pictures that none depends on are passed over

    Raises
    ------
    InputError
        If the decoder has anything to complain about.
    """
    numbers = {int(pts): number for number, pts in enumerate(packets["pts"].tolist())}
    with reading(source.path, skip_frame="all") as container:
        context: Any = container.streams[source.index].codec_context
        context.thread_count, context.thread_type = threads, "AUTO" if threads > 1 else "NONE"
        context.options = {"err_detect": "explode"}
        context.reorder_depth = source.reorder
        try:
            for frame in _frames(container, context, source, first, packets, wanted):
                number = -1 if frame.pts is None else numbers.get(frame.pts, -1)
                if frame.is_corrupt:
                    raise InputError(f"{source.path}: packet {first + number} decodes as damaged")
                if number >= 0 and (wanted is None or wanted[number]):
                    yield first + number, frame
        except av.error.FFmpegError as error:
            raise InputError(
                f"{source.path}: a decoder that forgives nothing stops ({error.strerror})"
            ) from None


def _frames(
    container: Any,
    context: Any,
    source: Source,
    first: int,
    packets: Packets,
    wanted: NDArray[np.bool_] | None,
) -> Iterator[VideoFrame]:
    for ordinal, packet in packets_from(container, source, first, packets[0]):
        if ordinal >= first + len(packets):
            break
        # of other codecs' pictures a decoder does not know which ones none depends on
        passed_over = source.codec == "h264" and wanted is not None and not wanted[ordinal - first]
        context.skip_frame = "NONREF" if passed_over else "DEFAULT"
        yield from context.decode(packet)
    yield from context.decode(None)
