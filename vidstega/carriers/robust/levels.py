"""Sizes of cells and slots: the coarser, the more a message survives and the fewer bytes fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vidstega.carriers.robust.grid import Grid, Picture
from vidstega.coding.ira import class_bytes, class_for
from vidstega.errors import CapacityError, ParameterError

BLOCK = 16
"""Pixels of the finest cells: those of a macroblock, as a coder treats one as a whole."""
MOST_RATE = 1 / 3
"""Message bits over code bits that are sent, at the most: beyond it the code gives little away for much."""
STRENGTHS_DB = (56.0, 53.6, 51.4)
"""What the default tries one after the other, quietest first."""
LOUD_DB = 48.4
ASKED_DB = tuple(40.4 + i for i in range(21))
"""Strengths for a PSNR that is asked for: a reader tries a few, not all there could be."""
_LEAST_SCALED = 10
_BUMP = 0.05475  # mean square of a bump that moves the mean by what is uniform over a step of 1


@dataclass(frozen=True)
class Level:
    """One size of cells and slots.

    Parameters
    ----------
    index : place in `LEVELS`, which keys depend on
    across : cells along the longer side of the picture; 0 for cells of whole macroblocks
    slot : seconds of a slot, or if `in_frames` frames
    pilots : one cell in so many is a pilot
    """

    index: int
    across: int
    slot: float
    pilots: int
    in_frames: bool = False

    def __str__(self) -> str:
        cells = f"{self.across} cells across" if self.across else "macroblocks"
        return f"{cells}, " + (f"{self.slot:.0f} frames" if self.in_frames else f"{self.slot:.2f} s")

    def slot_s(self, frame_s: float) -> float:
        """Seconds of a slot in a video whose frames are shown for `frame_s`."""
        return self.slot * frame_s if self.in_frames else self.slot

    def grid(self, picture: Picture, sample_aspect: float = 1.0) -> Grid:
        """The cells of a picture at its original size: square as shown, or macroblocks as stored."""
        if not self.across:
            return Grid.of(picture, blocks_across(picture))
        return Grid.of(picture, float(self.across), picture.width * sample_aspect / picture.height)


def blocks_across(picture: Picture) -> float:
    """Finest cells along the longer side: macroblocks, or 2 x 2 of them and more above 2400 pixels."""
    longer = max(picture.width, picture.height)
    return longer / (BLOCK * max(1, round(longer / 1920)))


LEVELS = (
    Level(0, 0, 1, 20, in_frames=True),
    Level(1, 0, 2, 20, in_frames=True),
    Level(2, 0, 0.16, 20),
    Level(3, 0, 0.32, 20),
    Level(4, 0, 0.64, 20),
    Level(5, 60, 0.32, 12),
    Level(6, 60, 0.64, 12),
    Level(7, 30, 0.32, 8),
    Level(8, 30, 0.64, 8),
    Level(9, 30, 1.28, 8),
    Level(10, 15, 1.28, 6),
)


def step_of(strength_db: float) -> float:
    """The step in grey levels of 8 bits at a strength in dB: its PSNR but for rounding and fades."""
    return math.sqrt(255**2 / 10 ** (strength_db / 10) / _BUMP)


def strength_for(psnr_db: float) -> float:
    """The strength that leaves about so many dB after rounding, to a dB.

    Raises ParameterError out of 40 to 60 dB.
    """
    if not 40 <= psnr_db <= 60:
        raise ParameterError(f"psnr_db={psnr_db} is out of range; give 40 (loud) to 60 (hardly there)")
    return min(ASKED_DB, key=lambda strength_db: abs(strength_db - 0.4 - psnr_db))


@dataclass(frozen=True)
class LevelRoom:
    """A level in a certain video: how many code bits it sends."""

    level: Level
    places: int

    @property
    def bytes_sealed(self) -> int:
        """Bytes of the largest size class at the highest code rate allowed; 0 if none."""
        most = int(self.places * MOST_RATE) // 8
        if most < class_bytes(0):
            return 0
        index = class_for(most)
        return (
            class_bytes(index if class_bytes(index) == most else index - 1) if most > class_bytes(0) else most
        )


def rooms(picture: Picture, duration_s: float, frame_s: float, scale: float = 1.0) -> list[LevelRoom]:
    """All levels that this video has cells and slots for, the most robust first.

    Where it is going to be scaled, cells have to be `_LEAST_SCALED` pixels wide still.
    """
    least = 7 if scale == 1 else _LEAST_SCALED / scale
    found = []
    for level in LEVELS:
        grid = level.grid(picture)
        slots = int(duration_s / level.slot_s(frame_s) + 1e-6)
        if slots and grid.cell[0] >= least and (not level.in_frames or frame_s * level.slot < 0.16):
            found.append(LevelRoom(level, slots * data_cells(level, grid.cells)))
    return sorted(found, key=lambda room: (room.places, -room.level.index))


def data_cells(level: Level, cells: int) -> int:
    """Cells of a slot that carry code bits: all but pilots and those that tell the size class."""
    pilots = pilot_cells(level, cells)
    return cells - pilots - size_cells(pilots)


def pilot_cells(level: Level, cells: int) -> int:
    """Cells of a slot whose bit is known."""
    return max(4, round(cells / level.pilots))


def size_cells(pilots: int) -> int:
    """Cells of a slot that tell the size class, beside so many pilots."""
    return max(2, pilots // 3)


def level_for(sealed_bytes: int, picture: Picture, duration_s: float, frame_s: float) -> Level:
    """The coarsest level that holds so many bytes at a code rate of 1/3 or less.

    Raises
    ------
    CapacityError
        If none does.
    """
    all_rooms = rooms(picture, duration_s, frame_s)
    for room in all_rooms:
        if room.bytes_sealed >= sealed_bytes:
            return room.level
    most = max((room.bytes_sealed for room in all_rooms), default=0)
    raise CapacityError(
        f"needs {sealed_bytes:,} bytes with its seal, at most {most:,} fit into {duration_s:.1f} s of "
        f"{picture.width:.0f}x{picture.height:.0f}; take a longer video or a shorter message"
    )
