"""From file to file: when frames are shown, how strong the mark has to be, writing, reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega import channels
from vidstega.carriers.base import Failure, Written
from vidstega.carriers.robust.choose import Heard, choose, way_out
from vidstega.carriers.robust.grid import Picture, active_picture
from vidstega.carriers.robust.levels import Level, level_for, rooms, step_of, strength_for
from vidstega.carriers.robust.read import Reader, Reading, grids
from vidstega.carriers.robust.slots import owner, usual_s
from vidstega.carriers.robust.write import Levels, Message, Segment
from vidstega.clock import Clock
from vidstega.coding.ira import class_bytes, class_for
from vidstega.errors import UnsupportedError, VerificationError
from vidstega.media.coders import Encoding
from vidstega.media.decode import check_format, decode_span, let_go, planes
from vidstega.media.encode import code_frames
from vidstega.media.rewrite import piece_of, rewrite
from vidstega.media.scan import scan as scan_file
from vidstega.media.segments import Span, span_around
from vidstega.media.source import KEY, Packets, Scan, Source
from vidstega.pool import Work
from vidstega.seal import Key, Sealed
from vidstega.seal.short import seal, short_keys

_SEGMENT_S = 4.0
_TRIAL_S = 10.0
_LOOKS = 8
_LIT = 0.05
_FULL_RANGE = 2  # of ISO/IEC 23091-2's range flag, as FFmpeg counts


@dataclass(frozen=True)
class Timeline:
    """When each frame is shown, in seconds from the first."""

    starts: NDArray[np.float64] = field(repr=False)
    ends: NDArray[np.float64] = field(repr=False)
    frame_s: float

    @classmethod
    def of(cls, scan: Scan) -> Timeline:
        """The times of a scanned video."""
        starts = (scan.pts - scan.pts[0]) * float(scan.source.time_base)
        steps = np.diff(starts)
        frame_s = usual_s(steps) if len(steps) else 1 / float(scan.source.rate)
        return cls(starts, np.append(starts[1:], starts[-1] + frame_s), frame_s)

    @property
    def duration_s(self) -> float:
        """Seconds in all."""
        return float(self.ends[-1])

    def most_bytes(self, size: tuple[int, int], scale: float = 1.0) -> int:
        """Bytes of the largest sealed message that pictures of this size take, if they are scaled too."""
        found = rooms(Picture(*size), self.duration_s, self.frame_s, scale)
        return max((room.bytes_sealed for room in found), default=0)

    def part(self, start: int, stop: int) -> Timeline:
        """Frames [start, stop) as a video of their own."""
        begin = self.starts[start]
        return Timeline(self.starts[start:stop] - begin, self.ends[start:stop] - begin, self.frame_s)


@dataclass(frozen=True)
class Mark:
    """All that says how a message lies in a video: sealed, at a level, on a grid."""

    key: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    level: Level
    picture: Picture
    aspect: float
    levels: Levels

    def segment(self, slots: range, frame_s: float, strength_db: float, more: bool) -> Segment:
        """What writes some slots of it."""
        grid = self.level.grid(self.picture, self.aspect)
        message = Message(self.key, self.level, grid.shape, self.sealed)
        slot_s = self.level.slot_s(frame_s)
        return Segment(grid, message, step_of(strength_db), slot_s, slots, self.levels, more)


@dataclass
class AddIn:
    """A transform for `media.rewrite`: frames of some slots get their change.

    The first frame makes it decode all that touch these slots, which are measured first.
    """

    source: Source
    span: Span
    packets: Packets = field(repr=False)
    times: Timeline = field(repr=False)
    skip: int
    segment: Callable[[], Segment]
    _made: Segment | None = field(default=None, repr=False)

    def __call__(self, number: int, frame: VideoFrame) -> bool:
        """Change frame `number` of the piece, in place."""
        if self._made is None:
            self._made = self._measured()
        at = self.skip + number
        frame.make_writable()
        self._made.add(planes(frame)[0], self.times.starts[at], self.times.ends[at])
        return True

    def _measured(self) -> Segment:
        segment = self.segment()
        frames = decode_span(self.source, self.span.first, self.packets, self.span.pts)
        for frame, start, end in zip(frames, self.times.starts, self.times.ends, strict=True):
            if segment.touches(start, end):
                segment.project(planes(frame)[0], start, end)
        let_go()
        return segment


@dataclass(frozen=True)
class _Maker:
    """What makes a segment; a small value that can be sent to a worker."""

    mark: Mark
    slots: range
    frame_s: float
    strength_db: float
    more: bool

    def __call__(self) -> Segment:
        return self.mark.segment(self.slots, self.frame_s, self.strength_db, self.more)


def write(how: Any, scan: Scan, plan: Any, sealed: Sealed, target: Path, work: Work) -> Written:
    """Write a message into a video by the knobs `how`, a `Robust`."""
    assert sealed.short is not None
    times, mark = Timeline.of(scan), _mark(how.label, scan, sealed)
    measured: dict[str, float] = {}
    clock = Clock()
    trial = _Trial(scan, times, mark, plan.recipe, channels.named(how.survive), work.folder)
    if how.psnr_db is not None:
        strength = strength_for(how.psnr_db)
    else:
        with clock.stage("plan"):
            choice = choose(len(mark.sealed), times.duration_s, trial.hear, channel=how.survive)
        strength, last = choice.strength_db, choice.trials[-1]
        measured = {"margin": round(choice.margin, 2), "psnr_db": round(last.psnr_db, 2)}
    pieces = list(_pieces(scan, times, mark, strength))
    done = rewrite(scan, target, pieces, plan.recipe, replace(work, digest=False))
    clock.add(done.seconds)
    if work.digest:
        with clock.stage("verify"):
            measured["margin"] = round(trial.margin(target), 2)
        if how.psnr_db is None and measured["margin"] < 1:
            error = VerificationError(
                f"of what was written too little comes through {how.survive} (a margin of "
                f"{measured['margin']:.2f}); {way_out(louder=True)}"
            )
            raise Failure(error, plan.mode)
    return Written(done.left_out, seconds=clock.seconds, measured={"strength_db": strength, **measured})


def read(scan: Scan, key: Key, label: str, *, deep: bool = False, whole: bool = False) -> Reading:
    """What a stranger with the key reads; all of the video only if `whole`, or where it takes that."""
    times, keys = Timeline.of(scan), short_keys(key, label)
    active, full = _active(scan), Picture(*scan.size)
    pictures = [full] if active == full else [active, full]
    candidates = grids(pictures, _aspect(scan), deep)
    if not candidates:
        raise UnsupportedError(f"frames of {scan.size[0]}x{scan.size[1]} are too small for method robust")
    reader = Reader(keys, candidates, scan.depth, deep, frame_s=times.frame_s)
    frames = decode_span(scan.source, 0, scan.packets, scan.pts)
    for frame, start, end in zip(frames, times.starts, times.ends, strict=True):
        reader.add(planes(frame)[0], float(start), float(end))
        if reader.hopeless or (reader.message is not None and not whole):
            break
    return reader.finish()


def _mark(label: str, scan: Scan, sealed: Sealed) -> Mark:
    assert sealed.short is not None
    keys, times = short_keys(sealed.short.key, label), Timeline.of(scan)
    size = class_bytes(class_for(sealed.short.packed_bytes))
    picture, aspect = _active(scan), _aspect(scan)
    level = level_for(size, picture, times.duration_s, times.frame_s)
    full = scan.source.pix_fmt.startswith("yuvj") or scan.source.look.colour[0] == _FULL_RANGE
    message = seal(keys, sealed.short.payload, size)
    return Mark(keys.carrier, message, level, picture, aspect, Levels(scan.depth, full))


def _aspect(scan: Scan) -> float:
    return float(scan.source.look.aspect or 1) or 1.0


def _active(scan: Scan) -> Picture:
    """The active picture, by a few key frames from all over the video, or if they are dark by any frames."""
    black, lit = 16 << (scan.depth - 8), [0.0]

    def looks(among: NDArray[np.int64]) -> Iterator[Any]:
        for number in np.unique(among[np.linspace(0, len(among) - 1, _LOOKS).round().astype(int)]).tolist():
            plane = _frame(scan, number)
            lit.append(float(np.mean(plane > 2 * black)))
            yield plane

    everywhere = np.arange(len(scan.pts))
    keys = everywhere[np.isin(scan.pts, scan.packets["pts"][scan.packets["flags"] & KEY != 0])]
    picture = active_picture(looks(keys), black) if len(keys) else Picture(*scan.size)
    return picture if max(lit) >= _LIT else active_picture(looks(everywhere), black)


def _frame(scan: Scan, number: int) -> Any:
    span = span_around(scan, number, number + 1)
    frame = next(decode_span(scan.source, span.first, scan.packets[span.first : span.stop], span.pts))
    check_format(frame)
    return planes(frame)[0].copy()


def _pieces(scan: Scan, times: Timeline, mark: Mark, strength_db: float) -> Iterator[Any]:
    """Pieces of whole slots, some seconds each, that do not depend on one another."""
    slot_s = mark.level.slot_s(times.frame_s)
    of_frames = [owner(start, end, slot_s) for start, end in zip(times.starts, times.ends, strict=True)]
    count = max(1, round(_SEGMENT_S / slot_s))
    cuts = [0, *(i for i in range(1, len(of_frames)) if of_frames[i] // count != of_frames[i - 1] // count)]
    ends = [*cuts[1:], len(of_frames)]
    for index, (start, stop) in enumerate(zip(cuts, ends, strict=True)):
        last = stop == len(of_frames)
        replaced = start, len(scan.packets) if last else stop
        slots = range(of_frames[start], of_frames[stop - 1] + 1)
        maker = _Maker(mark, slots, times.frame_s, strength_db, not last)
        yield _piece(scan, times, (start, stop), index, replaced, maker)


def _piece(
    scan: Scan,
    times: Timeline,
    frames: tuple[int, int],
    index: int,
    replaced: tuple[int, int],
    maker: _Maker,
) -> Any:
    start, stop = frames
    first, end = max(0, start - 2), min(len(scan.pts), stop + 2)
    around, own = span_around(scan, first, end), span_around(scan, start, stop)
    rows = scan.packets[around.first : around.stop]
    near = Timeline(times.starts[first:end], times.ends[first:end], times.frame_s)
    transform = AddIn(scan.source, around, rows, near, start - first, maker)
    span = replace(own, index=index, replaced=replaced)
    return piece_of(scan, span, transform)


@dataclass(frozen=True)
class _Trial:
    """Trying strengths on a stretch of the video, written, sent through the channel, and read for real."""

    scan: Scan
    times: Timeline
    mark: Mark
    recipe: Encoding
    channel: channels.Channel
    folder: Path

    def hear(self, strength_db: float) -> Heard:
        """What comes through at a strength."""
        stego, changed = self.folder / f"trial-{strength_db}.mkv", _Changed()
        code_frames(self.scan.source, self.recipe.lossless, self._frames(strength_db, changed), stego)
        bits_s = self._bits_s(stego)
        stego.unlink()
        return Heard(bits_s, changed.psnr_db(self.scan.depth))

    def margin(self, written: Path) -> float:
        """Information that the channel leaves of a video that was written, over what the message needs."""
        return self._bits_s(written) * self.times.duration_s / (8 * len(self.mark.sealed))

    def _bits_s(self, stego: Path) -> float:
        """Bits a second that are left of the first seconds of a video."""
        there = self.folder / f"heard-{stego.stem}.mkv"
        self.channel.run(stego, there, stop_s=1.2 * _TRIAL_S)
        heard = self._read(there)
        there.unlink()
        return heard.bits / max(heard.seen_s, 1e-3)

    def _read(self, path: Path) -> Reading:
        scan = scan_file(path)
        times = Timeline.of(scan)
        pictures = list(dict.fromkeys([_active(scan), Picture(*scan.size)]))
        from vidstega.seal.short import ShortKeys

        keys = ShortKeys(bytes(64), self.mark.key)  # the seal is not asked: information is what counts here
        reader = Reader(keys, grids(pictures, _aspect(scan)), scan.depth, frame_s=times.frame_s)
        frames = decode_span(scan.source, 0, scan.packets, scan.pts)
        for frame, start, end in zip(frames, times.starts, times.ends, strict=True):
            reader.add(planes(frame)[0], float(start), float(end))
        return reader.finish()

    def _frames(self, strength_db: float, changed: _Changed) -> Iterator[VideoFrame]:
        start, stop = self._stretch()
        times, span = self.times.part(start, stop), span_around(self.scan, start, stop)
        rows, source = self.scan.packets[span.first : span.stop], self.scan.source
        slots = range(int(np.ceil(times.duration_s / self.mark.level.slot_s(times.frame_s) - 1e-6)))
        segment = self.mark.segment(slots, times.frame_s, strength_db, more=False)
        for frame, begin, end in zip(
            decode_span(source, span.first, rows, span.pts), times.starts, times.ends, strict=True
        ):
            segment.project(planes(frame)[0], begin, end)
        for frame, begin, end in zip(
            decode_span(source, span.first, rows, span.pts), times.starts, times.ends, strict=True
        ):
            frame.make_writable()
            before = planes(frame)[0].copy()
            segment.add(planes(frame)[0], begin, end)
            changed.count(before, planes(frame)[0])
            yield frame

    def _stretch(self) -> tuple[int, int]:
        """Frames from the middle of the video, or all of a short one."""
        frames, wanted = len(self.scan.pts), round(_TRIAL_S / self.times.frame_s)
        if frames <= 1.2 * wanted:
            return 0, frames
        start = (frames - wanted) // 2
        return start, start + wanted


@dataclass
class _Changed:
    """How much samples were changed."""

    squares: float = 0.0
    samples: int = 0

    def count(self, before: Any, after: Any) -> None:
        """Take in a plane."""
        self.squares += float(np.square(after.astype(np.int32) - before).sum())
        self.samples += before.size

    def psnr_db(self, depth: int) -> float:
        """Luma PSNR of the change."""
        return float(10 * np.log10(((1 << depth) - 1) ** 2 * self.samples / max(self.squares, 1e-9)))
