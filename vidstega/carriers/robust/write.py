"""Writing one segment of slots in two passes over its frames: project, then add.

Segments do not depend on each other, so that they can be tasks. Between passes there is one mean for each
cell and slot of the segment, and no frame. A slot's change fades in over its first quarter, and what is
left there of the change of the slot before is counted in when the change is chosen: a reader, who takes
plain means, sees neither. Before the end of a segment the last change fades out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vidstega.carriers.robust.grid import Grid, Plane
from vidstega.carriers.robust.keyed import places, slot_key
from vidstega.carriers.robust.levels import Level
from vidstega.carriers.robust.slots import SlotMeans, owner, shares
from vidstega.coding.ira import class_for, code_for
from vidstega.errors import ParameterError

FADE = 0.25
"""Part of a slot over which its change comes up."""
_HALVINGS = 16
_NEAR_BLACK = 2.5
"""Grey levels: where a cell is nearer than this to black or white it is left alone."""


@dataclass(frozen=True, eq=False)
class Message:
    """A sealed message at a level, ready to be written: which bit each cell of each slot gets."""

    key: bytes
    level: Level
    shape: tuple[int, int]
    sealed: bytes

    @cached_property
    def _code_bits(self) -> NDArray[np.uint8]:
        return code_for(len(self.sealed)).encode(self.sealed)

    def bits(self, slot: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Bits of all cells of a slot, and their dither in steps."""
        cells = self.shape[0] * self.shape[1]
        where, drawn = (
            places(self.key, self.level, self.shape),
            slot_key(self.key, self.level, slot, cells),
        )
        bits = np.zeros(cells, np.uint8)
        bits[where.sizes] = drawn.class_bits(class_for(len(self.sealed)))
        count = len(where.data)
        at = code_for(len(self.sealed)).at(slot * count, count)
        bits[np.roll(where.data, -(drawn.turn % count))] = self._code_bits[at]
        return bits, drawn.dither


class Bump:
    """What a bump of a certain height does to a cell's mean once its pixels are rounded.

    Half a grey level at the top changes no pixel, and small changes come out as plateaus of one level. That
    is cheaper and survives a coder better than noise that would keep the mean on average, so it is taken as
    it is, and the height is chosen so that the mean comes out right.
    """

    def __init__(self, grid: Grid, depth: int, most: float) -> None:
        unit = 2.0 ** (8 - depth)
        weight = np.outer(*(_half_sine(side) for side in grid.cell))
        self._heights = np.linspace(0, most, 512)
        levels = np.rint(self._heights[:, None, None] * weight / unit)
        self._moved = (weight * levels).sum(axis=(1, 2)) * unit / weight.sum()
        self.slope = float((weight * weight).sum() / weight.sum())
        """Grey levels that the mean moves for each of height, but for rounding."""

    def moved(self, height: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far bumps of these heights move the mean."""
        return np.asarray(np.copysign(np.interp(np.abs(height), self._heights, self._moved), height))

    def height(self, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        """Heights that move the mean so far."""
        return np.asarray(np.copysign(np.interp(np.abs(moved), self._moved, self._heights), moved))


def _half_sine(side: float) -> NDArray[np.float64]:
    at = (np.arange(int(np.ceil(side))) + 0.5) / side
    return np.asarray(np.maximum(np.sin(np.pi * at), 0))


@dataclass(frozen=True)
class Levels:
    """The range of the luma samples that a video may use, in its own depth."""

    depth: int = 8
    full: bool = False

    @property
    def black(self) -> int:
        """The darkest level that is written."""
        return 0 if self.full else 16 << (self.depth - 8)

    @property
    def white(self) -> int:
        """The brightest level that is written."""
        return (1 << self.depth) - 1 if self.full else 235 << (self.depth - 8)


@dataclass(frozen=True)
class _Shown:
    """A frame within a slot: its share of what is seen of it, and how its change is made up.

    The change is `own` times the slot's own height and `before` times that of the slot before.
    """

    share: float
    own: float
    before: float


class Segment:
    """Some successive slots of a video: `project` all frames that touch them, then `add` to those it owns.

    Parameters
    ----------
    grid : the cells, of `message.level`
    step : in grey levels of 8 bits
    slot_s : seconds of a slot
    slots : which ones, counted from the video's first frame
    more : whether other slots follow, so that the last one has to fade out
    """

    def __init__(
        self,
        grid: Grid,
        message: Message,
        step: float,
        slot_s: float,
        slots: range,
        levels: Levels = Levels(),
        more: bool = True,
    ) -> None:
        if grid.shape != message.shape:
            raise ParameterError(
                f"the message is laid out for {message.shape} cells, the grid has {grid.shape}"
            )
        self.grid, self.message, self.step, self.slot_s, self.slots = grid, message, step, slot_s, slots
        self._levels, self._more = levels, more
        self._means = SlotMeans(slot_s)
        self._found: dict[int, NDArray[np.float32]] = {}
        self._times: list[tuple[float, float]] = []
        self._heights: dict[int, NDArray[np.float32]] | None = None

    def touches(self, start_s: float, end_s: float) -> bool:
        """Whether a frame shown from `start_s` to `end_s` counts for any of these slots."""
        return any(share.slot in self.slots for share in shares(start_s, end_s, self.slot_s))

    def owns(self, start_s: float, end_s: float) -> bool:
        """Whether such a frame is this segment's to change; every frame has one segment that owns it."""
        return owner(start_s, end_s, self.slot_s) in self.slots

    def project(self, plane: Plane, start_s: float, end_s: float) -> None:
        """First pass: take in a frame, in the order they are shown."""
        self._times.append((start_s, end_s))
        for done in self._means.add(self.grid.project(plane, self._levels.depth), start_s, end_s):
            self._found[done.slot] = done.mean.astype(np.float32)

    def add(self, plane: Plane, start_s: float, end_s: float) -> None:
        """Second pass: change a frame that this segment owns, in place."""
        if self._heights is None:
            self._found.update((done.slot, done.mean.astype(np.float32)) for done in self._means.finish())
            self._heights = self._solve()
        slot = owner(start_s, end_s, self.slot_s)
        if slot not in self._heights:
            return
        own, before = self._mix(slot, slot, start_s, end_s)
        height = own * self._heights[slot] + before * self._heights.get(slot - 1, np.zeros(self.grid.cells))
        self.grid.add(
            plane, height.astype(np.float32), self._levels.black, self._levels.white, self._levels.depth
        )

    def _mix(self, slot: int, owner_slot: int, start_s: float, end_s: float) -> tuple[float, float]:
        """What a frame's change is made of, seen from `slot`: of its own height, and of the one before."""
        fade_s = FADE * self.slot_s
        into_s = (start_s + end_s) / 2 - slot * self.slot_s
        if fade_s < 0.99 * (end_s - start_s):  # no room to fade
            return float(owner_slot == slot), float(owner_slot == slot - 1)
        up = min(1.0, max(0.0, into_s / fade_s)) if owner_slot >= slot else 0.0
        last = self._more and slot == self.slots[-1]
        down = min(1.0, max(0.0, (self.slot_s - into_s) / fade_s)) if last else 1.0
        return up * down, (1.0 - up) * down

    def _shown(self) -> dict[int, list[_Shown]]:
        """Frames by slot, those alike put together."""
        found: dict[int, dict[tuple[float, float], float]] = {slot: {} for slot in self.slots}
        for start_s, end_s in self._times:
            owner_slot = owner(start_s, end_s, self.slot_s)
            for share in shares(start_s, end_s, self.slot_s):
                if share.slot in found:
                    mix = self._mix(share.slot, owner_slot, start_s, end_s)
                    found[share.slot][mix] = found[share.slot].get(mix, 0.0) + share.seconds
        return {
            slot: [_Shown(seconds / sum(mixes.values()), *mix) for mix, seconds in mixes.items()]
            for slot, mixes in found.items()
        }

    def _solve(self) -> dict[int, NDArray[np.float32]]:
        """The heights of all slots, one after the other, as each starts from what is left of the last."""
        bump = Bump(self.grid, self._levels.depth, 4 * self.step)
        heights: dict[int, NDArray[np.float32]] = {}
        before = np.zeros(self.grid.cells)
        for slot, shown in self._shown().items():
            if slot in self._found:
                before = self._solve_slot(bump, slot, shown, before)
                heights[slot] = before.astype(np.float32)
                del self._found[slot]
        return heights

    def _solve_slot(
        self, bump: Bump, slot: int, shown: list[_Shown], before: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        own = sum(frame.share * frame.own for frame in shown)
        if own < 0.1:  # all of it is a frame of the slot before
            return before
        mean = self._found[slot].astype(np.float64)
        left = _sum([frame.share * bump.moved(frame.before * before) for frame in shown if frame.before])
        bits, dither = self.message.bits(slot)
        wanted = nearest(mean + left, self.step, dither, bits) - mean
        height = bump.height((wanted - left) / own)
        if any(frame.before for frame in shown):
            height = _bisected(lambda h: _moved(bump, shown, h, before), wanted, 3 * self.step)
        grey = 2.0 ** (8 - self._levels.depth)
        dark = mean < self._levels.black * grey + _NEAR_BLACK
        bright = mean > self._levels.white * grey - _NEAR_BLACK
        return np.where(dark | bright, 0.0, height)


def _moved(
    bump: Bump, shown: list[_Shown], own: NDArray[np.float64], before: NDArray[np.float64]
) -> NDArray[np.float64]:
    terms = [frame.share * bump.moved(frame.own * own + frame.before * before) for frame in shown]
    return np.asarray(np.sum(terms, axis=0))


def _bisected(
    rising: Callable[[NDArray[np.float64]], NDArray[np.float64]], wanted: NDArray[np.float64], most: float
) -> NDArray[np.float64]:
    """Where a function that rises from -`most` to `most` takes the values `wanted`."""
    low, high = np.full(len(wanted), -most), np.full(len(wanted), most)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = rising(middle) > wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray((low + high) / 2)


def _sum(terms: Sequence[NDArray[np.float64]]) -> NDArray[np.float64] | float:
    return np.asarray(np.sum(terms, axis=0)) if terms else 0.0


def nearest(
    mean: NDArray[np.float64], step: float, dither: NDArray[np.float32], bits: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """The mean nearest to `mean` that carries `bits`."""
    at = dither + 0.5 * bits
    return np.asarray(step * (np.round(mean / step - at) + at))
