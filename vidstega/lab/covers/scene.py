"""Seeded landscapes that move like filmed ones, frame by frame.

A cover is two scenes with one cut between them. A scene is painted once, on a canvas larger than the
frame: fractal hills in shaded light, haze, sky. A frame is a window that pans over the canvas, with
balloons, clouds and bushes drawn on it, darker corners, and film grain of its own. Frames come one by
one as 4:2:0 planes, so memory knows the size of a frame and not how many there are: about 12 bytes a
pixel while frames are drawn, 40 for the moment in which a scene is painted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import ParameterError
from vidstega.lab.covers.noise import (
    Colour,
    Floats,
    axis,
    box,
    even,
    fractal,
    relief,
    smooth,
)
from vidstega.lab.covers.paint import DAY, DUSK, Bytes, Canvas, Palette, Planes, paint_landscape

_SMALLEST, _LARGEST = 16, 16384  # pixels a side
_GRAIN_INDEX = 2  # scenes are 0 and 1 in default_rng([index, seed])


def cover_frames(width: int, height: int, frames: int, seed: int) -> Iterator[Planes]:
    """Yield the frames of a cover as fresh planes (Y, U, V), 8-bit 4:2:0, BT.709 in tv range.

    Y is uint8 of shape (height, width), 16 to 235; U and V have half of either side, rounded up. The
    scene changes at frame ``frames // 2``.

    Examples
    --------
    >>> y, u, v = next(cover_frames(64, 48, 2, seed=0))
    >>> y.shape, u.shape, v.dtype
    ((48, 64), (24, 32), dtype('uint8'))
    """
    for name, side in (("width", width), ("height", height)):
        require(_SMALLEST <= side <= _LARGEST, f"{name}={side}", f"take {_SMALLEST} to {_LARGEST} pixels")
    require(frames >= 1, f"frames={frames}", "take at least 1 frame")
    require(seed >= 0, f"seed={seed}", "take 0 or more")
    return _cover_frames(width, height, frames, seed)


def require(holds: bool, value: str, rule: str) -> None:
    """ParameterError unless it holds."""
    if not holds:
        raise ParameterError(f"{value} makes no cover; {rule}")


def _cover_frames(width: int, height: int, frames: int, seed: int) -> Iterator[Planes]:
    grain = _Grain(width, height, np.random.default_rng([_GRAIN_INDEX, seed]))
    corners = _corners(width, height)
    cut = frames // 2
    for index, (start, stop) in enumerate(((0, cut), (cut, frames))):
        if start == stop:
            continue
        palette = (DAY, DUSK)[(index + seed) % 2]
        scene = _Scene.paint(width, height, palette, np.random.default_rng([index, seed]))
        for t in range(stop - start):
            y, u, v = scene.draw(t)
            y -= corners
            grain.add(y, u, v)
            yield y, u, v


@dataclass(frozen=True)
class _Scene:
    """A painted canvas, the things that move over it, and the size of the window (width, height)."""

    canvas: Planes
    sprites: list[_Sprite]
    size: tuple[int, int]

    @classmethod
    def paint(cls, width: int, height: int, palette: Palette, rng: np.random.Generator) -> _Scene:
        wide, high = even(width * 1.2) + 4, even(height * 1.08) + 4
        canvas = paint_landscape(wide, high, palette, rng)
        return cls(canvas, _make_sprites(width, height, palette, rng), (width, height))

    def draw(self, t: int) -> Planes:
        """Frame `t` of the scene, without grain."""
        width, height = self.size
        left = _swing(t, self.canvas[0].shape[1] - even(width), 0.0013 * width)
        top = _swing(t, self.canvas[0].shape[0] - even(height), 0.0007 * height)
        y, u, v = (
            plane[top // k : top // k - (-height // k), left // k : left // k - (-width // k)].copy()
            for plane, k in zip(self.canvas, (1, 2, 2), strict=True)
        )
        for sprite in self.sprites:
            sprite.draw((y, u, v), t)
        return y, u, v


def _swing(t: int, room: int, speed: float) -> int:
    """Where a pan of at most `speed` pixels a frame is at frame `t`, back and forth within [0, room]."""
    return round(room / 2 * (1 + math.sin(2 * speed / max(room, 1) * t - 0.6)))


def _corners(width: int, height: int) -> Bytes:
    """What a lens takes off the luma of each sample: nothing in the middle, 16 in the corners."""
    x, y = axis(width), axis(height)[:, None]
    return np.rint(4 * (x**2 + y**2) ** 2).astype(np.uint8)


class _Grain:
    """Film grain: three tiles larger than the frame, seen through a window that jumps at every frame.

    The tiles hold small signed values modulo 256; the ranges of the canvas make sure that no sum wraps.
    """

    MARGIN = 128  # samples; (MARGIN + 1)**2 different windows

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self._rng = rng
        halves = (-(-height // 2), -(-width // 2))
        self._tiles = [
            self._tile(rng, height, width, 1.4, 10),
            self._tile(rng, *halves, 0.6, 4),
            self._tile(rng, *halves, 0.6, 4),
        ]

    def _tile(self, rng: np.random.Generator, height: int, width: int, sigma: float, most: int) -> Bytes:
        noise = rng.standard_normal((height + self.MARGIN + 1, width + self.MARGIN + 1), np.float32)
        soft = noise[:-1, :-1] + 0.5 * (noise[1:, :-1] + noise[:-1, 1:])
        soft *= sigma / math.sqrt(1.5)
        return cast(Bytes, np.rint(soft).clip(-most, most).astype(np.int8).view(np.uint8))

    def add(self, *planes: Bytes) -> None:
        top, left = (int(i) for i in self._rng.integers(0, self.MARGIN, 2))
        for plane, tile in zip(planes, self._tiles, strict=True):
            height, width = plane.shape
            plane += tile[top : top + height, left : left + width]


# --- things that move -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Path:
    """A way that never ends: out of the frame on one side, back in on the other, bobbing on the way.

    Places are in pixels, speeds in pixels a frame.
    """

    x: float
    y: float
    speed: float
    bob: float = 0.0

    def at(self, t: int, width: int, sprite_width: int) -> tuple[int, int]:
        """Upper left corner at frame `t` in a frame of this width."""
        x = (self.x + self.speed * t) % (width + sprite_width) - sprite_width
        return round(x), round(self.y + self.bob * math.sin(0.04 * t))


@dataclass(frozen=True)
class _Sprite:
    """A textured thing with soft edges on its path.

    `paint` holds, for each of Y, U and V, colour times opacity (0 to 65280) and 256 minus opacity.
    """

    paint: list[tuple[NDArray[np.uint16], NDArray[np.uint16]]]
    path: _Path

    @classmethod
    def make(cls, canvas: Canvas, opacity: Floats, path: _Path) -> _Sprite:
        full = np.rint(256 * opacity).astype(np.uint16)
        masks = (full, full[::2, ::2], full[::2, ::2])
        paint = [(p * m, 256 - m) for p, m in zip(canvas.planes(), masks, strict=True)]
        return cls(paint, path)

    def draw(self, planes: Planes, t: int) -> None:
        x, y = self.path.at(t, planes[0].shape[1], self.paint[0][0].shape[1])
        for plane, (colour, rest), k in zip(planes, self.paint, (1, 2, 2), strict=True):
            _blend(plane, colour, rest, x // k, y // k)


def _blend(plane: Bytes, colour: NDArray[np.uint16], rest: NDArray[np.uint16], x: int, y: int) -> None:
    """Lay a sprite on `plane` with its corner at (x, y), clipped to the plane."""
    under = plane[max(y, 0) : max(y + rest.shape[0], 0), max(x, 0) : max(x + rest.shape[1], 0)]
    top, left = max(-y, 0), max(-x, 0)
    seen = np.s_[top : top + under.shape[0], left : left + under.shape[1]]
    under[:] = (under * rest[seen] + colour[seen]) >> 8


def _make_sprites(width: int, height: int, palette: Palette, rng: np.random.Generator) -> list[_Sprite]:
    """Clouds behind, balloons before them, bushes that pass in front of the camera."""
    sprites = []
    for share in (0.30, 0.20):
        path = _Path(rng.uniform(0, 1.3) * width, rng.uniform(0, 0.14) * height, 0.0012 * width)
        sprites.append(_cloud(share * height, palette, path, rng))
    for i, (share, colours) in enumerate(zip((0.16, 0.23, 0.33), palette.balloons, strict=True)):
        x, y = 0.3 + (0.4 * i + rng.uniform(0, 0.15)), rng.uniform(0.03, 0.2)
        speed = rng.choice((-1, 1)) * (0.0008 + 0.003 * share)
        path = _Path(x * width, y * height, speed * width, 0.02 * height)
        sprites.append(_balloon(share * height, colours, path, rng))
    for share in (0.2, 0.28):
        path = _Path(rng.uniform(0, 1.3) * width, (1.04 - 0.9 * share) * height, -0.012 * share * width)
        sprites.append(_bush(share * height, palette, path, rng))
    return sprites


def _balloon(side: float, colours: tuple[Colour, Colour], path: _Path, rng: np.random.Generator) -> _Sprite:
    """A striped balloon lit from the upper left, with a basket below."""
    high, wide = even(1.25 * side), even(side)
    x, y = axis(wide), (np.arange(high, dtype=np.float32)[:, None] + 0.5) * (2 / wide) - 1
    pear = x * (1 + 0.3 * y.clip(0, 1) ** 2)
    radius = np.sqrt(pear**2 + (y / (1 + 0.12 * (y > 0))) ** 2)
    longitude = np.arcsin((pear / np.sqrt((1 - (y / 1.13) ** 2).clip(0.01, None))).clip(-1, 1))
    softness = 2.5 / wide
    stripes = smooth(np.sin(7 * longitude), -0.08, 0.08)
    light = 30 * (1 - radius**2).clip(0, 1) - 26 * (pear + y) - 16
    canvas = Canvas.blank(wide, high)
    canvas.lay(colours[0], np.ones((high, wide), np.float32))
    canvas.lay(colours[1], stripes)
    cloth_y = canvas.y
    cloth_y += light + 4 * fractal(rng, high, wide, decay=0.65)
    basket = box(x, y, 0.13, (1.22, 1.42), softness)
    ropes = smooth(-np.abs(np.abs(x) - 0.13), -0.03 - softness, 0.0) * ((y > 0.9) & (y < 1.25)) * 0.7
    cloth = smooth(1 - radius, -softness, softness)
    canvas.lay((72, 116, 142), np.maximum(basket, ropes) * (1 - cloth))
    return _Sprite.make(canvas, np.maximum(cloth, np.maximum(basket, ropes)), path)


def _cloud(side: float, palette: Palette, path: _Path, rng: np.random.Generator) -> _Sprite:
    high, wide = even(side), even(2.6 * side)
    puff = fractal(rng, high, wide, decay=0.6)
    x, y = axis(wide), axis(high)[:, None]
    canvas = Canvas.blank(wide, high)
    canvas.lay(palette.cloud, np.ones((high, wide), np.float32), 5 * puff - 14 * y)
    inside = (1 - x**2 - y**2).clip(0, 1)
    return _Sprite.make(canvas, 0.85 * smooth(inside * (1 + 0.35 * puff), 0.05, 0.9), path)


def _bush(side: float, palette: Palette, path: _Path, rng: np.random.Generator) -> _Sprite:
    high, wide = even(side), even(1.7 * side)
    outline = fractal(rng, high, wide, decay=0.55)
    leaves = relief(fractal(rng, high, wide, decay=0.75))
    x, y = axis(wide), axis(high)[:, None]
    dome = 1 - x**2 - (0.5 * (y - 1)) ** 2
    canvas = Canvas.blank(wide, high)
    canvas.lay(palette.bush, np.ones((high, wide), np.float32), 8 * leaves - 14 * y - 8 * x, 0.2)
    return _Sprite.make(canvas, smooth(dome + 0.12 * outline, 0.12, 0.12 + 6 / wide), path)
