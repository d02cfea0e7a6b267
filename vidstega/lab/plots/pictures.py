"""One cover and its stego file: frames, their difference, packets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

import vidstega
from vidstega.lab.clip import pictures, replaced
from vidstega.lab.plots.style import GREY, SKY, VERMILION

File = str | os.PathLike[str]


def frame(path: File, number: int, ax: Axes) -> Axes:
    """The luma of one frame."""
    one = _frame(path, number)
    ax.imshow(one.luma, cmap="gray", vmin=0, vmax=2**one.depth - 1)
    ax.set(xticks=[], yticks=[], title=f"{Path(path).name}, frame {number}")
    return ax


def difference(cover: File, stego: File, number: int, ax: Axes, gain: int = 100) -> Axes:
    """The luma of a stego frame less that of the cover's, so many times amplified, around grey."""
    before, after = _frame(cover, number), _frame(stego, number)
    signed = after.luma.astype(np.int32) - before.luma
    half = 2 ** (before.depth - 1)
    ax.imshow(signed * gain, cmap="gray", vmin=-half, vmax=half, interpolation="nearest")
    changed = np.count_nonzero(signed) / signed.size
    ax.set(xticks=[], yticks=[], title=f"difference x{gain}, {changed:.1%} of the samples")
    return ax


def _frame(path: File, number: int) -> Any:
    (one,) = vidstega.frames(path, number, number + 1)
    return one


def packets(cover: File, stego: File, ax: Axes) -> Axes:
    """Sizes of the video packets in order of display: the cover's as a line, copied and new ones as bars."""
    rows = replaced(cover, stego)
    before = pictures(cover)
    for label, color, wanted in (("copied from the cover", SKY, False), ("new", VERMILION, True)):
        some = rows[rows.new == wanted]
        ax.bar(some.index, some["size"] / 1000, 1.0, color=color, label=label)
    ax.step(before.index, before["size"] / 1000, where="mid", color=GREY, linewidth=0.8, label="the cover's")
    ax.set_yscale("log")
    ax.set(xlabel="frame (number)", ylabel="packet size (kB)", title="What changed in the file")
    ax.legend(loc="upper right", ncols=3)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * 4)
    return ax
