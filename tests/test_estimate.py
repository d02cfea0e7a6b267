"""Predictions against what real jobs, each alone in a process, took at their peak."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vidstega import estimate as estimate_any
from vidstega.ask import estimate_extraction
from vidstega.carriers.memory import MIB
from vidstega.errors import CapacityError, InputError, ParameterError
from vidstega.lab.covers import make_cover
from vidstega.media.scan import scan
from vidstega.results import Estimate

# The exact peak of resident memory, which the kernel keeps; PSS is never above it.
_PEAK = """
import sys, os, vidstega, vidstega.errors
call, cover, other, size, spread, n_jobs, verify = sys.argv[1:]
if call == "embed":
    vidstega.embed(cover, other, os.urandom(int(size)), key="k", spread=spread, n_jobs=int(n_jobs),
                   verify=verify == "True", progress=False, method="lsb")
elif call == "extract":
    vidstega.extract(cover, key="k", n_jobs=int(n_jobs), progress=False)
else:
    try:
        vidstega.extract(cover, key="wrong", n_jobs=int(n_jobs), progress=False)
    except vidstega.errors.PayloadError:
        pass
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
estimate = partial(estimate_any, method="lsb")
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


def peak(call: str, cover: Path, other: Path, **job: Any) -> int:
    words = [job.get("size", 0), job.get("spread", "fewest"), job.get("n_jobs", 1), job.get("verify", True)]
    command = [sys.executable, "-W", "ignore", "-c", _PEAK, call, str(cover), str(other), *map(str, words)]
    return 1024 * int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def holds(predicted: int, measured: int, most: float = 2.0) -> None:
    """Never below what was measured, and not absurdly above."""
    assert measured <= predicted <= most * measured, (predicted / MIB, measured / MIB)


SIZES = [(320, 240), (854, 480), (1920, 1080), (2560, 1440)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[1]}p")
@pytest.mark.parametrize(
    "job", [{"size": 1000}, {"size": 1000, "spread": "all"}], ids=["splice", "transcode"]
)
def test_memory_and_output(tmp_path: Path, size: tuple[int, int], job: dict[str, Any]) -> None:
    cover, stego = tmp_path / "cover.mp4", tmp_path / "stego.mp4"
    make_cover(cover, width=size[0], height=size[1], frames=24, preset="ultrafast")
    guess = estimate(cover, job["size"], spread=job.get("spread", "fewest"))
    holds(guess.memory_bytes, peak("embed", cover, stego, **job))
    assert guess.mode == ("transcode" if "spread" in job else "splice")
    written = stego.stat().st_size
    if guess.mode == "splice":
        assert abs(guess.output_bytes - written) < 0.02 * written
    else:  # content decides how well it is coded; the disk must be there
        assert written <= guess.output_bytes <= 8 * written
    assert guess.disk_bytes >= guess.output_bytes
    holds(estimate_extraction(scan(stego), method="lsb").memory_bytes, peak("extract", stego, tmp_path))
    holds(estimate_extraction(scan(stego)).memory_bytes, peak("search everywhere", stego, tmp_path))


@pytest.mark.parametrize(
    ("name", "cover", "job"),
    [
        ("x.mp4", {"codec": "libx265"}, {}),
        ("x.mp4", {"pix_fmt": "yuv420p10le"}, {}),
        ("x.mp4", {"pix_fmt": "yuv444p"}, {}),
        ("x.mp4", {"frames": 120, "gop_s": 0.8}, {"n_jobs": 2, "size": 400_000}),
        ("x.mp4", {"frames": 96, "gop_s": 0.8}, {"n_jobs": 4, "spread": "all"}),
        ("x.mp4", {}, {"verify": False}),
        ("x.webm", {"codec": "libvpx-vp9", "width": 640, "height": 480}, {}),
        ("x.mkv", {"codec": "ffv1", "pix_fmt": "yuv422p12le"}, {}),
    ],
)
def test_other_kinds(tmp_path: Path, name: str, cover: dict[str, Any], job: dict[str, Any]) -> None:
    path, job = tmp_path / name, {"size": 1000} | job
    more = {} if name.endswith("webm") or cover.get("codec") == "ffv1" else {"preset": "ultrafast"}
    make_cover(path, **({"width": 1280, "height": 720, "frames": 24} | cover | more))
    told = {k: v for k, v in job.items() if k != "size"}
    measured = peak("embed", path, tmp_path / f"stego{path.suffix}", **job)
    holds(estimate(path, job["size"], **told).memory_bytes, measured)


def test_memory_does_not_know_how_long_the_video_is(tmp_path: Path) -> None:
    guesses = [
        estimate(make_cover(tmp_path / f"{n}.mp4", width=320, height=240, frames=n), 100).memory_bytes
        for n in (30, 300)
    ]
    assert guesses[1] - guesses[0] < MIB


def test_more_of_anything_never_takes_less(cover: Path) -> None:
    def memory(**job: Any) -> Estimate:
        return estimate(cover, job.pop("size", 1000), **job)

    plain = memory()
    assert memory(size=20_000).output_bytes > plain.output_bytes
    assert memory(spread="all").output_bytes > plain.output_bytes
    assert memory(n_jobs=4, spread="all").memory_bytes >= memory(spread="all").memory_bytes
    assert memory(verify=False).memory_bytes <= plain.memory_bytes


def test_refuses_what_embedding_would(cover: Path, tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match="capacity is"):
        estimate(cover, 10_000_000)
    with pytest.raises(ParameterError, match="payload_bytes=-1"):
        estimate(cover, -1)
    with pytest.raises(ParameterError, match="spread"):
        estimate(cover, 1, spread=2)
    (tmp_path / "x.mp4").write_text("no video")
    with pytest.raises(InputError):
        estimate(tmp_path / "x.mp4", 1)


def test_reads_well(cover: Path) -> None:
    assert "MiB at the peak" in repr(estimate(cover, 1000))
