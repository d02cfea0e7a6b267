"""Writing a video anew by a plan: spans are decoded, changed by a transform, coded, and muxed as they come.

One function for all who do that: embedding gives a transform that carries, a measurement of what the codec
alone costs gives none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
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
from vidstega.pool import Work, cores

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
    apart: bool = False
    """Whether a video that is all coded anew is decoded from mid-stream here; that has to be proved."""

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
    digests: list[int] = []
    as_read: list[int] = []
    pieces = _told_apart(scan, pieces, work)

    def coded() -> Iterator[tuple[tuple[int, int], _Coding | PieceFile]]:
        header = None
        for piece, part in zip(pieces, _parts(scan, pieces, recipe, work), strict=True):
            if header not in (None, part.extradata):
                raise VerificationError("the encoder changed its header between frames")
            header = part.extradata
            yield piece.span.replaced, part
            digests.extend(part.digests)
            as_read.extend(part.as_read)
            clock.add(part.seconds)

    with work.progress.stage("embed", len(scan.packets)) as advance:
        left_out = mux(scan, target, recipe, coded(), progress=advance)
    # stages of workers add up to more than the wall clock; scale them to the time that passed
    seconds = clock.scaled_to(time.perf_counter() - started, rest="mux")
    if any(piece.apart for piece in pieces):
        started = time.perf_counter()
        _check_apart(scan, as_read, work)
        seconds["verify"] = time.perf_counter() - started
    return Rewritten(frozenset(left_out), np.array(digests, np.uint64), seconds)


def _told_apart(scan: Scan, pieces: Sequence[Piece], work: Work) -> Sequence[Piece]:
    """The pieces of a whole video, marked if each is decoded from a start of its own."""
    apart = work.digest and len(pieces) > 1 and _is_whole(scan, pieces) and not work.pool.alone
    return [replace(piece, apart=True) for piece in pieces] if apart else pieces


def _is_whole(scan: Scan, pieces: Sequence[Piece]) -> bool:
    return sum(len(piece.span.pts) for piece in pieces) == len(scan.pts)


def _parts(scan: Scan, pieces: Sequence[Piece], recipe: Recipe, work: Work) -> Iterator[_Coding | PieceFile]:
    if work.pool.alone:
        # one decoder goes through all pieces of a whole video, so that nothing rests on where they start
        straight = _straight(scan) if _is_whole(scan, pieces) else None
        return (_Coding(piece, recipe, straight) for piece in pieces)
    calls = [(write_piece, piece, recipe, work.folder / f"part-{piece.span.index}") for piece in pieces]
    return work.pool.in_order(calls)


def _straight(scan: Scan, threads: int = 1) -> Iterator[VideoFrame]:
    return decode_span(scan.source, 0, scan.packets, scan.pts, threads, whole=True)


def _check_apart(scan: Scan, as_read: Sequence[int], work: Work) -> None:
    """VerificationError unless what was decoded in pieces is what decoding from the start gives."""
    frames = _straight(scan, min(work.pool.workers, cores()))
    for index, frame in enumerate(work.progress.over(frames, "check", len(as_read))):
        if frame_digest(frame) != as_read[index]:
            raise VerificationError(f"frame {index} decodes to other samples from the middle of the stream")


@dataclass(frozen=True)
class PieceFile:
    """A piece on disk, packet after packet in `path`. Iterating gives them and deletes the file."""

    path: Path
    packets: Packets = field(repr=False)
    extradata: bytes
    digests: list[int] = field(repr=False)
    as_read: list[int] = field(repr=False)
    seconds: dict[str, float]

    def __iter__(self) -> Iterator[Coded]:
        with self.path.open("rb") as part:
            for row in self.packets.tolist():
                yield row, part.read(row[5])
        self.path.unlink()


def write_piece(piece: Piece, recipe: Recipe, path: Path) -> PieceFile:
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
    table = np.array(rows, PACKET)
    return PieceFile(path, table, coding.extradata, coding.digests, coding.as_read, coding.seconds)


def _writable(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except OSError as error:
        raise OutputError(f"a part cannot be written: {error.strerror}") from None


class _Coding:
    """A piece being coded: iterating decodes its frames, transforms them, and gives packets as they come.

    ``digests`` (of the frames as they were coded, if the piece asks for them), ``as_read`` (of the same
    before the transform, if the piece is decoded apart) and ``seconds`` are complete when the iteration is.
    """

    def __init__(self, piece: Piece, recipe: Recipe, straight: Iterator[VideoFrame] | None = None) -> None:
        piece.make_room()
        self._piece, self._straight, self._clock = piece, straight, Clock()
        self._coder = recipe.coder(piece.source, piece.span, piece.packets)
        self._packets, self.extradata = 0, self._coder.extradata
        self.digests: list[int] = []
        self.as_read: list[int] = []
        self.seconds = self._clock.seconds

    def __iter__(self) -> Iterator[Coded]:
        clock = self._clock
        clock.start()
        for number, frame in enumerate(self._frames()):
            clock.lap("decode")
            packets = self._through(number, frame)
            yield from packets
            clock.start()
        del frame
        packets = self._counted(self._coder.finish())
        yield from packets
        self._check_count()

    def _frames(self) -> Iterator[VideoFrame]:
        if self._straight is None:
            return self._piece.as_they_were(self._coder.on_packet)
        return islice(self._straight, len(self._piece.span.pts))

    def _through(self, number: int, frame: VideoFrame) -> list[Coded]:
        piece, clock = self._piece, self._clock
        if number == 0:
            check_format(frame)
        if piece.apart:
            self.as_read.append(frame_digest(frame))
            clock.lap("digest")
        changed = piece.transform is not None and piece.transform(number, frame)
        clock.lap("embed")
        if piece.digest:
            self.digests.append(frame_digest(frame) if changed or not piece.apart else self.as_read[-1])
            clock.lap("digest")
        return self._counted(self._coder.put(frame))

    def _counted(self, packets: list[Coded]) -> list[Coded]:
        self._clock.lap("encode")
        self._packets += len(packets)
        return packets

    def _check_count(self) -> None:
        frames = len(self._piece.span.pts)
        if self._packets != frames:
            raise VerificationError(f"the encoder gave {self._packets} frames for {frames}")
