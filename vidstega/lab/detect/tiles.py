"""Where tiles come from: scenes of clips, three consecutive frames each, and which scenes show the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import VidstegaError
from vidstega.media.decode import check_format, decode_all, planes
from vidstega.media.scan import scan as scan_file

TILE, GRID, TILES = 256, 16, 7
"""Side and grid of tiles in samples; how many of them a scene gives at the most."""
MOST_FRAMES = 400
"""Frames of a clip that are looked at."""
_THUMB = 16
_CUT = 24.0
_SAME, _CORRELATED = 6.0, 0.9
_BLANK = 0.9

Triple = NDArray[Any]
"""The same place in three consecutive frames: (3, height, width)."""
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scene:
    """Frames [start, stop) without a cut, and a thumbnail of the middle one, brought to 8 bits."""

    start: int
    stop: int
    thumb: Vector = field(repr=False)


@dataclass(frozen=True, eq=False)
class Cut:
    """What was cut out of one scene.

    Parameters
    ----------
    tiles : triples of 256x256
    late : of each tile, whether it is of the second half of the scene's time
    frames : triples of whole frames, cut at the middle to half a megapixel where they are larger
    """

    scene: Scene
    depth: int
    tiles: tuple[Triple, ...] = field(repr=False)
    late: tuple[bool, ...] = field(repr=False)
    frames: tuple[Triple, ...] = field(repr=False, default=())


def cut_clip(path: Path, seed: tuple[int, ...], *, tiles: int = TILES, frames: int = 0) -> list[Cut]:
    """Tiles and whole frames of each scene of a clip; none of one that cannot be read or is too small.

    It is decoded twice, and no more than three frames are held at a time beside what was cut out.
    """
    try:
        scan = scan_file(path)
        if min(scan.size) < TILE:
            return []
        scenes = _scenes(_luma(scan), scan.depth)
        found = [
            _Wanted(scene, (*seed, number), scan.size, tiles, frames) for number, scene in enumerate(scenes)
        ]
        window: deque[NDArray[Any]] = deque(maxlen=3)
        for number, plane in enumerate(_luma(scan)):
            window.append(plane)
            for one in found:
                one.take(number - 1, window)
    except VidstegaError:
        return []
    return [Cut(one.scene, scan.depth, tuple(one.tiles), tuple(one.late), tuple(one.frames)) for one in found]


def _luma(scan: Any) -> Iterator[NDArray[Any]]:
    for frame in islice(decode_all(scan.source, scan.packets), MOST_FRAMES):
        check_format(frame)
        yield planes(frame)[0].copy()


def _scenes(frames: Iterator[NDArray[Any]], depth: int) -> list[Scene]:
    """Parts of three frames or more between cuts: where thumbnails change by 24 of 255 on average."""
    thumbs = [_thumb(plane, depth) for plane in frames]
    steps = [float(np.abs(now - before).mean()) for before, now in pairwise(thumbs)]
    starts = [0, *(number + 1 for number, step in enumerate(steps) if step > _CUT)]
    spans = zip(starts, [*starts[1:], len(thumbs)], strict=True)
    return [Scene(a, b, thumbs[(a + b) // 2]) for a, b in spans if b - a >= 3]


def _thumb(plane: NDArray[Any], depth: int) -> Vector:
    rows, columns = (np.linspace(0, size, _THUMB + 1).astype(int)[:-1] for size in plane.shape)
    sums = np.add.reduceat(np.add.reduceat(plane.astype(np.float64), rows, axis=0), columns, axis=1)
    return np.asarray(sums / (plane.size / _THUMB**2) / 2 ** (depth - 8))


class _Wanted:
    """What is to be cut out of a scene, and what was."""

    def __init__(
        self, scene: Scene, seed: tuple[int, ...], size: tuple[int, int], tiles: int, frames: int
    ) -> None:
        random = np.random.default_rng(seed)
        self.scene = scene
        self.tiles: list[Triple] = []
        self.late: list[bool] = []
        self.frames: list[Triple] = []
        middles = np.arange(scene.start + 1, scene.stop - 1)
        spots = [(size[1] - TILE) // GRID + 1, (size[0] - TILE) // GRID + 1]
        chosen = random.permutation(spots[0] * spots[1])[:tiles]
        self._places = [(GRID * int(at // spots[1]), GRID * int(at % spots[1])) for at in chosen]
        self._at = random.choice(middles, len(chosen)).tolist()
        self._whole = random.choice(middles, min(frames, len(middles)), replace=False).tolist()

    def take(self, middle: int, window: deque[NDArray[Any]]) -> None:
        """Cut out what is wanted of the frame with this number, which is the middle one of a window."""
        if len(window) < 3:
            return
        for (top, left), at in zip(self._places, self._at, strict=True):
            if at == middle:
                triple = np.stack([one[top : top + TILE, left : left + TILE] for one in window])
                if not _is_blank(triple[1]):
                    self.tiles.append(triple)
                    self.late.append(2 * middle >= self.scene.start + self.scene.stop)
        if middle in self._whole:
            self.frames.append(np.stack([_half_megapixel(one) for one in window]))


def _is_blank(plane: NDArray[Any]) -> bool:
    """Whether nearly all samples have one value: letterboxes and fades tell of nothing."""
    return bool(np.bincount(plane.ravel()).max() >= _BLANK * plane.size)


def _half_megapixel(plane: NDArray[Any]) -> NDArray[Any]:
    height, width = (min(size, most) for size, most in zip(plane.shape, (544, 960), strict=True))
    top, left = (
        (size - part) // 2 // GRID * GRID for size, part in zip(plane.shape, (height, width), strict=True)
    )
    return plane[top : top + height, left : left + width]


def first_of_each(thumbs: list[Vector]) -> list[int]:
    """Which scenes show what none before shows, whatever clip they are of.

    Footage that was coded twice, or turned by a matrix, would else be trained and tried on.
    """
    kept: list[int] = []
    for number, thumb in enumerate(thumbs):
        if not any(_alike(thumb, thumbs[other]) for other in kept):
            kept.append(number)
    return kept


def _alike(one: Vector, other: Vector) -> bool:
    away = (one - one.mean()).ravel(), (other - other.mean()).ravel()
    contrast = float(np.sqrt((away[0] @ away[0]) * (away[1] @ away[1])))
    return bool(np.abs(one - other).mean() < _SAME and away[0] @ away[1] >= _CORRELATED * contrast)
