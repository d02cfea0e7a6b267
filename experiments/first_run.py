"""Hide, read back, compare: the whole way on a synthetic cover with sound. `python experiments/first_run.py`.

Each row is written to disk, read back by a new process that knows the file and the key alone, and compared
byte by byte; then all frames, packets and streams are compared with the cover's. Exits with 1 if a row fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import vidstega
from vidstega.lab.synth import make_cover

KEY = "correct horse"
ARMS: list[tuple[int, str | float]] = [
    (0, "fewest"),
    (1_000, "fewest"),
    (200_000, "fewest"),
    (20_000, 0.1),
    (1_000, "all"),
]
COLUMNS = "{:>9} {:>7} {:<10} {:>9} {:>7} {:>12} {:>8} {:>8}  {}"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="vidstega-") as folder:
        cover = make_cover(Path(folder) / "cover.mp4", width=854, height=480, frames=100, gop_s=0.5)
        print(vidstega.probe(cover))
        print()
        print(
            COLUMNS.format(
                "payload",
                "spread",
                "mode",
                "carrying",
                "alpha",
                "file grows",
                "embed s",
                "back s",
                "read back",
            )
        )
        print(COLUMNS.format("bytes", "", "", "of 100", "", "bytes", "", "", ""))
        answers = [run(cover, *arm) for arm in ARMS]
    return 0 if all(answers) else 1


def run(cover: Path, size: int, spread: str | float) -> bool:
    """Print one row of the table; whether everything came back."""
    payload = np.random.default_rng([size, 0]).bytes(size)
    stego = cover.with_name("stego.mp4")
    started = time.perf_counter()
    result = vidstega.embed(cover, stego, payload, key=KEY, spread=spread, overwrite=True, progress=False)
    embedded = time.perf_counter()
    exact = read_back(stego) == payload
    read = time.perf_counter()
    vidstega.verify(cover, stego, key=KEY, full=True, progress=False)
    row = (
        f"{size:,}",
        spread,
        result.mode,
        result.carrying,
        f"{result.alpha:.3g}",
        f"{result.bytes_after - result.bytes_before:+,}",
        f"{embedded - started:.2f}",
        f"{read - embedded:.2f}",
        "exact" if exact else "**FAILED**",
    )
    print(COLUMNS.format(*row), flush=True)
    return exact


def read_back(stego: Path) -> bytes:
    """The payload as a new process reads it, with the file and the key alone."""
    command = [sys.executable, "-m", "vidstega", "extract", str(stego), "--out", "-"]
    return subprocess.run(
        command, env=os.environ | {"VIDSTEGA_KEY": KEY}, stdout=subprocess.PIPE, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
