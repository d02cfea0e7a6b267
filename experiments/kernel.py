"""How fast the LSB kernel is, per core, and what scratch it needs: `python experiments/kernel.py`.

Speeds are MB (1e6 bytes) of luma per second on one thread, the best of `REPEATS`; scratch is the peak
of tracemalloc over one call, without the bytes that extract returns. The round trip is checked first.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vidstega.methods.lsb import LSB
from vidstega.seal.keystream import KeyedRandom, KeyStream

SIZES = {
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
ALPHAS = (1.0, 0.5, 0.01)
PADDING = 64  # samples at the end of each line, as decoders leave them
REPEATS = 7


def main() -> None:
    """Print the table."""
    print(
        "| plane | alpha | embed MB/s | extract MB/s | copy MB/s | embed/copy | extract/copy | scratch MiB |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows():
        print(row, flush=True)


def rows() -> Iterator[str]:
    """One line of markdown for each size of plane and alpha."""
    for name, (width, height) in SIZES.items():
        for alpha in ALPHAS:
            plane, data = cover(width, height), message(int(alpha * width * height) // 8)
            embed, extract, copy, scratch_mib = measured(plane, data)
            yield (
                f"| {name} | {alpha:g} | {embed:,.0f} | {extract:,.0f} | {copy:,.0f} "
                f"| {embed / copy:.3f} | {extract / copy:.3f} | {scratch_mib:.2f} |"
            )


def measured(plane: NDArray[np.uint8], data: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """MB/s of embed, of extract and of a plain copy of the plane, and the scratch of both in MiB."""
    stego = np.empty_like(plane)
    LSB().embed(plane, data, keyed(), 8)
    if not np.array_equal(LSB().extract(plane, len(data), keyed(), 8), data):
        raise AssertionError("what was embedded did not come back")
    calls: list[tuple[Callable[[], object], int]] = [
        (lambda: LSB().embed(plane, data, keyed(), 8), 0),
        (lambda: LSB().extract(plane, len(data), keyed(), 8), len(data)),
        (lambda: np.copyto(stego, plane), 0),
    ]
    embed, extract, copy = (plane.size / 1e6 / best_s(call) for call, _ in calls)
    return embed, extract, copy, max(peak_bytes(call) - result for call, result in calls) / 2**20


def best_s(call: Callable[[], object]) -> float:
    """The shortest of `REPEATS` times of one call, in seconds."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def peak_bytes(call: Callable[[], object]) -> int:
    """The most memory one call held at once; NumPy reports its buffers to tracemalloc."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def keyed() -> KeyedRandom:
    """The same two streams each time: position and sign."""
    return KeyedRandom(KeyStream(bytes(32), b"place"), KeyStream(bytes(32), b"sign"))


def cover(width: int, height: int) -> NDArray[np.uint8]:
    """Noise over the whole range, in padded lines."""
    noise = np.random.default_rng([0, width]).integers(0, 256, (height, width + PADDING), np.uint8)
    return noise[:, :width]


def message(size: int) -> NDArray[np.uint8]:
    """Uniform bytes: what is embedded is always sealed."""
    return np.random.default_rng([1, size]).integers(0, 256, size, np.uint8)


if __name__ == "__main__":
    main()
