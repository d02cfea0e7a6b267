"""Writing a video anew by a plan: spans are decoded, changed by a transform, coded, and muxed as they come.

One function for all who do that: embedding gives a transform that carries, a measurement of what the codec
alone costs gives none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega.clock import Clock
from vidstega.errors import OutputError, VerificationError
from vidstega.media.coders import Coded, Encoding, Recipe
from vidstega.media.decode import check_format, decode_span, frame_digest, let_go
from vidstega.media.describe import light
from vidstega.media.mux import mux
from vidstega.media.segments import Span
from vidstega.media.source import PACKET, Packets, Scan, Source
from vidstega.pool import Work

Transform = Callable[[int, VideoFrame], bool]
"""Given the number of a frame in its span and the frame, it may change it in place, and says if it did."""


@dataclass(frozen=True)
class Piece:
    """A span, the rows of the packet table it decodes, and what is done to its frames."""

    source: Source
    span: Span
    packets: Packets = field(repr=False)
    transform: Transform | None = None
    threads: int = 1
    digest: bool = False

    def as_they_were(self, on_packet: Any = None) -> Iterator[VideoFrame]:
        """The span's frames, decoded with all that they are predicted from."""
        span = self.span
        return decode_span(self.source, span.first, self.packets, span.pts, self.threads, on_packet)

    def as_written(self, most: int | None = None) -> Iterator[VideoFrame]:
        """The first `most` of the span's frames, where a picture that stands alone needs no other."""
        span = self.span
        return decode_span(self.source, span.first, self.packets, span.pts[:most], alone=span.alone)

    def make_room(self) -> None:
        """Give back what was decoded before; for the few frames of a single picture it is not worth it."""
        if self.span.index or not self.span.alone:
            let_go()


def piece_of(scan: Scan, span: Span, transform: Transform | None = None, **how: Any) -> Piece:
    """The piece of a scanned video that a span is."""
    return Piece(scan.source, span, scan.packets[span.first : span.stop], transform, **how)


@dataclass(frozen=True)
class Rewritten:
    """What came of a rewrite: streams the container left out, digests of the frames as they were coded, and
    where the time went."""

    left_out: frozenset[int]
    digests: NDArray[np.uint64] = field(repr=False)
    seconds: dict[str, float]


def rewrite(scan: Scan, target: Path, pieces: Sequence[Piece], recipe: Recipe, work: Work) -> Rewritten:
    """Write `target`: the source with the packets of each piece exchanged for new ones.

    One worker codes straight into the output; several leave their pieces on disk first.

    Raises
    ------
    DecodeError
        If frames of a piece do not decode.
    UnsupportedError
        If the container cannot hold the video.
    OutputError
        If the disk is full.
    """
    started, clock = time.perf_counter(), Clock()
    if isinstance(recipe, Encoding):
        recipe = recipe.graded(light(scan))
    digests: list[NDArray[np.uint64]] = []

    def coded() -> Iterator[tuple[tuple[int, int], _Coding | Written]]:
        header = None
        for piece, part in zip(pieces, _parts(pieces, recipe, work), strict=True):
            if header not in (None, part.extradata):
                raise VerificationError(f"part {piece.span.index} was coded under another header")
            header = part.extradata
            yield piece.span.replaced, part
            digests.append(part.digests)
            clock.add(part.seconds)

    with work.progress.stage("embed", len(scan.packets)) as advance:
        left_out = mux(scan, target, recipe, coded(), progress=advance)
    # stages of workers add up to more than the wall clock; scale them to the time that passed
    seconds = clock.scaled_to(time.perf_counter() - started, rest="mux")
    return Rewritten(frozenset(left_out), np.concatenate(digests), seconds)


def _parts(pieces: Sequence[Piece], recipe: Recipe, work: Work) -> Iterator[_Coding | Written]:
    if work.pool.alone:
        return (_Coding(piece, recipe) for piece in pieces)
    calls = [(write_piece, piece, recipe, work.folder / f"part-{piece.span.index}") for piece in pieces]
    return work.pool.in_order(calls)


@dataclass(frozen=True)
class Written:
    """A piece on disk, packet after packet in `path`. Iterating gives them and deletes the file."""

    path: Path
    packets: Packets = field(repr=False)
    extradata: bytes
    digests: NDArray[np.uint64] = field(repr=False)
    seconds: dict[str, float]

    def __iter__(self) -> Iterator[Coded]:
        with self.path.open("rb") as part:
            for row in self.packets.tolist():
                yield row, part.read(row[5])
        self.path.unlink()


def write_piece(piece: Piece, recipe: Recipe, path: Path) -> Written:
    """Code a piece into a file."""
    coding, rows = _Coding(piece, recipe), []
    with _writable(path) as out:
        for row, data in coding:
            rows.append(row)
            try:
                out.write(data)
                out.flush()
            except OSError as error:
                raise OutputError(f"a part cannot be written: {error.strerror}") from None
    return Written(path, np.array(rows, PACKET), coding.extradata, coding.digests, coding.seconds)


def _writable(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except OSError as error:
        raise OutputError(f"a part cannot be written: {error.strerror}") from None


class _Coding:
    """A piece being coded: iterating decodes its frames, transforms them, and gives packets as they come.

    ``digests`` (of the frames as they were coded, if the piece asks for them) and ``seconds`` are complete
    when the iteration is.
    """

    def __init__(self, piece: Piece, recipe: Recipe) -> None:
        piece.make_room()
        self._piece, self._clock = piece, Clock()
        self._coder = recipe.coder(piece.source, piece.span, piece.packets)
        self._digests: list[int] = []
        self._times: list[int] = []
        self.extradata = self._coder.extradata

    @property
    def digests(self) -> NDArray[np.uint64]:
        return np.array(self._digests, np.uint64)

    @property
    def seconds(self) -> dict[str, float]:
        return self._clock.seconds

    def __iter__(self) -> Iterator[Coded]:
        clock = self._clock
        clock.start()
        for number, frame in enumerate(self._piece.as_they_were(self._coder.on_packet)):
            clock.lap("decode")
            packets = self._through(number, frame)
            yield from packets
            clock.start()
        del frame
        packets = self._noted(self._coder.finish())
        yield from packets
        self._check_times()

    def _through(self, number: int, frame: VideoFrame) -> list[Coded]:
        piece, clock = self._piece, self._clock
        if number == 0:
            check_format(frame)
        if piece.transform is not None and piece.transform(number, frame):
            clock.lap("embed")
        if piece.digest:
            self._digests.append(frame_digest(frame))
            clock.lap("digest")
        return self._noted(self._coder.put(frame))

    def _noted(self, packets: list[Coded]) -> list[Coded]:
        self._clock.lap("encode")
        self._times += [row[0] for row, _ in packets]
        return packets

    def _check_times(self) -> None:
        span = self._piece.span
        if not np.array_equal(np.sort(self._times), span.pts):
            raise VerificationError(
                f"part {span.index}: {len(span.pts)} frames were coded as {len(self._times)} packets "
                "with other times"
            )
