"""Try it on one video: what hiding a message will cost, and what it did. The logic of 00_explorer.ipynb."""

from __future__ import annotations

import html
import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

import vidstega
from vidstega.carriers import AUTO
from vidstega.errors import InputError, VidstegaError
from vidstega.lab import plots, quality
from vidstega.lab.clip import replaced
from vidstega.lab.covers.files import SUFFIXES
from vidstega.lab.text import bytes_, plain

SIZES = {"12 B": 12, "1 KB": 1 << 10, "10 KB": 10 << 10, "100 KB": 100 << 10, "1 MB": 1 << 20}
SPREADS = {
    "fewest frames": "fewest",
    "a tenth of the bits": 0.1,
    "half of the bits": 0.5,
    "all frames": "all",
}


@dataclass(frozen=True)
class Trial:
    """One message that was hidden and read back."""

    cover: Path
    stego: Path
    result: Any
    seconds: float
    read_back: bool

    @cached_property
    def packets(self) -> Any:
        """Video packets of the stego file in order of display, with `new` where the cover has none alike."""
        return replaced(self.cover, self.stego)

    @cached_property
    def touched(self) -> list[int]:
        """Numbers of the frames whose packet is not the cover's."""
        return [int(number) for number in self.packets.index[self.packets.new]]

    @property
    def growth_bytes(self) -> int:
        """By how much the file grew."""
        return int(self.result.bytes_after - self.result.bytes_before)

    def psnr_db(self, number: int) -> float:
        """Of one frame's luma against the cover's; infinite where nothing changed."""
        before, after = (next(vidstega.frames(path, number, number + 1)) for path in (self.cover, self.stego))
        return quality.psnr_db(before.luma, after.luma, before.depth)

    def frame_figure(self, number: int, gain: int) -> Figure:
        """Cover, stego, and their difference so many times amplified."""
        return plots.side_by_side(
            partial(plots.frame, self.cover, number),
            partial(plots.frame, self.stego, number),
            partial(plots.difference, self.cover, self.stego, number, gain=gain),
            height=2.7,
        )

    def packets_figure(self) -> Figure:
        """Sizes of packets before and after."""
        return plots.side_by_side(partial(plots.packets, self.cover, self.stego), height=3.0)

    @property
    def summary(self) -> str:
        """What it cost, in lines."""
        noise = [value for n in self.touched[:3] if np.isfinite(value := self.psnr_db(n))]
        return "\n".join(
            [
                f"{self.result.mode} ({self.result.reason}), {plain(self.seconds)} s",
                f"{self.result.carrying:,} of {self.result.frames:,} frames carry",
                f"file: {bytes_(self.result.bytes_before)}, {bytes_(self.growth_bytes)} more",
                f"PSNR of touched frames: {plain(float(np.mean(noise)))} dB"
                if noise
                else "no sample differs",
                "the message was read back and is equal" if self.read_back else "NOT READ BACK",
            ]
        )


def methods(cover: str | os.PathLike[str]) -> list[str]:
    """The methods that this cover can be hidden in with, behind the one that takes the quietest."""
    return list(dict.fromkeys([AUTO, *(row.method for row in vidstega.capacity(cover).rows)]))


def foretell(cover: str | os.PathLike[str], size: int, spread: Any, method: str = AUTO) -> str:
    """What hiding so many bytes will cost, before anything is decoded."""
    told = vidstega.estimate(cover, size, method=method, spread=spread)
    before = Path(cover).stat().st_size
    return (
        f"{told.mode} ({told.reason}): {told.coded:,} of {told.frames:,} frames coded anew, about "
        f"{bytes_(told.memory_bytes)} of memory, {bytes_(told.output_bytes - before)} more in the file"
    )


def hide(cover: str | os.PathLike[str], size: int, method: str, spread: Any, folder: Path) -> Trial:
    """Hide so many random bytes for real, and read them back with the key alone."""
    payload, key = np.random.default_rng([size, 0]).bytes(size), "explorer"
    stego = folder / f"stego{Path(cover).suffix}"
    started = time.perf_counter()
    how: dict[str, Any] = {"method": method, "spread": spread, "overwrite": True, "progress": False}
    result = vidstega.embed(cover, stego, payload, key=key, **how)
    seconds = time.perf_counter() - started
    equal = vidstega.extract(stego, key=key, progress=False) == payload
    return Trial(Path(cover), stego, result, seconds, equal)


class Explorer:
    """Widgets over one video: choose, see what it will cost, hide, and look at what changed.

    Parameters
    ----------
    cover : the video to begin with
    folder : whose videos can be chosen; any other path can be typed
    """

    def __init__(self, cover: str | os.PathLike[str], folder: str | os.PathLike[str] = ".") -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="vidstega-")
        self.trial: Trial | None = None
        near = sorted(str(path) for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
        wide, late = widgets.Layout(width="640px"), {"continuous_update": False}
        self.video = widgets.Combobox(value=str(cover), options=near, description="video", layout=wide)
        self.size = widgets.SelectionSlider(options=list(SIZES.items()), value=1 << 10, description="message")
        self.method = widgets.Dropdown(options=[AUTO], description="method")
        self.spread = widgets.Dropdown(options=list(SPREADS.items()), description="spread")
        self.button = widgets.Button(description="Hide", button_style="primary")
        self.number = widgets.IntSlider(min=0, max=0, description="frame", **late)
        self.gain = widgets.IntSlider(value=100, min=1, max=200, description="amplified", **late)
        self.estimate, self.told = widgets.HTML(), widgets.HTML()
        self.pictures, self.packets = widgets.Image(), widgets.Image()
        self.seen = widgets.VBox([self.told, self.number, self.gain, self.pictures, self.packets])
        choices = [self.video, self.size, self.method, self.spread]
        self.box = widgets.VBox([*choices, self.estimate, self.button, self.seen])
        for widget, changed in (
            (self.video, self._other_video),
            *((choice, self._foretell) for choice in choices[1:]),
            *((choice, self._draw_frame) for choice in (self.number, self.gain)),
        ):
            widget.observe(lambda _, changed=changed: changed(), "value")
        self.button.on_click(lambda _: self.hide())
        self._other_video()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What cannot be is one line, and nothing can be pressed."""
        self.button.disabled = True
        try:
            yield
            self.button.disabled = False
        except VidstegaError as error:
            self.estimate.value = f"<b>{html.escape(str(error))}</b>"

    def _other_video(self) -> None:
        """Another video: what was hidden before is no longer shown."""
        self.seen.layout.display = "none"
        with self._told():
            self.method.options = methods(self.video.value)
        self._foretell()

    def _foretell(self) -> None:
        with self._told():
            told = foretell(self.video.value, self.size.value, self.spread.value, self.method.value)
            self.estimate.value = f"<b>Foretold:</b> {html.escape(told)}"

    def hide(self) -> None:
        """Hide for real with what is chosen, and show what came of it."""
        with self._told():
            cover = Path(self.video.value)
            if not cover.is_file():
                raise InputError(f"{cover} is not a file; choose another video")
            folder = Path(self._scratch.name)
            self.trial = hide(cover, self.size.value, self.method.value, self.spread.value, folder)
            self.told.value = f"<pre>{html.escape(self.trial.summary)}</pre>"
            self.number.max = len(self.trial.packets) - 1
            self.number.value = next(iter(self.trial.touched), 0)
            self.packets.value = _png(self.trial.packets_figure())
            self._draw_frame()
            self.seen.layout.display = ""

    def _draw_frame(self) -> None:
        if self.trial is not None:
            self.pictures.value = _png(self.trial.frame_figure(self.number.value, self.gain.value))


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, dpi=90)
    return out.getvalue()
