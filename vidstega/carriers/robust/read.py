"""Frames in, message out: what a stranger with the key does.

A `Reader` is fed frames in the order they are shown, from wherever they come, and is left as soon as
`message` is there or `hopeless` is true. Until it has found the message's slots it keeps the means of all
cells it might have to do with, for `LOOK_S` seconds at most (20 to 60 MiB); then one slot at a time, and one
number a code bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.robust.grid import Grid, Picture, Plane, shrunk
from vidstega.carriers.robust.keyed import places, slot_key
from vidstega.carriers.robust.levels import LEVELS, blocks_across
from vidstega.carriers.robust.slots import SlotMean, SlotMeans
from vidstega.carriers.robust.soft import Soft
from vidstega.carriers.robust.sync import Candidate, Follower, Lock, Track, search
from vidstega.coding.ira import CLASSES, Code, class_bytes, code_for
from vidstega.errors import ParameterError, PayloadError
from vidstega.seal.short import ShortKeys, unseal

LOOK_S = 20.0
_LOOK_AT_S = (4.0, 8.0, 14.0)
_BLOCKS = (120.0, 80.0)
"""Macroblocks across the videos that most scaled ones were made from: 1920 and 1280 pixels."""
_DEEP_TRIM_S = 3600.0
_SEEN = 0.5
_FIRST_TRY, _NEXT_TRY = 1.08, 1.06
_FIRM = 16.0  # nats: a size class that leads by so much is not doubted
_DOUBT = 9.0
_MOST_CLASSES = 8
_DARK, _BRIGHT = 19.5, 232.0
_ROUGH = 24  # pixels
_CROPS = tuple(0.005 * i for i in range(1, 21))
_SHAPES = (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16)
_SAME_SHAPE = 0.02
_COARSE = (30, 15)  # cells across


@dataclass(frozen=True)
class Reading:
    """What a reader knows in the end.

    ``margin`` is the information that came through over what the message needs: below 1 nothing can be
    read, and 2 says that the channel may get twice as bad. ``cosine`` is the mean of the pilots' cosines, 1
    in a channel without noise.
    """

    message: bytes | None
    lock: Lock | None
    margin: float
    cosine: float
    bits: float
    seen_s: float


def grids(pictures: Sequence[Picture], sample_aspect: float = 1.0, deep: bool = False) -> list[Candidate]:
    """The grids a message may lie on.

    Parameters
    ----------
    pictures : what may be the active picture, in pixels of the frames at hand
    sample_aspect : width over height of a pixel
    deep : also pictures that have lost up to 10 % of width and height at their edges, and those that were
        stretched to another shape from a usual one
    """
    found: list[Candidate] = []
    for picture in pictures:
        aspect = picture.width * sample_aspect / picture.height
        for across in {level.across: None for level in LEVELS if level.across}:
            found += _alike(picture, across, float(across), aspect)
    for picture in pictures:
        own = blocks_across(picture)
        for blocks in (own, *(other for other in _BLOCKS if other > own)):
            found += _alike(picture, 0, blocks, None, likely=blocks == own)
    if deep:
        found += [*_uncropped(pictures[0], sample_aspect), *_unstretched(pictures[0], sample_aspect)]
    return [one for one in found if min(one.grid.cell) >= 4 and one.grid.cells > 8]


def _alike(
    picture: Picture, across: int, cells: float, aspect: float | None, likely: bool = True
) -> list[Candidate]:
    """Grids of this many cells, and of a row more or less where scaling may have hidden it."""
    grid = Grid.of(picture, cells, aspect)
    rows = picture.height / grid.cell[1]
    unsure = rows * 1.5 / min(picture.width, picture.height)
    others = {int(rows - unsure), int(rows + unsure)} - {grid.shape[0]}
    changed = [Grid.of(picture, cells, aspect, other - grid.shape[0]) for other in others if other > 0]
    return [Candidate(grid, across, likely), *(Candidate(one, across, False) for one in changed)]


def _uncropped(picture: Picture, sample_aspect: float) -> list[Candidate]:
    """Coarse grids over what a picture may have been before it was cropped at all edges alike."""
    found = []
    for part in _CROPS:
        width, height = picture.width / (1 - part), picture.height / (1 - part)
        left, top = picture.left - (width - picture.width) / 2, picture.top - (height - picture.height) / 2
        whole = Picture(width, height, left, top)
        found += _coarse(whole, width * sample_aspect / height)
    return found


def _unstretched(picture: Picture, sample_aspect: float) -> list[Candidate]:
    """Coarse grids over a picture that had one of the usual shapes before."""
    own = picture.width * sample_aspect / picture.height
    shapes = [shape for shape in _SHAPES if abs(shape / own - 1) > _SAME_SHAPE]
    return [one for shape in shapes for one in _coarse(picture, shape)]


def _coarse(picture: Picture, aspect: float) -> list[Candidate]:
    grids = {across: Grid.of(picture, across, aspect) for across in _COARSE}
    return [Candidate(grid, across, False, min(grid.cell) >= _ROUGH) for across, grid in grids.items()]


class Reader:
    """Reads one message out of frames that are given one by one.

    Parameters
    ----------
    keys : of the seal and the carrier
    candidates : what `grids` gives
    depth : bits of a luma sample
    deep : look for it all along, `LOOK_S` seconds at a time, and for what an hour has been cut from
    trim_s : seconds that may have been cut off at the start; 20, or if `deep` an hour, by default
    frame_s : how long a frame is shown as a rule, for what is known of all of the video

    Attributes
    ----------
    message : bytes or None
        The message, once it has opened.
    hopeless : bool
        Whether nothing has been found where it should be: more frames will not help.
    """

    def __init__(
        self,
        keys: ShortKeys,
        candidates: Sequence[Candidate],
        depth: int = 8,
        deep: bool = False,
        trim_s: float | None = None,
        frame_s: float | None = None,
    ) -> None:
        if not candidates:
            raise ParameterError("no grid to look for a message on; the picture is too small for any")
        self._keys, self._depth, self._deep = keys, depth, deep
        self._trim_s = trim_s if trim_s is not None else _DEEP_TRIM_S if deep else LOOK_S
        self._candidates, self._frame_s = candidates, frame_s
        self._tracks = self._fresh()
        self._look_at = [*_LOOK_AT_S]
        self._begin_s: float | None = None
        self._seen_s = 0.0
        self._bits: _Bits | None = None
        self.message: bytes | None = None
        self.hopeless = False

    def add(self, plane: Plane, start_s: float, end_s: float) -> None:
        """Take in a frame shown from `start_s` to `end_s`; the plane is not kept."""
        if self._begin_s is None:
            self._begin_s = start_s
        start_s, end_s = start_s - self._begin_s, end_s - self._begin_s
        self._seen_s = end_s
        if self._bits is not None:
            self._bits.add(self._bits.lock.grid.project(plane, self._depth), start_s, end_s)
            self._open(final=False)
        elif not self.hopeless:
            small = shrunk(plane) if self._deep else plane
            for track in self._tracks:
                if track.small is None:
                    cells = track.grid.project(plane, self._depth)
                else:
                    cells = track.small.project(small, self._depth + 4)
                track.add(cells, start_s, end_s)
            self._look()

    def finish(self) -> Reading:
        """No more frames: make the best of what there was."""
        if self._bits is None and not self.hopeless and self._begin_s is not None:
            self._synchronise(final=True, ended=True)
        if self._bits is not None:
            self._bits.finish()
            self._open(final=True)
        bits = self._bits
        if bits is None:
            return Reading(None, None, 0.0, 0.0, 0.0, self._seen_s)
        return Reading(self.message, bits.lock, bits.margin, bits.cosine, bits.bits, self._seen_s)

    def _fresh(self) -> list[Track]:
        return [Track(candidate, self._frame_s) for candidate in self._candidates]

    def _look(self) -> None:
        if self._tracks[0].seen_s >= LOOK_S:
            self._synchronise(final=True, ended=False)
            self.hopeless = self._bits is None and not self._deep
            if self._bits is None:
                self._tracks = self._fresh()
        elif self._look_at and self._seen_s >= self._look_at[0]:
            self._look_at.pop(0)
            self._synchronise(final=False, ended=False)

    def _synchronise(self, final: bool, ended: bool) -> None:
        lock = search(self._tracks, self._keys.carrier, final=final, ended=ended, trim_s=self._trim_s)
        if lock is None:
            return
        self._bits = _Bits(self._keys, lock)
        track = next(track for track in self._tracks if track.grid is lock.grid)
        for cells, (start_s, end_s) in zip(track.cells, track.times, strict=True):
            self._bits.add(cells, start_s, end_s)
        self._tracks = []
        self._open(final=False)

    def _open(self, final: bool) -> None:
        if self.message is None and self._bits is not None:
            self.message = self._bits.open(final)


class _Bits:
    """Slots to code bits to message, once it is known where the slots are."""

    def __init__(self, keys: ShortKeys, lock: Lock) -> None:
        self.lock, self._keys = lock, keys
        self._means = SlotMeans(lock.slot_s)
        self._soft = Soft(), Soft(), Soft()
        self._follower = Follower(lock.step)
        self._classes = np.zeros(CLASSES)
        self._waiting: list[tuple[int, NDArray[np.float32]]] = []
        self._code: Code | None = None
        self._sums: NDArray[np.float64] = np.zeros(0)
        self._next_try = _FIRST_TRY
        self._cosines, self._pilots = 0.0, 0
        self.bits = 0.0
        """Information that came through on data cells."""

    @property
    def margin(self) -> float:
        """Information over what the most likely size class needs."""
        needed = 8 * class_bytes(self._likely()[0]) if self._code is None else self._code.k
        return self.bits / needed

    def _is_enough(self, index: int) -> bool:
        """Whether a message of this size class can be known from what came through."""
        return 8 * class_bytes(index) <= self.bits

    def _likely(self) -> list[int]:
        """Size classes, the likeliest first; those that too little came through for are last."""
        return sorted(range(CLASSES), key=lambda index: (not self._is_enough(index), -self._classes[index]))

    @property
    def cosine(self) -> float:
        """Mean cosine of the pilots."""
        return self._cosines / max(1, self._pilots)

    def add(self, cells: NDArray[np.float32], start_s: float, end_s: float) -> None:
        """Take in a frame's cells."""
        offset = self.lock.first * self.lock.slot_s - self.lock.begin_s
        for mean in self._means.add(cells, start_s + offset, end_s + offset):
            self._slot(mean)

    def finish(self) -> None:
        """Take in what is left."""
        for mean in self._means.finish():
            self._slot(mean)

    def _slot(self, slot: SlotMean) -> None:
        if slot.seen < _SEEN:
            return
        level, cells = self.lock.level, len(slot.mean)
        where, drawn = (
            places(self._keys.carrier, level, self.lock.grid.shape),
            slot_key(self._keys.carrier, level, slot.slot, cells),
        )
        self._follower.learn(slot.mean[where.pilots], drawn.dither[where.pilots])
        distance = slot.mean / self._follower.step - drawn.dither - self._follower.offset
        self._cosines += float(np.cos(2 * math.pi * distance[where.pilots]).sum())
        self._pilots += len(where.pilots)
        data = np.roll(where.data, -(drawn.turn % len(where.data)))
        ratio = np.zeros(cells)
        for soft, group in zip(self._soft, _groups(slot), strict=True):
            if group.any():
                weights = soft.learn(distance[where.pilots[group[where.pilots]]])
                ratio[group], worth = soft.judge(weights, distance[group])
                self.bits += worth * int(group[data].sum())
        self._count_classes(ratio[where.sizes], drawn.patterns)
        self._count_data(slot.slot, ratio[data].astype(np.float32))

    def _count_classes(self, ratio: NDArray[np.float64], patterns: NDArray[np.uint64]) -> None:
        bits = (patterns[None, :] >> np.arange(CLASSES, dtype=np.uint64)[:, None]) & np.uint64(1)
        self._classes += (0.5 - bits.astype(np.float64)) @ ratio

    def _count_data(self, slot: int, ratio: NDArray[np.float32]) -> None:
        self._waiting.append((slot, ratio))
        if self._code is None:
            second, best = np.sort(self._classes)[-2:]
            if best - second < _FIRM:
                return
            self._code = code_for(class_bytes(int(self._classes.argmax())))
            self._sums = np.zeros(self._code.n)
        self._sums += _gathered(self._code, self._waiting)
        self._waiting = []

    def open(self, final: bool) -> bytes | None:
        """The message, if it is time to try and it opens."""
        if not final and self.margin < self._next_try:
            return None
        self._next_try = max(self._next_try, self.margin) * _NEXT_TRY
        if self._code is not None:
            return self._try(self._code, self._sums)
        likely = self._likely()[: _MOST_CLASSES if final else 2]
        for index in likely:
            if self._is_enough(index) and self._classes[index] > self._classes[likely[0]] - _DOUBT:
                code = code_for(class_bytes(index))
                message = self._try(code, _gathered(code, self._waiting))
                if message is not None:
                    return message
        return None

    def _try(self, code: Code, sums: NDArray[np.float64]) -> bytes | None:
        try:
            return unseal(self._keys, code.decode(sums).data)
        except PayloadError:
            return None


def _groups(slot: SlotMean) -> tuple[NDArray[np.bool_], ...]:
    """Cells that are alike: at the ends of the range, where little or nothing is written; calm; busy."""
    end = (slot.mean < _DARK) | (slot.mean > _BRIGHT)
    busy = slot.spread > np.median(slot.spread)
    return end, ~end & ~busy, ~end & busy


def _gathered(code: Code, received: list[tuple[int, NDArray[np.float32]]]) -> NDArray[np.float64]:
    sums = np.zeros(code.n)
    for slot, ratio in received:
        sums += code.gather(ratio.astype(np.float64), slot * len(ratio))
    return sums
