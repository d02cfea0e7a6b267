"""How one frame carries: which rows of its luma plane hold the mark, the salt, the header and the body.

Every run's first frame begins with a band of rows for the run's mark; the first frame of run 0 goes on
with bands for the salt and the header; all other rows, and all rows of all other frames, are body. Bands
are whole multiples of 8 rows, as few as LSB matching needs, so a reader that has not opened anything yet
finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vidstega.carriers.samples.layout import (
    HEADER_BYTES,
    MARK_BYTES,
    Area,
    Layout,
    open_mark,
    random_of,
    salt_random,
)
from vidstega.errors import CapacityError, ParameterError, PayloadError
from vidstega.methods import Method, Plane
from vidstega.methods.habits import habits_of
from vidstega.methods.lsb import LSB
from vidstega.seal import SALT_BYTES, Key, KeyedRandom, Keys

_STEP = 8
_OPENING = LSB()
"""Carries what a reader has to find before it knows the method."""
_OPENING_BYTES = {Area.MARK: MARK_BYTES, Area.SALT: SALT_BYTES, Area.HEADER: HEADER_BYTES}


@dataclass(frozen=True)
class Bands:
    """A method on planes of one shape and depth.

    Parameters
    ----------
    method : Method
    size : (width, height) of the luma plane in samples
    depth : bits per sample
    """

    method: Method
    size: tuple[int, int]
    depth: int

    @cached_property
    def _opening_rows(self) -> dict[Area, int]:
        return {area: self._rows_for(8 * n) for area, n in _OPENING_BYTES.items()}

    def _rows_for(self, bits: int) -> int:
        width, height = self.size
        rows = -(-bits // (_STEP * width)) * _STEP
        if rows < height:
            return rows
        raise CapacityError(
            f"frames of {width}x{height} are too small: no band of rows takes {bits} bits; use a larger video"
        )

    def of(self, run: int, frame: int) -> dict[Area, slice]:
        """Rows of each area in frame `frame` of run `run`."""
        areas = () if frame else (Area.MARK,) if run else (Area.MARK, Area.SALT, Area.HEADER)
        rows, at = {}, 0
        for area in areas:
            rows[area] = slice(at, at + self._opening_rows[area])
            at += self._opening_rows[area]
        if at >= self.size[1]:
            raise CapacityError(
                f"frames of {self.size[0]}x{self.size[1]} are too small: {at} rows go to the header, "
                "none are left; use a larger video"
            )
        return {**rows, Area.BODY: slice(at, self.size[1])}

    def most_bytes(self, alpha: float = 1.0) -> int:
        """Bytes a whole frame takes at `alpha` bits per sample at the most."""
        width, height = self.size
        return min(self._bits(height), int(alpha * width * height)) // 8

    def body_bytes(self, frame_bytes: int, run: int, frame: int) -> int:
        """Bytes of the body this frame holds where a whole frame holds `frame_bytes`."""
        height = self.size[1]
        rows = self.of(run, frame)[Area.BODY]
        count: int = rows.stop - rows.start
        return min(self._bits(count) // 8, frame_bytes * count // height)

    def run_bytes(self, frame_bytes: int, run: int, frames: int) -> int:
        """Bytes of the body that the first `frames` frames of a run hold."""
        if not frames:
            return 0
        return self.body_bytes(frame_bytes, run, 0) + (frames - 1) * self.body_bytes(frame_bytes, run, 1)

    def fit(self, stream_bytes: int, lengths: Sequence[int], most: int) -> int | None:
        """The smallest `frame_bytes` up to `most` at which runs of these lengths hold the stream."""

        def held(frame_bytes: int) -> int:
            first = self.run_bytes(frame_bytes, 0, lengths[0])
            start, plain = self.body_bytes(frame_bytes, 1, 0), self.body_bytes(frame_bytes, 1, 1)
            return first + (len(lengths) - 1) * start + (sum(lengths[1:]) - len(lengths) + 1) * plain

        if held(most) < stream_bytes:
            return None
        low, high = 1, most
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if held(middle) < stream_bytes else (low, middle)
        return low

    @property
    def looks_back(self) -> bool:
        """Whether the method wants to see the frame before."""
        return habits_of(self.method).looks_back

    def write(
        self,
        plane: Plane,
        keys: Keys,
        run: int,
        frame: int,
        contents: dict[Area, bytes],
        before: Plane | None = None,
    ) -> None:
        """Embed the contents of a frame's areas into its luma plane, in place; `before` is the one before."""
        for area, rows in self.of(run, frame).items():
            method = self.method if area == Area.BODY else _OPENING
            data = np.frombuffer(contents[area], np.uint8)
            more: dict[str, Any] = {}
            if area == Area.BODY and self.looks_back:
                more["before"] = None if before is None else before[rows]
            method.embed(plane[rows], data, random_of(keys, area, run, frame), self.depth, **more)

    def read_body(self, plane: Plane, keys: Keys, run: int, frame: int, frame_bytes: int) -> bytes:
        """The body bytes of a frame."""
        rows, size = self.of(run, frame)[Area.BODY], self.body_bytes(frame_bytes, run, frame)
        data = self.method.extract(plane[rows], size, random_of(keys, Area.BODY, run, frame), self.depth)
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (size,):
            raise ParameterError(
                f"method {self.method.name!r}: extract() has to give a uint8 array of shape ({size},)"
            )
        return data.tobytes()

    def read_mark(self, plane: Plane, keys: Keys, runs: int, expected: int) -> tuple[int, int] | None:
        """(ordinal, frames) if a run of this message starts with this frame."""
        return open_mark(keys, runs, self._opening(plane, Area.MARK, 1, random_of(keys, Area.MARK)), expected)

    def read_header(self, plane: Plane, key: Key) -> tuple[Keys, Layout]:
        """Keys and layout if run 0 starts with this frame; PayloadError if not."""
        try:
            salt = self._opening(plane, Area.SALT, 0, salt_random())
        except CapacityError:
            raise PayloadError from None
        keys = key.at(salt)
        return keys, Layout.open(keys, self._opening(plane, Area.HEADER, 0, random_of(keys, Area.HEADER)))

    def _opening(self, plane: Plane, area: Area, run: int, random: KeyedRandom) -> bytes:
        rows = self.of(run, 0)[area]
        return _OPENING.extract(plane[rows], _OPENING_BYTES[area], random, self.depth).tobytes()

    def _bits(self, rows: int) -> int:
        bits = self.method.capacity((rows, self.size[0]), self.depth)
        if not isinstance(bits, int | np.integer) or bits < 0:
            raise ParameterError(
                f"method {self.method.name!r}: capacity() gave {bits!r}, not a number of bits"
            )
        return int(bits)
