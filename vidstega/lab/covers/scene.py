"""Seeded landscapes that move like filmed ones, frame by frame.

A cover is two scenes with one cut between them. A scene is painted once, on a canvas larger than the
frame: sky, hazy hills, a meadow. A frame is a window that pans over the canvas, with clouds, balloons and
bushes that drift over it, and film grain of its own. Frames come one by one as 4:2:0 planes, so memory
knows the size of a frame and not how many there are.

Never use uniform noise as a cover: no camera makes it, no codec compresses it, and every hidden bit in it
is invisible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from vidstega.errors import ParameterError

Bytes = NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes]
Floats = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]  # (Y, U, V), BT.709, tv range

_SMALLEST, _LARGEST = 16, 16384  # pixels a side
_LOW, _HIGH = (30, 40, 40), (225, 216, 216)  # of Y, U, V: grain is added and never wraps
_GRAIN = ((1.4, 10), (0.6, 4), (0.6, 4))  # of Y, U, V: deviation, most
_NONE = np.zeros((1, 1), np.float32)
_MARGIN = 128  # samples that a grain tile is larger than the frame


class _Look(NamedTuple):
    """Colours of a landscape, and of the balloons above it."""

    sky: Colour
    horizon: Colour
    cloud: Colour
    far: Colour
    near: Colour
    ground: Colour
    accent: Colour
    balloons: tuple[Colour, ...]


_DAY = _Look(
    sky=(128, 156, 108),
    horizon=(196, 133, 123),
    cloud=(214, 129, 127),
    far=(134, 141, 118),
    near=(82, 120, 118),
    ground=(112, 104, 122),
    accent=(142, 92, 136),
    balloons=((92, 108, 196), (112, 160, 100), (170, 66, 150)),
)
_DUSK = _Look(
    sky=(92, 152, 122),
    horizon=(186, 104, 160),
    cloud=(184, 118, 148),
    far=(106, 134, 138),
    near=(70, 128, 138),
    ground=(104, 112, 146),
    accent=(136, 102, 154),
    balloons=((176, 84, 158), (90, 118, 180), (96, 150, 112)),
)


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
    grain = np.random.default_rng([2, seed])
    shapes = [(height, width)] + 2 * [(-(-height // 2), -(-width // 2))]
    tiles = [_tile(grain, shape, *how) for shape, how in zip(shapes, _GRAIN, strict=True)]
    for index, length in enumerate((frames // 2, frames - frames // 2)):
        if not length:
            continue
        rng, look = np.random.default_rng([index, seed]), (_DAY, _DUSK)[(index + seed) % 2]
        canvas, sprites = _landscape(width, height, look, rng), _sprites(width, height, look, rng)
        for t in range(length):
            planes = _window(canvas, width, height, t)
            for sprite in sprites:
                sprite.draw(planes, t)
            top, left = grain.integers(0, _MARGIN, 2)
            for plane, tile in zip(planes, tiles, strict=True):
                plane += tile[top : top + plane.shape[0], left : left + plane.shape[1]]
            yield planes


def _tile(rng: np.random.Generator, shape: tuple[int, int], sigma: float, most: int) -> Bytes:
    """Film grain, seen through a window that jumps at every frame: small signed values modulo 256."""
    noise = rng.standard_normal((shape[0] + _MARGIN + 1, shape[1] + _MARGIN + 1), np.float32)
    soft = noise[:-1, :-1] + 0.5 * (noise[1:, :-1] + noise[:-1, 1:])
    soft *= sigma / math.sqrt(1.5)
    return cast(Bytes, np.rint(soft).clip(-most, most).astype(np.int8).view(np.uint8))


def _window(canvas: Planes, width: int, height: int, t: int) -> Planes:
    """What a pan shows at frame `t`, as a copy."""
    left = _swing(t, canvas[0].shape[1] - width - width % 2, 0.0013 * width)
    top = _swing(t, canvas[0].shape[0] - height - height % 2, 0.0007 * height)
    y, u, v = (
        plane[top // k : top // k - (-height // k), left // k : left // k - (-width // k)].copy()
        for plane, k in zip(canvas, (1, 2, 2), strict=True)
    )
    return y, u, v


def _swing(t: int, room: int, speed: float) -> int:
    """Where a pan of at most `speed` pixels a frame is at frame `t`, back and forth within [0, room]."""
    return round(room / 2 * (1 + math.sin(2 * speed / max(room, 1) * t - 0.6)))


# -- painting -------------------------------------------------------------------------------------------


def _landscape(width: int, height: int, look: _Look, rng: np.random.Generator) -> Planes:
    """Sky with clouds, three ridges from the haze to the front, and a meadow; larger than the frame."""
    high, wide = _size(1.08 * height + 4), _size(1.2 * width + 4)
    down = np.linspace(0, 1, high, dtype=np.float32)[:, None]
    canvas = _canvas(high, wide, look.sky)
    _lay(canvas, look.horizon, (down / 0.52).clip(0, 1) ** 1.6)
    clouds = _fractal(rng, high, wide, slope=1.5, stretch=2)
    _lay(canvas, look.cloud, 0.75 * _smooth(clouds, 0.1, 2), 5 * clouds)
    light = _relief(_fractal(rng, high, wide, slope=1.7))
    for depth in (0.0, 0.5, 1.0):
        crest = 0.38 + 0.13 * depth - (0.06 - 0.03 * depth) * _fractal(rng, 1, wide, slope=1.1)
        mist = _between(_between(look.far, look.near, depth), look.horizon, 0.45 * (1 - depth))
        shade = np.roll(light, int(depth * wide / 3), axis=1)
        _lay(canvas, mist, _smooth(high * (down - crest), -0.7, 0.7), (6 + 9 * depth) * shade)
    near = ((down - 0.56) / 0.44).clip(0, 1)
    seen = ((high - 1) * np.sqrt(near[:, 0])).astype(np.intp)  # rows are spread by perspective
    edge = _smooth(high * (down - 0.58 - 0.01 * _fractal(rng, 1, wide, slope=1.1)), -1, 1)
    patches, grass = clouds[seen], _relief(_fractal(rng, high, wide, slope=1.4))[seen]
    _lay(canvas, look.ground, edge, (5 + 8 * near) * grass + 5 * patches)
    _lay(canvas, look.accent, 0.7 * edge * _smooth(patches, 0.3, 1.6), 9 * grass)
    return _planes(canvas)


def _canvas(height: int, width: int, colour: Colour) -> list[Floats]:
    """Planes to be painted: Y in full size, U and V in half."""
    return [np.full((height // k, width // k), c, np.float32) for c, k in zip(colour, (1, 2, 2), strict=True)]


def _lay(canvas: list[Floats], colour: Colour, opacity: Floats, texture: Floats = _NONE) -> None:
    """Paint `colour` plus `texture`, which turns the hue a little, as far as `opacity` (0 to 1)."""
    for plane, level, share, k in zip(canvas, colour, (1, -0.12, 0.07), (1, 2, 2), strict=True):
        plane += opacity[::k, ::k] * (level + share * texture[::k, ::k] - plane)


def _planes(canvas: list[Floats]) -> Planes:
    ranges = zip(canvas, _LOW, _HIGH, strict=True)
    y, u, v = (np.rint(plane).clip(low, high).astype(np.uint8) for plane, low, high in ranges)
    return y, u, v


def _fractal(
    rng: np.random.Generator, height: int, width: int, *, slope: float, stretch: float = 1
) -> Floats:
    """Noise of shape (height, width), mean 0 and deviation 1, drawn out sideways by `stretch`.

    Its amplitude falls with frequency ** -slope, as in filmed pictures: 1.7 is soft, 1.3 like grass.
    """
    rows, columns = np.fft.fftfreq(height)[:, None], stretch * np.fft.rfftfreq(width)
    squares = (rows**2).astype(np.float32) + (columns**2).astype(np.float32)
    squares[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), np.float32))
    spectrum *= squares ** (-slope / 2)
    field = np.fft.irfft2(spectrum, s=(height, width))
    field /= field.std()
    return cast(Floats, field)


def _relief(heights: Floats) -> Floats:
    """The light that falls from the upper left on a surface of these heights."""
    slope = heights - np.roll(heights, (1, 1), axis=(0, 1))
    return cast(Floats, slope / slope.std() + 0.5 * heights)


def _smooth(x: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a smooth step between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return cast(Floats, t * t * (3 - 2 * t))


def _between(a: Colour, b: Colour, share: float) -> Colour:
    y, u, v = (x + share * (z - x) for x, z in zip(a, b, strict=True))
    return y, u, v


def _size(length: float) -> int:
    """An even size at or above `length`, at least 4: a power of two and a small factor, as FFTs like it."""
    step = 1 << max(1, math.ceil(length).bit_length() - 4)
    return max(4, step * math.ceil(length / step))


# -- things that move -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sprite:
    """A textured thing with soft edges that leaves the frame on one side and comes back on the other.

    `paint` holds, for each of Y, U and V, colour times opacity (0 to 65280) and 256 minus opacity. It
    starts at (x, y) in pixels and moves by `speed` pixels a frame.
    """

    paint: list[tuple[NDArray[np.uint16], NDArray[np.uint16]]]
    x: float
    y: float
    speed: float

    def draw(self, planes: Planes, t: int) -> None:
        """Lay it on the planes where it is at frame `t`, bobbing a little."""
        high, wide = self.paint[0][0].shape
        x = round((self.x + self.speed * t) % (planes[0].shape[1] + wide) - wide)
        y = round(self.y + 0.05 * high * math.sin(0.04 * t))
        for plane, (colour, rest), k in zip(planes, self.paint, (1, 2, 2), strict=True):
            _blend(plane, colour, rest, x // k, y // k)


def _blend(plane: Bytes, colour: NDArray[np.uint16], rest: NDArray[np.uint16], x: int, y: int) -> None:
    """Lay a sprite on `plane` with its corner at (x, y), clipped to the plane."""
    under = plane[max(y, 0) : max(y + rest.shape[0], 0), max(x, 0) : max(x + rest.shape[1], 0)]
    seen = np.s_[max(-y, 0) : max(-y, 0) + under.shape[0], max(-x, 0) : max(-x, 0) + under.shape[1]]
    under[:] = (under * rest[seen] + colour[seen]) >> 8


def _sprites(width: int, height: int, look: _Look, rng: np.random.Generator) -> list[_Sprite]:
    """Clouds behind, balloons before them, bushes that pass in front of the camera."""
    sprites = []
    for share in (0.30, 0.20):
        paint = _thing(share * height, 2.6, look.cloud, rng, rough=0.35, soft=0.9)
        x, y = rng.uniform(0, 1.3) * width, rng.uniform(0, 0.14) * height
        sprites.append(_Sprite(paint, x, y, 0.0012 * width))
    for i, (share, colour) in enumerate(zip((0.16, 0.23, 0.33), look.balloons, strict=True)):
        paint = _thing(share * height, 0.8, colour, rng, rough=0, soft=0.1)
        x, y = (0.3 + 0.4 * i + rng.uniform(0, 0.15)) * width, rng.uniform(0.03, 0.2) * height
        sprites.append(_Sprite(paint, x, y, rng.choice((-1, 1)) * (0.0008 + 0.003 * share) * width))
    for share in (0.2, 0.28):
        bush = _between(look.near, (48, 124, 126), 0.5)
        paint = _thing(1.4 * share * height, 1.3, bush, rng, rough=0.12, soft=0.12)
        x, y = rng.uniform(0, 1.3) * width, (1.04 - 0.9 * share) * height
        sprites.append(_Sprite(paint, x, y, -0.012 * share * width))
    return sprites


def _thing(
    side: float, aspect: float, colour: Colour, rng: np.random.Generator, *, rough: float, soft: float
) -> list[tuple[NDArray[np.uint16], NDArray[np.uint16]]]:
    """The paint of a rounded thing, lit from the upper left; the rougher, the less it is an ellipse."""
    high, wide = _size(side), _size(aspect * side)
    texture = _fractal(rng, high, wide, slope=1.4)
    x, y = np.linspace(-1, 1, wide, dtype=np.float32), np.linspace(-1, 1, high, dtype=np.float32)[:, None]
    canvas = _canvas(high, wide, colour)
    _lay(canvas, colour, _NONE + 1, 5 * texture - 14 * (x + y))
    inside = (1 - x**2 - y**2) * (1 + rough * texture)
    full = np.rint(256 * _smooth(inside, 0, soft)).astype(np.uint16)
    masks = (full, full[::2, ::2], full[::2, ::2])
    return [(plane * mask, 256 - mask) for plane, mask in zip(_planes(canvas), masks, strict=True)]
