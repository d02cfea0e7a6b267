"""What tests share: real clips, small synthetic covers, a key, and what to skip without which program.

In a test module: ``from conftest import requires_ffmpeg`` and put it on a test as a decorator.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: waiting threads take the cores

import pytest

from vidstega.lab.covers import make_cover

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)

requires_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed"
)
requires_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips beside the repository."""
    if not CLIPS.is_dir():
        pytest.skip(f"the folder of real clips, {CLIPS}, is not there")
    return CLIPS


@pytest.fixture(scope="session")
def key() -> str:
    return "correct horse"


@pytest.fixture(scope="session")
def covers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for covers of the session; treat its files as read-only."""
    return tmp_path_factory.mktemp("covers")


@pytest.fixture(scope="session")
def cover(covers: Path) -> Path:
    """320x240, 60 frames at 30 per second in 3 groups, B-frames, sound; H.264 in MP4."""
    return make_cover(covers / "cover.mp4", width=320, height=240, frames=60, fps=30, gop_s=20 / 30)


@pytest.fixture(scope="session")
def cover_vp9(covers: Path) -> Path:
    """160x120, 24 frames, sound; VP9 in WebM, so it can only be transcoded."""
    return make_cover(covers / "cover.webm", width=160, height=120, frames=24, gop_s=0.4, codec="libvpx-vp9")
