"""What a job on samples will take, told from the packet table before anything is decoded.

Memory is a sum of a few things whose sizes are known beforehand: what any job takes (`carriers.memory`), and
per worker the frames a decoder holds, the frames an encoder holds, and the buffers a picture of raw samples
is made in. The constants were fitted to peaks of real jobs (``tests/test_estimate.py`` measures them again).
"""

from __future__ import annotations

import numpy as np

from vidstega import h264
from vidstega.carriers import memory
from vidstega.carriers.memory import MIB, NUMBA_BYTES, SCRYPT_BYTES, WORKER_BYTES
from vidstega.carriers.samples.plan import LOSSLESS_RATIO, SamplesPlan
from vidstega.media.coders import Encoding
from vidstega.media.decode import frame_size
from vidstega.media.source import Scan
from vidstega.methods.habits import Habits
from vidstega.pool import cores
from vidstega.results import Estimate

_SEALING_BYTES = 4 * MIB
_LEFT_FRAMES = 5
"""Frames that allocators still hold while the key is derived again, to verify."""
_RAW_BUFFERS = 7.5
"""Raw frames at a time while one becomes an I_PCM picture, is packed, hashed, read again and muxed."""
_READ_BUFFERS = 3.0
"""The same for a reader that only extracts."""
_CODED_BUFFERS = {"libx264": 5.0, "ffv1": 14.0, "libvpx-vp9": 145.0}
"""Frames a lossless encoder holds, with its output, the muxer's copy and what is compared."""
_MOST_REFERENCES = {"h264": 16, "hevc": 16, "vp9": 8, "av1": 8, "vp8": 3}
_H264_BUFFER = {
    **{10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100, 31: 18000, 32: 20480},
    **{40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320},
    **{60: 696320, 61: 696320, 62: 696320},
}
"""Level to macroblocks in the decoded picture buffer (table A-1)."""
_INTERLEAVE_S = 0.5  # as long as media.mux lets the muxer wait for another stream


def of_writing(scan: Scan, plan: SamplesPlan, n_jobs: int, verify: bool, habits: Habits) -> Estimate:
    """What writing by this plan takes, and verifying it."""
    kept, coded = scan.path.stat().st_size, plan.new_bytes
    return Estimate(
        memory_bytes=_writing_bytes(scan, plan, n_jobs, verify, habits),
        output_bytes=kept + coded,
        disk_bytes=kept + 2 * coded + (2 if verify else 1) * plan.stream_bytes,
        mode=plan.mode,
        reason=plan.reason,
        frames=plan.frames,
        coded=plan.coded,
    )


def of_reading(scan: Scan, frames: int, most: int) -> Estimate:
    """What one worker takes to read if so many frames carry, `most` bytes in all."""
    reading = _coder_bytes(scan, 1, _READ_BUFFERS)
    needed = memory.total(scan, max(SCRYPT_BYTES + _sealing_bytes(scan, 1), reading))
    return Estimate(needed, most, 2 * most, "extract", "every frame may carry", len(scan.pts), frames)


def _writing_bytes(scan: Scan, plan: SamplesPlan, n_jobs: int, verify: bool, habits: Habits) -> int:
    recipe = plan.recipe
    buffers = _CODED_BUFFERS[recipe.lossless.codec] if isinstance(recipe, Encoding) else _RAW_BUFFERS
    workers = min(_workers(n_jobs), len(plan.stretches))
    threads = _workers(n_jobs) if plan.mode == "splice" and len(plan.stretches) == 1 else 1
    writing = workers * (_coder_bytes(scan, threads, buffers) + _method_bytes(scan, habits))
    writing += _interleaver(scan, plan) + (NUMBA_BYTES if habits.kernels else 0)
    reading = workers * _coder_bytes(scan, 1, min(buffers, _RAW_BUFFERS)) if verify else 0
    sealing = SCRYPT_BYTES + _sealing_bytes(scan, workers)
    return memory.total(scan, max(sealing, writing, reading))


def _method_bytes(scan: Scan, habits: Habits) -> int:
    return habits.fixed_bytes + round(habits.sample_bytes * scan.size[0] * scan.size[1])


def _sealing_bytes(scan: Scan, workers: int) -> int:
    """What is held while a key is derived, apart from the derivation itself."""
    return _SEALING_BYTES + (workers - 1) * WORKER_BYTES // 2 + _LEFT_FRAMES * _padded(scan)


def _coder_bytes(scan: Scan, threads: int, buffers: float) -> int:
    """One worker: its decoder, and so many more frames."""
    return WORKER_BYTES + round((_decoder_frames(scan, threads) + buffers) * _padded(scan))


def _padded(scan: Scan) -> int:
    """A frame in FFmpeg's memory: sides in macroblocks, lines aligned, and the decoder's side tables."""
    width, height = scan.size
    grown = (width + 64) * (height + 48) / (width * height)
    return round(frame_size(scan) * min(grown, 8) * 1.06)


def _decoder_frames(scan: Scan, threads: int) -> int:
    """Frames a decoder holds: references, those that wait to be shown, and two in work for each thread."""
    if scan.codec == "h264" and scan.sets.sps:
        held = max(_h264_frames(sps) for sps in scan.sets.sps)
    else:
        held = _MOST_REFERENCES.get(scan.codec, 2) + _delay(scan)
    return held + 2 * threads


def _h264_frames(sps: bytes) -> int:
    """Frames the decoded picture buffer may hold at the level the stream declares (A.3.1, table A-1)."""
    wide, high = h264.parse_sps(sps).mb_size
    return min(16, max(1, _H264_BUFFER.get(sps[3], 184320) // (wide * high)))


def _delay(scan: Scan) -> int:
    """Frames that are decoded before one that is shown earlier, at the most."""
    coded = scan.packets["pts"][scan.shown]
    behind = np.argsort(np.argsort(coded, kind="stable"), kind="stable") - np.arange(len(coded))
    return min(16, int(behind.max(initial=0)))


def _interleaver(scan: Scan, plan: SamplesPlan) -> int:
    """Packets that libav's muxer keeps until another stream has caught up."""
    if len(scan.streams) < 2:
        return 0
    waiting = round(min(_INTERLEAVE_S, scan.duration_s) * float(scan.source.rate))
    if plan.mode == "splice":
        return min(max(len(s.span.pts) for s in plan.stretches), waiting) * frame_size(scan)
    return round(waiting * LOSSLESS_RATIO * frame_size(scan))


def _workers(n_jobs: int) -> int:
    return n_jobs if n_jobs > 0 else cores()
