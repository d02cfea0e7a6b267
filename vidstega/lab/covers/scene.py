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
    between,
    box,
    even,
    fractal,
    relief,
    smooth,
    streaks,
)

Bytes = NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes]

_SMALLEST, _LARGEST = 16, 16384  # pixels a side
_LUMA_RANGE = (46, 216)  # leaves room for corners and grain, so that adding them never wraps
_CHROMA_RANGE = (40, 216)
_HORIZON, _GROUND = 0.52, 0.58  # shares of the height, from the top
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
        palette = (_DAY, _DUSK)[(index + seed) % 2]
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
    def paint(cls, width: int, height: int, palette: _Palette, rng: np.random.Generator) -> _Scene:
        wide, high = even(width * 1.2) + 4, even(height * 1.08) + 4
        canvas = _paint_landscape(wide, high, palette, rng)
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


# --- the landscape ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Palette:
    sky: Colour
    horizon: Colour
    cloud: Colour
    far: Colour
    near: Colour
    ground: Colour
    accent: Colour  # what the ground has patches of
    balloons: tuple[tuple[Colour, Colour], ...]
    bush: Colour


_DAY = _Palette(
    sky=(128, 156, 108),
    horizon=(196, 133, 123),
    cloud=(214, 129, 127),
    far=(134, 141, 118),
    near=(82, 120, 118),
    ground=(112, 104, 122),
    accent=(142, 92, 136),
    balloons=(
        ((92, 108, 196), (190, 112, 136)),
        ((112, 160, 100), (200, 126, 128)),
        ((170, 66, 150), (96, 120, 160)),
    ),
    bush=(66, 118, 118),
)
_DUSK = _Palette(
    sky=(92, 152, 122),
    horizon=(186, 104, 160),
    cloud=(184, 118, 148),
    far=(106, 134, 138),
    near=(70, 128, 138),
    ground=(104, 112, 146),
    accent=(136, 102, 154),
    balloons=(
        ((176, 84, 158), (84, 134, 150)),
        ((90, 118, 180), (176, 116, 140)),
        ((96, 150, 112), (180, 122, 132)),
    ),
    bush=(58, 124, 132),
)


@dataclass(frozen=True)
class _Canvas:
    """Planes being painted, in float32: Y in full size, U and V in half."""

    y: Floats
    u: Floats
    v: Floats

    @classmethod
    def blank(cls, width: int, height: int) -> _Canvas:
        u, v = np.full((2, height // 2, width // 2), 128, np.float32)
        return cls(np.zeros((height, width), np.float32), u, v)

    def band(self, top: float, bottom: float) -> tuple[_Canvas, Floats]:
        """The rows between two shares of the height, as a canvas on the same memory, and their numbers."""
        height = self.y.shape[0]
        half = slice(int(top * height / 2), math.ceil(bottom * height / 2))
        full = slice(2 * half.start, 2 * half.stop)
        rows = np.arange(height, dtype=np.float32)[full, None]
        return _Canvas(self.y[full], self.u[half], self.v[half]), rows

    def lay(self, colour: Colour, opacity: Floats, texture: Floats | float = 0.0, tint: float = 0.0) -> None:
        """Paint `colour` plus `texture` as far as `opacity` (0 to 1); `tint` of the texture turns the hue."""
        y, u, v = self.y, self.u, self.v
        y += opacity * (colour[0] + texture - y)
        half = opacity[::2, ::2]
        hue = tint * (texture[::2, ::2] if isinstance(texture, np.ndarray) else texture)
        u += half * (colour[1] - hue - u)
        v += half * (colour[2] + 0.6 * hue - v)

    def planes(self) -> Planes:
        return (
            np.rint(self.y).clip(*_LUMA_RANGE).astype(np.uint8),
            np.rint(self.u).clip(*_CHROMA_RANGE).astype(np.uint8),
            np.rint(self.v).clip(*_CHROMA_RANGE).astype(np.uint8),
        )


def _paint_landscape(width: int, height: int, palette: _Palette, rng: np.random.Generator) -> Planes:
    canvas = _Canvas.blank(width, height)
    _paint_sky(canvas, palette, rng)
    for depth in (0.0, 0.5, 1.0):
        _paint_hills(canvas, palette, depth, rng)
    _paint_ground(canvas, palette, rng)
    return canvas.planes()


def _paint_sky(canvas: _Canvas, palette: _Palette, rng: np.random.Generator) -> None:
    sky, rows = canvas.band(0, _GROUND + 0.1)
    height, width = sky.y.shape
    down = (rows / (_HORIZON * canvas.y.shape[0])).clip(0, 1)
    everywhere = np.ones((height, width), np.float32)
    sky.lay(palette.sky, everywhere)
    sky.lay(palette.horizon, everywhere * down**1.6)
    clouds = streaks(rng, height, width, decay=0.62)
    sky.lay(palette.cloud, 0.75 * smooth(clouds, 0.1, 2.0), 5 * clouds)


def _paint_hills(canvas: _Canvas, palette: _Palette, depth: float, rng: np.random.Generator) -> None:
    """One ridge, from the haze (depth 0) to the front (depth 1)."""
    height, width = canvas.y.shape
    skyline = fractal(rng, 8, width, decay=0.42 + 0.06 * depth)[4]
    crest = height * (_HORIZON * (0.74 + 0.24 * depth) - (0.11 - 0.05 * depth) * skyline)
    hills, rows = canvas.band(float(crest.min().clip(2, None) - 2) / height, _GROUND + 0.1)
    light = relief(fractal(rng, *hills.y.shape, decay=0.55))
    colour = between(palette.far, palette.near, depth)
    mist = between(colour, palette.horizon, 0.45 * (1 - depth))
    hills.lay(mist, smooth(rows - crest, -0.7, 0.7), (6 + 9 * depth) * light, 0.15)


def _paint_ground(canvas: _Canvas, palette: _Palette, rng: np.random.Generator) -> None:
    """A meadow that is seen flat far away and steep near: its rows are spread by perspective."""
    ground, rows = canvas.band(_GROUND - 0.06, 1)
    height, width = ground.y.shape
    near = (rows - rows[0]) / (rows[-1] - rows[0])
    seen = ((height - 1) * np.sqrt(near[:, 0])).astype(np.intp)
    hump = fractal(rng, 8, width, decay=0.45)[4].clip(-3, 3)
    opacity = smooth(rows - canvas.y.shape[0] * (_GROUND + 0.015 * hump), -1, 1)
    patches = streaks(rng, height, width, decay=0.6)[seen]
    grass = relief(fractal(rng, height, width, decay=0.66))[seen]
    ground.lay(palette.ground, opacity, (5 + 8 * near) * grass + 5 * patches, 0.12)
    ground.lay(palette.accent, opacity * (0.7 * smooth(patches, 0.3, 1.6)), 9 * grass, 0.12)


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
    def make(cls, canvas: _Canvas, opacity: Floats, path: _Path) -> _Sprite:
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


def _make_sprites(width: int, height: int, palette: _Palette, rng: np.random.Generator) -> list[_Sprite]:
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
    canvas = _Canvas.blank(wide, high)
    canvas.lay(colours[0], np.ones((high, wide), np.float32))
    canvas.lay(colours[1], stripes)
    cloth_y = canvas.y
    cloth_y += light + 4 * fractal(rng, high, wide, decay=0.65)
    basket = box(x, y, 0.13, (1.22, 1.42), softness)
    ropes = smooth(-np.abs(np.abs(x) - 0.13), -0.03 - softness, 0.0) * ((y > 0.9) & (y < 1.25)) * 0.7
    cloth = smooth(1 - radius, -softness, softness)
    canvas.lay((72, 116, 142), np.maximum(basket, ropes) * (1 - cloth))
    return _Sprite.make(canvas, np.maximum(cloth, np.maximum(basket, ropes)), path)


def _cloud(side: float, palette: _Palette, path: _Path, rng: np.random.Generator) -> _Sprite:
    high, wide = even(side), even(2.6 * side)
    puff = fractal(rng, high, wide, decay=0.6)
    x, y = axis(wide), axis(high)[:, None]
    canvas = _Canvas.blank(wide, high)
    canvas.lay(palette.cloud, np.ones((high, wide), np.float32), 5 * puff - 14 * y)
    inside = (1 - x**2 - y**2).clip(0, 1)
    return _Sprite.make(canvas, 0.85 * smooth(inside * (1 + 0.35 * puff), 0.05, 0.9), path)


def _bush(side: float, palette: _Palette, path: _Path, rng: np.random.Generator) -> _Sprite:
    high, wide = even(side), even(1.7 * side)
    outline = fractal(rng, high, wide, decay=0.55)
    leaves = relief(fractal(rng, high, wide, decay=0.75))
    x, y = axis(wide), axis(high)[:, None]
    dome = 1 - x**2 - (0.5 * (y - 1)) ** 2
    canvas = _Canvas.blank(wide, high)
    canvas.lay(palette.bush, np.ones((high, wide), np.float32), 8 * leaves - 14 * y - 8 * x, 0.2)
    return _Sprite.make(canvas, smooth(dome + 0.12 * outline, 0.12, 0.12 + 6 / wide), path)
