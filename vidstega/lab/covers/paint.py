"""The landscape behind a cover: fractal hills in shaded light, haze, sky, painted once on a canvas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidstega.lab.covers.noise import (
    Colour,
    Floats,
    between,
    fractal,
    relief,
    smooth,
    streaks,
)

Bytes = NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes]

_LUMA_RANGE = (46, 216)  # leaves room for corners and grain, so that adding them never wraps
_CHROMA_RANGE = (40, 216)
_HORIZON, _GROUND = 0.52, 0.58  # shares of the height, from the top


@dataclass(frozen=True)
class Palette:
    sky: Colour
    horizon: Colour
    cloud: Colour
    far: Colour
    near: Colour
    ground: Colour
    accent: Colour  # what the ground has patches of
    balloons: tuple[tuple[Colour, Colour], ...]
    bush: Colour


DAY = Palette(
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
DUSK = Palette(
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
class Canvas:
    """Planes being painted, in float32: Y in full size, U and V in half."""

    y: Floats
    u: Floats
    v: Floats

    @classmethod
    def blank(cls, width: int, height: int) -> Canvas:
        u, v = np.full((2, height // 2, width // 2), 128, np.float32)
        return cls(np.zeros((height, width), np.float32), u, v)

    def band(self, top: float, bottom: float) -> tuple[Canvas, Floats]:
        """The rows between two shares of the height, as a canvas on the same memory, and their numbers."""
        height = self.y.shape[0]
        half = slice(int(top * height / 2), math.ceil(bottom * height / 2))
        full = slice(2 * half.start, 2 * half.stop)
        rows = np.arange(height, dtype=np.float32)[full, None]
        return Canvas(self.y[full], self.u[half], self.v[half]), rows

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


def paint_landscape(width: int, height: int, palette: Palette, rng: np.random.Generator) -> Planes:
    canvas = Canvas.blank(width, height)
    _paint_sky(canvas, palette, rng)
    for depth in (0.0, 0.5, 1.0):
        _paint_hills(canvas, palette, depth, rng)
    _paint_ground(canvas, palette, rng)
    return canvas.planes()


def _paint_sky(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
    sky, rows = canvas.band(0, _GROUND + 0.1)
    height, width = sky.y.shape
    down = (rows / (_HORIZON * canvas.y.shape[0])).clip(0, 1)
    everywhere = np.ones((height, width), np.float32)
    sky.lay(palette.sky, everywhere)
    sky.lay(palette.horizon, everywhere * down**1.6)
    clouds = streaks(rng, height, width, decay=0.62)
    sky.lay(palette.cloud, 0.75 * smooth(clouds, 0.1, 2.0), 5 * clouds)


def _paint_hills(canvas: Canvas, palette: Palette, depth: float, rng: np.random.Generator) -> None:
    """One ridge, from the haze (depth 0) to the front (depth 1)."""
    height, width = canvas.y.shape
    skyline = fractal(rng, 8, width, decay=0.42 + 0.06 * depth)[4]
    crest = height * (_HORIZON * (0.74 + 0.24 * depth) - (0.11 - 0.05 * depth) * skyline)
    hills, rows = canvas.band(float(crest.min().clip(2, None) - 2) / height, _GROUND + 0.1)
    light = relief(fractal(rng, *hills.y.shape, decay=0.55))
    colour = between(palette.far, palette.near, depth)
    mist = between(colour, palette.horizon, 0.45 * (1 - depth))
    hills.lay(mist, smooth(rows - crest, -0.7, 0.7), (6 + 9 * depth) * light, 0.15)


def _paint_ground(canvas: Canvas, palette: Palette, rng: np.random.Generator) -> None:
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
