"""What a worker does with frames that carry: put a stretch of the sealed stream in, or get it out.

Tasks take paths and numbers alone, so that threads, processes and clusters run them alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidstega.carriers.samples.bands import Bands
from vidstega.carriers.samples.layout import Area, Layout, seal_mark
from vidstega.carriers.samples.plan import Stretch
from vidstega.media.decode import frame_digest, planes
from vidstega.media.rewrite import Piece
from vidstega.methods import Plane
from vidstega.seal import Keys, Sealed


@dataclass
class CarryIn:
    """A transform for `media.rewrite`: the frames of a stretch get their part of a sealed stream.

    For a method that looks back it keeps the luma of the last frame as the cover had it; of the first frame
    in a stretch nothing before is known, so that it does not matter who works on which stretch.
    """

    bands: Bands
    layout: Layout
    sealed: Sealed
    stretch: Stretch
    _before: Plane | None = field(default=None, init=False, repr=False, compare=False)

    def __call__(self, number: int, frame: VideoFrame) -> bool:
        """Embed in frame `number` of the span, in place, if it carries."""
        if number >= self.stretch.carrying:
            return False
        stretch, frame_bytes = self.stretch, self.layout.frame_bytes
        at, keys = stretch.frame + number, self.sealed.keys
        before = self.bands.run_bytes(frame_bytes, stretch.run, at)
        start = stretch.offset + before - self.bands.run_bytes(frame_bytes, stretch.run, stretch.frame)
        size = self.bands.body_bytes(frame_bytes, stretch.run, at)
        contents = self._opening(at) | {Area.BODY: self.sealed.read(start, size)}
        frame.make_writable()
        luma = planes(frame)[0]
        last = self._before if number else None
        more = self.bands.looks_back and number + 1 < stretch.carrying
        self._before = luma.copy() if more else None
        self.bands.write(luma, keys, stretch.run, at, contents, last)
        return True

    def _opening(self, at: int) -> dict[Area, bytes]:
        """What a reader looks for in a run's first frame."""
        if at:
            return {}
        stretch, keys = self.stretch, self.sealed.keys
        mark = {Area.MARK: seal_mark(keys, stretch.run, self.layout.runs, stretch.run_frames)}
        if stretch.run:
            return mark
        return mark | {Area.SALT: keys.salt, Area.HEADER: self.layout.seal(keys)}


def read_stretch(
    piece: Piece, bands: Bands, layout: Layout, keys: Keys, stretch: Stretch, spool: str
) -> NDArray[np.uint64]:
    """The other way: what a stretch carries is put in its place in `spool`; digests of frames if asked."""
    digests: list[int] = []
    piece.make_room()
    with Path(spool).open("r+b") as file:
        file.seek(stretch.offset)
        for number, frame in enumerate(piece.as_written(None if piece.digest else stretch.carrying)):
            if number < stretch.carrying:
                luma, at = planes(frame)[0], stretch.frame + number
                file.write(bands.read_body(luma, keys, stretch.run, at, layout.frame_bytes))
            if piece.digest:
                digests.append(frame_digest(frame))
    return np.array(digests, np.uint64)
