"""What any job takes of memory before it touches a frame; fitted to peaks of real jobs, with a reserve.

A prediction that is too low takes a server down, one that is too high only makes a job wait.
"""

from __future__ import annotations

from vidstega.media.source import Scan

MIB = 1 << 20
BASELINE_BYTES = 78 * MIB
"""An interpreter with NumPy, FFmpeg, cryptography and joblib, the heap of a small job included."""
WORKER_BYTES = 10 * MIB
"""One more thread, or the first: its stack, its heap, an open container with its buffers."""
SCRYPT_BYTES = 32 * MIB
NUMBA_BYTES = 110 * MIB
"""Numba with LLVM and the kernels of a family."""
PACKET_BYTES = 400
"""A packet in all the tables: ours, the demuxer's index, the muxer's index, of source and result."""

_RESERVE = 1.12
"""What a prediction is raised by: allocators keep holes, and encoders differ by content."""


def total(scan: Scan, peak: int) -> int:
    """Bytes of a process whose work takes so many at its peak, beside the tables of this video."""
    return round(_RESERVE * (BASELINE_BYTES + _tables(scan) + peak))


def _tables(scan: Scan) -> int:
    others = sum(1 for stream in scan.streams if stream.kind == "audio")
    sound = round(50 * scan.duration_s * others)  # packets of 20 ms or so
    return PACKET_BYTES * (len(scan.packets) + sound) + 4 * int(scan.packets["size"].max())
