"""Synthetic clips to try the experiment on: enough scenes that differ, and no evidence of anything."""

from __future__ import annotations

import os
from pathlib import Path

from vidstega.lab.covers import make_cover


def smoke_clips(folder: str | os.PathLike[str], count: int = 12) -> list[Path]:
    """Short clips of different scenes, lossily coded, as small as one tile and a little."""
    return [
        make_cover(Path(folder, f"{seed}.mp4"), width=320, height=272, frames=6, fps=25, seed=seed)
        for seed in range(count)
    ]
