"""Synthetic covers: seeded landscapes that move like filmed ones.

A cover is two scenes with one cut between them. A scene is painted once, on a canvas larger than the
frame: fractal hills in shaded light, haze, sky. A frame is a window that pans over the canvas, with
balloons, clouds and bushes drawn on it, darker corners, and film grain of its own. Frames come one by
one as 4:2:0 planes, so memory knows the size of a frame and not how many there are: about 12 bytes a
pixel while frames are drawn, 40 for the moment in which a scene is painted.

Never use uniform noise as a cover: no camera makes it, no codec compresses it, and every hidden bit in
it is invisible.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidstega.errors import OutputError, ParameterError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]  # float32 where it is large
Planes = tuple[Bytes, Bytes, Bytes]
Colour = tuple[float, float, float]  # (Y, U, V), BT.709, tv range

_SMALLEST, _LARGEST = 16, 16384  # pixels a side
_RATE = 48_000  # Hz
_QP2LAMBDA = 118  # FFmpeg's FF_QP2LAMBDA: global_quality for one step of quantiser
_BT709, _RGB = 1, 0  # AVCOL_PRI_BT709 = AVCOL_TRC_BT709 = AVCOL_SPC_BT709; AVCOL_SPC_RGB
_TV, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_LUMA_RANGE = (46, 216)  # leaves room for corners and grain, so that adding them never wraps
_CHROMA_RANGE = (40, 216)
_HORIZON, _GROUND = 0.52, 0.58  # shares of the height, from the top
_GRAIN_INDEX = 2  # scenes are 0 and 1 in default_rng([index, seed])


def make_cover(
    path: str | Path,
    *,
    width: int = 854,
    height: int = 480,
    frames: int = 100,
    fps: int | float | Fraction = 30,
    seed: int = 0,
    gop_s: float = 2.0,
    bframes: int = 2,
    codec: str = "libx264",
    crf: float = 20,
    pix_fmt: str = "yuv420p",
    sound: bool = True,
    options: Mapping[str, str] | None = None,
    preset: str = "veryfast",
) -> Path:
    """Write a synthetic cover video, with a tone as sound, and return its path.

    The same arguments give the same frames; with the lossy codecs that holds per machine, since an
    encoder may decide by its number of threads. A file at `path` is replaced, and only once the new
    one is whole.

    Parameters
    ----------
    path : str or Path
        Where to write. The extension decides the container; ``.webm`` gets Opus sound, all others AAC.
    width, height : int
        Size in pixels, 16 to 16384; odd sizes only where codec and `pix_fmt` allow them.
    frames : int
        Number of frames, at least 1. The scene cut is at frame ``frames // 2``.
    fps : int, float or Fraction
        Frames per second.
    seed : int
        Picks scene, colours, movement, grain and tone; not negative.
    gop_s : float
        Seconds between key frames. They are fixed; the scene cut makes none.
    bframes : int
        Most B-frames in a row, 0 to 16; most codecs without B-frames ignore it, mjpeg wants 0.
    codec : str
        FFmpeg's name of an encoder, such as ``"libx264"``, ``"libx265"``, ``"libvpx-vp9"``, ``"ffv1"``.
    crf : float
        Quality on x264's scale, 0 (best) to 63; lossless codecs ignore it.
    pix_fmt : str
        Stored format. Frames are made as 8-bit 4:2:0 and converted.
    sound : bool
        Whether to add a mono tone at 48 kHz, as long as the video.
    options : mapping of str to str, optional
        More encoder options. They win over ours; ``x264-params`` and ``x265-params`` are appended.
    preset : str
        Speed of x264 and x265.

    Raises
    ------
    ParameterError
        An argument is senseless, or the encoder refuses the combination.
    OutputError
        The file cannot be written. Nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_cover(f"{folder}/small.mp4", width=64, height=48, frames=4).name
    'small.mp4'
    """
    path = Path(path)
    rate = _check_timing(fps, gop_s, bframes, crf)
    _check_formats(codec, pix_fmt)
    planes = cover_frames(width, height, frames, seed)
    gop = max(1, round(gop_s * rate))
    ours = _codec_options(codec, gop, crf, preset) | {"bf": str(bframes)}
    with _folder_beside(path) as folder, _explained(path):
        part = Path(folder) / path.name
        with av.open(str(part), "w") as container:
            video = _add_video(container, codec, rate, (width, height), pix_fmt)
            video.codec_context.gop_size = gop
            _open_encoder(video.codec_context, codec, ours, options or {})
            tone = _Tone(container, path.suffix, seed) if sound else None
            _encode(container, video, planes, tone)
            if tone is not None:
                tone.finish(frames / rate)
        part.replace(path)
    return path


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
        _require(_SMALLEST <= side <= _LARGEST, f"{name}={side}", f"take {_SMALLEST} to {_LARGEST} pixels")
    _require(frames >= 1, f"frames={frames}", "take at least 1 frame")
    _require(seed >= 0, f"seed={seed}", "take 0 or more")
    return _cover_frames(width, height, frames, seed)


# --- frames -----------------------------------------------------------------------------------------------


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
        wide, high = _even(width * 1.2) + 4, _even(height * 1.08) + 4
        canvas = _paint_landscape(wide, high, palette, rng)
        return cls(canvas, _make_sprites(width, height, palette, rng), (width, height))

    def draw(self, t: int) -> Planes:
        """Frame `t` of the scene, without grain."""
        width, height = self.size
        left = _swing(t, self.canvas[0].shape[1] - _even(width), 0.0013 * width)
        top = _swing(t, self.canvas[0].shape[0] - _even(height), 0.0007 * height)
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
    x, y = _axis(width), _axis(height)[:, None]
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
    clouds = _streaks(rng, height, width, decay=0.62)
    sky.lay(palette.cloud, 0.75 * _smooth(clouds, 0.1, 2.0), 5 * clouds)


def _paint_hills(canvas: _Canvas, palette: _Palette, depth: float, rng: np.random.Generator) -> None:
    """One ridge, from the haze (depth 0) to the front (depth 1)."""
    height, width = canvas.y.shape
    skyline = _fractal(rng, 8, width, decay=0.42 + 0.06 * depth)[4]
    crest = height * (_HORIZON * (0.74 + 0.24 * depth) - (0.11 - 0.05 * depth) * skyline)
    hills, rows = canvas.band(float(crest.min().clip(2, None) - 2) / height, _GROUND + 0.1)
    relief = _relief(_fractal(rng, *hills.y.shape, decay=0.55))
    colour = _between(palette.far, palette.near, depth)
    mist = _between(colour, palette.horizon, 0.45 * (1 - depth))
    hills.lay(mist, _smooth(rows - crest, -0.7, 0.7), (6 + 9 * depth) * relief, 0.15)


def _paint_ground(canvas: _Canvas, palette: _Palette, rng: np.random.Generator) -> None:
    """A meadow that is seen flat far away and steep near: its rows are spread by perspective."""
    ground, rows = canvas.band(_GROUND - 0.06, 1)
    height, width = ground.y.shape
    near = (rows - rows[0]) / (rows[-1] - rows[0])
    seen = ((height - 1) * np.sqrt(near[:, 0])).astype(np.intp)
    hump = _fractal(rng, 8, width, decay=0.45)[4].clip(-3, 3)
    opacity = _smooth(rows - canvas.y.shape[0] * (_GROUND + 0.015 * hump), -1, 1)
    patches = _streaks(rng, height, width, decay=0.6)[seen]
    grass = _relief(_fractal(rng, height, width, decay=0.66))[seen]
    ground.lay(palette.ground, opacity, (5 + 8 * near) * grass + 5 * patches, 0.12)
    ground.lay(palette.accent, opacity * (0.7 * _smooth(patches, 0.3, 1.6)), 9 * grass, 0.12)


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
    high, wide = _even(1.25 * side), _even(side)
    x, y = _axis(wide), (np.arange(high, dtype=np.float32)[:, None] + 0.5) * (2 / wide) - 1
    pear = x * (1 + 0.3 * y.clip(0, 1) ** 2)
    radius = np.sqrt(pear**2 + (y / (1 + 0.12 * (y > 0))) ** 2)
    longitude = np.arcsin((pear / np.sqrt((1 - (y / 1.13) ** 2).clip(0.01, None))).clip(-1, 1))
    softness = 2.5 / wide
    stripes = _smooth(np.sin(7 * longitude), -0.08, 0.08)
    light = 30 * (1 - radius**2).clip(0, 1) - 26 * (pear + y) - 16
    canvas = _Canvas.blank(wide, high)
    canvas.lay(colours[0], np.ones((high, wide), np.float32))
    canvas.lay(colours[1], stripes)
    cloth_y = canvas.y
    cloth_y += light + 4 * _fractal(rng, high, wide, decay=0.65)
    basket = _box(x, y, 0.13, (1.22, 1.42), softness)
    ropes = _smooth(-np.abs(np.abs(x) - 0.13), -0.03 - softness, 0.0) * ((y > 0.9) & (y < 1.25)) * 0.7
    cloth = _smooth(1 - radius, -softness, softness)
    canvas.lay((72, 116, 142), np.maximum(basket, ropes) * (1 - cloth))
    return _Sprite.make(canvas, np.maximum(cloth, np.maximum(basket, ropes)), path)


def _cloud(side: float, palette: _Palette, path: _Path, rng: np.random.Generator) -> _Sprite:
    high, wide = _even(side), _even(2.6 * side)
    puff = _fractal(rng, high, wide, decay=0.6)
    x, y = _axis(wide), _axis(high)[:, None]
    canvas = _Canvas.blank(wide, high)
    canvas.lay(palette.cloud, np.ones((high, wide), np.float32), 5 * puff - 14 * y)
    inside = (1 - x**2 - y**2).clip(0, 1)
    return _Sprite.make(canvas, 0.85 * _smooth(inside * (1 + 0.35 * puff), 0.05, 0.9), path)


def _bush(side: float, palette: _Palette, path: _Path, rng: np.random.Generator) -> _Sprite:
    high, wide = _even(side), _even(1.7 * side)
    outline = _fractal(rng, high, wide, decay=0.55)
    leaves = _relief(_fractal(rng, high, wide, decay=0.75))
    x, y = _axis(wide), _axis(high)[:, None]
    dome = 1 - x**2 - (0.5 * (y - 1)) ** 2
    canvas = _Canvas.blank(wide, high)
    canvas.lay(palette.bush, np.ones((high, wide), np.float32), 8 * leaves - 14 * y - 8 * x, 0.2)
    return _Sprite.make(canvas, _smooth(dome + 0.12 * outline, 0.12, 0.12 + 6 / wide), path)


# --- shapes and noise -------------------------------------------------------------------------------------


def _fractal(rng: np.random.Generator, height: int, width: int, *, decay: float) -> Floats:
    """Multi-octave noise of shape (height, width) with mean 0 and deviation 1.

    From a coarse grid, double and add finer noise of `decay` times the strength, until it is large enough:
    0.5 looks like clouds, 0.7 like grass. Cost and memory go with the area, whatever the octaves.
    """
    octaves = max(1, math.ceil(math.log2(max(height, width) / 3)))
    field = rng.standard_normal(_grid(height, width, octaves), np.float32)
    for octave in range(1, octaves + 1):
        rows, columns = _grid(height, width, octaves - octave)
        field = np.ascontiguousarray(_double(_double(field)[:rows].T)[:columns].T)
        noise = rng.standard_normal(field.shape, np.float32)
        noise *= decay**octave
        field += noise
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    return field


def _grid(height: int, width: int, doublings: int) -> tuple[int, int]:
    """Size of the grid that is at least (height, width) after so many times n -> 2n - 2."""
    step = 2**doublings
    return -(-(height - 2) // step) + 2, -(-(width - 2) // step) + 2


def _double(field: Floats) -> Floats:
    """Refine n rows to 2n - 2 by corner cutting (Chaikin 1974), which is smooth unlike bilinear steps."""
    fine = np.empty((2 * field.shape[0] - 2, field.shape[1]), np.float32)
    fine[0::2] = 0.75 * field[:-1] + 0.25 * field[1:]
    fine[1::2] = 0.25 * field[:-1] + 0.75 * field[1:]
    return fine


def _streaks(rng: np.random.Generator, height: int, width: int, *, decay: float) -> Floats:
    """Fractal noise that is drawn out sideways."""
    return _double(_fractal(rng, height, width // 2 + 2, decay=decay).T).T[:, :width]


def _relief(heights: Floats) -> Floats:
    """The light that falls from the upper left on a surface of these heights: mean 0, deviation 1."""
    slope = np.zeros_like(heights)
    slope[1:, 1:] = heights[1:, 1:] - heights[:-1, :-1]
    slope /= max(float(slope.std()), 1e-6)
    return cast(Floats, slope + 0.5 * heights)


def _smooth(x: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a smooth step between."""
    t = ((x - low) / (high - low)).clip(0, 1)
    return cast(Floats, (t * t * (3 - 2 * t)).astype(np.float32))


def _box(x: Floats, y: Floats, half: float, rows: tuple[float, float], softness: float) -> Floats:
    middle, reach = sum(rows) / 2, (rows[1] - rows[0]) / 2
    inside = np.minimum(half - np.abs(x), reach - np.abs(y - middle))
    return _smooth(inside, -softness, softness)


def _axis(n: int) -> Floats:
    """Centres of `n` samples between -1 and 1."""
    return ((np.arange(n, dtype=np.float32) + 0.5) * np.float32(2 / n) - 1).astype(np.float32)


def _between(a: Colour, b: Colour, share: float) -> Colour:
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))


def _even(length: float) -> int:
    """The even number at or above `length`, at least 4."""
    return max(4, 2 * math.ceil(length / 2))


# --- encoding ---------------------------------------------------------------------------------------------


def _add_video(
    container: OutputContainer, codec: str, rate: Fraction, size: tuple[int, int], pix_fmt: str
) -> VideoStream:
    stream = cast(VideoStream, container.add_stream(codec, rate=rate))
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt = pix_fmt
    stream.time_base = context.time_base = 1 / rate
    rgb = av.VideoFormat(pix_fmt).is_rgb
    context.color_primaries = context.color_trc = _BT709
    context.colorspace = _RGB if rgb else _BT709
    context.color_range = _FULL if rgb or pix_fmt.startswith("yuvj") else _TV
    return stream


def _open_encoder(
    context: VideoCodecContext, codec: str, ours: Mapping[str, str], more: Mapping[str, str]
) -> None:
    context.options = options = _merge_options(ours, more)
    try:
        context.open()
    except av.FFmpegError as error:
        raise ParameterError(
            f"{codec} refuses {context.width}x{context.height} {context.pix_fmt} with {options}; "
            "4:2:0 wants even sizes, interlaced 4:2:0 a height in fours, and options must be this encoder's"
        ) from error
    unknown = sorted(set(context.options) & set(more))  # libav leaves what it did not use
    _require(not unknown, f"options={unknown} of {codec}", "take options that this encoder has")


def _codec_options(codec: str, gop: int, crf: float, preset: str) -> dict[str, str]:
    """What makes this encoder give ordinary video with fixed, closed GOPs.

    x264 goes without macroblock trees: in the x264 of PyAV 18.1 they differ from run to run where the
    processor has AVX-512 (not with ``asm=avx2``), and covers have to repeat.
    """
    fixed = f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0"
    table = {
        "libx264": {"preset": preset, "crf": str(crf), "x264-params": f"{fixed}:mbtree=0"},
        "libx264rgb": {"preset": preset, "crf": str(crf), "x264-params": f"{fixed}:mbtree=0"},
        "libx265": {"preset": preset, "crf": str(crf), "x265-params": f"{fixed}:log-level=error"},
        "libvpx-vp9": {"crf": str(crf), "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"},
        "libsvtav1": {"crf": str(crf), "preset": "10"},
        "ffv1": {"level": "3"},
    }
    scale = round(_QP2LAMBDA * max(1.0, crf / 5))
    return table.get(codec, {"flags": "+qscale", "global_quality": str(scale), "sc_threshold": "1000000000"})


def _merge_options(ours: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    merged = {**ours, **more}
    for name in ("x264-params", "x265-params"):
        if name in ours and name in more:
            merged[name] = f"{ours[name]}:{more[name]}"  # the last one wins inside x264 and x265
    return merged


def _encode(
    container: OutputContainer,
    video: VideoStream,
    planes: Iterator[Planes],
    tone: _Tone | None,
) -> None:
    """Encode and mux every frame; the sound up to its time goes before a video packet."""
    for pts, picture in enumerate(planes):
        for packet in video.encode(_to_frame(picture, pts, video.codec_context)):
            _mux(container, packet, tone)
    for packet in video.encode(None):
        _mux(container, packet, tone)


def _mux(container: OutputContainer, packet: av.Packet[Any], tone: _Tone | None) -> None:
    if tone is not None and packet.dts is not None and packet.time_base is not None:
        tone.advance(packet.dts * packet.time_base)
    container.mux(packet)


def _to_frame(picture: Planes, pts: int, context: VideoCodecContext) -> av.VideoFrame:
    height, width = picture[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, samples in zip(frame.planes, picture, strict=True):
        view: Bytes = np.ndarray(samples.shape, np.uint8, memoryview(plane), strides=(plane.line_size, 1))
        view[:] = samples
    frame.colorspace, frame.color_range = _BT709, _TV
    if context.pix_fmt != "yuv420p":
        frame = frame.reformat(format=context.pix_fmt)
    frame.pts, frame.time_base = pts, context.time_base
    frame.pict_type = 0
    return frame


class _Tone:
    """A quiet mono tone whose pitch and loudness sway, encoded as far as the video has come."""

    def __init__(self, container: OutputContainer, suffix: str, seed: int) -> None:
        codec = "libopus" if suffix.lower() == ".webm" else "aac"
        self._container = container
        self._stream = cast(AudioStream, container.add_stream(codec, rate=_RATE))
        self._stream.codec_context.layout = "mono"
        self._stream.codec_context.bit_rate = 96_000
        self._pitch = 220 * 2 ** (seed % 12 / 12)
        self._done = 0
        self._stream.codec_context.open()
        self._chunk = self._stream.codec_context.frame_size or 1024

    def advance(self, time_s: Fraction) -> None:
        """Mux the sound before `time_s` in whole codec frames."""
        while (self._done + self._chunk) <= time_s * _RATE:
            self._send(self._chunk)

    def finish(self, duration_s: Fraction) -> None:
        """Mux what is left until `duration_s`, and close the sound."""
        end = round(duration_s * _RATE)
        while self._done < end:
            self._send(min(self._chunk, end - self._done))
        self._container.mux(self._stream.encode(None))

    def _send(self, count: int) -> None:
        frame = av.AudioFrame.from_ndarray(self._samples(count)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, self._done, Fraction(1, _RATE)
        self._done += count
        self._container.mux(self._stream.encode(frame))

    def _samples(self, count: int) -> Floats:
        t = np.arange(self._done, self._done + count) / _RATE
        loudness = 0.15 + 0.05 * np.sin(2 * np.pi * 0.7 * t)
        wave = loudness * np.sin(2 * np.pi * self._pitch * t + 2 * np.sin(np.pi * t))
        return cast(Floats, wave.astype(np.float32))


# --- arguments and files ----------------------------------------------------------------------------------


def _check_timing(fps: int | float | Fraction, gop_s: float, bframes: int, crf: float) -> Fraction:
    _require(math.isfinite(fps) and 0 < fps <= 1000, f"fps={fps}", "take more than 0 and at most 1000")
    _require(math.isfinite(gop_s) and gop_s > 0, f"gop_s={gop_s}", "take more than 0 seconds")
    _require(0 <= bframes <= 16, f"bframes={bframes}", "take 0 to 16")
    _require(0 <= crf <= 63, f"crf={crf}", "take 0 (best) to 63")
    return Fraction(fps).limit_denominator(1001)


def _check_formats(codec: str, pix_fmt: str) -> None:
    try:
        kind = av.Codec(codec, "w").type
        av.VideoFormat(pix_fmt)
    except ValueError as error:
        raise ParameterError(
            f"codec={codec!r}, pix_fmt={pix_fmt!r}: {error}; take an encoder and a pixel format FFmpeg has"
        ) from error
    _require(kind == "video", f"codec={codec!r}", "take a video encoder")


def _require(holds: bool, value: str, rule: str) -> None:
    if not holds:
        raise ParameterError(f"{value} makes no cover; {rule}")


def _folder_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A scratch folder on the same file system, so that the finished file moves in one step."""
    try:
        return tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; make the folder {path.parent} writable") from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what libav says about the file at `path` into our errors."""
    try:
        yield
    except ParameterError:
        raise
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"cannot write {path}: {error}; check container, folder and disk") from error
    except ValueError as error:
        raise ParameterError(f"{path.name}: {error}; take an extension that holds this codec") from error
