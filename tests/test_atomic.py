"""The output appears whole or not at all: after kills, on full disks, when two write at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import vidstega
from vidstega.errors import OutputError
from vidstega.lab.covers import make_cover

WORK = """
import sys, vidstega
cover, stego, spread = sys.argv[1:]
print("begun", flush=True)
vidstega.embed(cover, stego, bytes(100), key="k", spread=spread, progress=False)
"""


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cover that takes a second or two to write every frame of."""
    path = tmp_path_factory.mktemp("longer") / "cover.mp4"
    return make_cover(path, width=480, height=270, frames=120, gop_s=1)


def start(cover: Path, stego: Path, spread: str) -> subprocess.Popen[bytes]:
    """An embedding in a process of its own, past its imports."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WORK, cover, stego, spread], stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"begun\n"
    return process


@pytest.mark.parametrize("spread", ["fewest", "all"])
def test_killed_at_any_moment(longer: Path, tmp_path: Path, spread: str) -> None:
    stego, rng = tmp_path / "s.mp4", random.Random(spread)
    whole = 0
    for _ in range(6):
        process = start(longer, stego, spread)
        time.sleep(rng.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if stego.exists():
            assert vidstega.extract(stego, key="k") == bytes(100)
            stego.unlink()
            whole += 1
        for litter in tmp_path.glob(".vidstega-*"):  # a killed process cannot tidy up
            shutil.rmtree(litter)
    assert list(tmp_path.iterdir()) == [], whole


def test_an_older_file_survives_a_kill(longer: Path, tmp_path: Path) -> None:
    stego = tmp_path / "s.mp4"
    stego.write_bytes(b"precious")
    work = WORK.replace("progress=False", "progress=False, overwrite=True")
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", work, longer, stego, "all"])
    time.sleep(0.8)
    process.kill()
    process.wait()
    assert stego.read_bytes() == b"precious" or vidstega.extract(stego, key="k") == bytes(100)


def test_two_that_write_one_target(longer: Path, tmp_path: Path) -> None:
    stego = tmp_path / "s.mp4"
    both = [start(longer, stego, "all") for _ in range(2)]
    codes = sorted(process.wait() for process in both)
    assert codes[0] == 0
    assert vidstega.extract(stego, key="k") == bytes(100)
    assert list(tmp_path.iterdir()) == [stego]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here (that takes root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("spread", ["fewest", "all"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_full_disk_is_one_error(longer: Path, small_disk: Path, spread: str, n_jobs: int) -> None:
    payload = os.urandom(100_000)
    for taken_kib in (0, 1000, 2000, 2600, 2900):
        filler = small_disk / "filler"
        filler.write_bytes(bytes(taken_kib << 10))
        stego = small_disk / "s.mp4"
        try:
            vidstega.embed(longer, stego, payload, key="k", spread=spread, n_jobs=n_jobs)
        except OutputError as error:
            assert "\n" not in str(error)
            assert list(small_disk.iterdir()) == [filler]
        else:
            assert vidstega.extract(stego, key="k") == payload
            stego.unlink()
    with pytest.raises(OutputError):
        vidstega.embed(longer, small_disk / "s.mp4", payload, key="k", spread=spread)


def test_extracting_onto_a_full_disk(longer: Path, tmp_path: Path, small_disk: Path) -> None:
    vidstega.embed(longer, tmp_path / "s.mp4", os.urandom(400_000), key="k")
    (small_disk / "filler").write_bytes(bytes(2800 << 10))
    with pytest.raises(OutputError):
        vidstega.extract(tmp_path / "s.mp4", key="k", out=small_disk / "out")
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_onto_a_full_disk_says_how_far_it_came(
    longer: Path, tmp_path: Path, small_disk: Path, unbuffered: str
) -> None:
    """A disk that takes a part of a write takes it as a success."""
    payload = os.urandom(400_000)
    vidstega.embed(longer, tmp_path / "s.mp4", payload, key="k")
    (small_disk / "filler").write_bytes(bytes(2800 << 10))
    command = [sys.executable, "-m", "vidstega", "extract", str(tmp_path / "s.mp4"), "--out", "-"]
    environment = {**os.environ, "VIDSTEGA_KEY": "k", "PYTHONUNBUFFERED": unbuffered}
    with (small_disk / "out").open("wb") as out:
        done = subprocess.run(command, env=environment, stdout=out, stderr=subprocess.PIPE)
    taken = (small_disk / "out").read_bytes()
    assert done.returncode == 1 and 0 < len(taken) < len(payload) and payload.startswith(taken)
    said = f"standard output cannot be written after {len(taken):,} of 400,000 bytes: No space left on device"
    assert done.stderr.decode() == f"vidstega: error: {said}\n"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_error(longer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    with pytest.raises(OutputError, match="cannot be written"):
        vidstega.embed(longer, folder / "s.mp4", b"x", key="k")
