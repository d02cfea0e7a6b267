"""What a job will take, told from the packet table before anything is decoded.

Memory is a sum of a few things whose sizes are known beforehand: the interpreter with its libraries, the
key derivation, the tables of packets, and per worker the frames a decoder holds, the frames an encoder
holds, and the buffers a picture of raw samples is made in. The constants were fitted to peaks of real
jobs (``tests/test_predict.py`` measures them again), with a reserve: a prediction that is too low takes a
server down, one that is too high only makes a job wait.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from av.video.format import VideoFormat

from vidstega import h264, methods, plan, video
from vidstega.carrier import Carrier
from vidstega.errors import ParameterError, UnsupportedError
from vidstega.payload import BLOCK, CHUNK, TRAILER_BYTES
from vidstega.plan import Plan, Spread
from vidstega.splice import container_of
from vidstega.video import Scan

MIB = 1 << 20
BASELINE_BYTES = 76 * MIB
"""An interpreter with NumPy, FFmpeg, cryptography and joblib, the heap of a small job included."""
WORKER_BYTES = 10 * MIB
"""One more thread, or the first: its stack, its heap, an open container with its buffers."""
SCRYPT_BYTES = 32 * MIB
PACKET_BYTES = 400
"""A packet in all the tables: ours, the demuxer's index, the muxer's index, of source and result."""

_RESERVE = 1.12
"""What a prediction is raised by: allocators keep holes, and encoders differ by content."""
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
    10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100, 31: 18000, 32: 20480,
    40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320, 60: 696320, 61: 696320, 62: 696320,
}  # fmt: skip
"""Level to macroblocks in the decoded picture buffer."""
_INTERLEAVE_S = 0.5  # as long as splice.py lets the muxer wait for another stream


@dataclass(frozen=True, repr=False)
class Estimate:
    """What a job is predicted to take.

    Parameters
    ----------
    memory_bytes : peak memory of a process that does nothing but this job
    output_bytes : size of the result
    disk_bytes : most that is on disk at a time beside the cover: parts, spools, the result
    mode : "splice", "transcode" or "extract"; `reason` says why
    frames, coded : frames there are, and frames that are decoded and coded anew
    """

    memory_bytes: int
    output_bytes: int
    disk_bytes: int
    mode: str
    reason: str
    frames: int
    coded: int

    def __repr__(self) -> str:
        return (
            f"{self.mode} ({self.reason}): {self.coded:,} of {self.frames:,} frames\n"
            f"  memory  {self.memory_bytes / MIB:,.0f} MiB at the peak\n"
            f"  output  {self.output_bytes:,} bytes, {self.disk_bytes:,} on disk at the peak"
        )


def estimate(
    cover: str | os.PathLike[str],
    payload_bytes: int,
    *,
    spread: Spread = "fewest",
    n_jobs: int = 1,
    verify: bool = True,
) -> Estimate:
    """Predict what `embed` takes, from the packets alone; nothing is decoded.

    Parameters
    ----------
    cover : path of a video
    payload_bytes : size of the payload; compression is not counted on
    spread, n_jobs, verify : as for `embed`; workers are taken to be threads

    Raises
    ------
    InputError, CapacityError, UnsupportedError
        As `embed` would.

    Examples
    --------
    >>> vidstega.estimate("holiday.mp4", 1000).memory_bytes >> 20  # doctest: +SKIP
    131
    """
    if isinstance(payload_bytes, bool) or not isinstance(payload_bytes, int) or payload_bytes < 0:
        raise ParameterError(f"payload_bytes={payload_bytes!r} is no number of bytes; give 0 or more")
    scan = video.scan(cover)
    return of_embedding(
        scan, payload_bytes, container=_container(Path(cover)), spread=spread, n_jobs=n_jobs, verify=verify
    )


def of_embedding(
    scan: Scan,
    payload_bytes: int,
    *,
    container: str,
    spread: Spread = "fewest",
    n_jobs: int = 1,
    verify: bool = True,
) -> Estimate:
    """`estimate` of a video that was scanned already, into a container of this name."""
    carrier = Carrier(methods.get("lsb"), scan.size, scan.depth)
    sealed = sealed_bytes(payload_bytes)
    made = plan.make_plan(scan, carrier, sealed, plan.check_spread(spread), container)
    buffers = _RAW_BUFFERS
    if made.mode == "transcode":
        buffers = _CODED_BUFFERS[video.lossless_for(scan.pix_fmt, scan.size, container).codec]
    coded = round(made.coded * frame_bytes(scan) * (1.0 if made.mode == "splice" else plan.LOSSLESS_RATIO))
    kept = scan.path.stat().st_size
    output = kept + coded
    return Estimate(
        memory_bytes=_memory(scan, made, n_jobs, verify, buffers),
        output_bytes=output,
        disk_bytes=output + coded + (2 if verify else 1) * made.sealed_bytes,
        mode=made.mode,
        reason=made.reason,
        frames=made.frames,
        coded=made.coded,
    )


def of_extraction(scan: Scan, *, n_jobs: int = 1, most_payload_bytes: int | None = None) -> Estimate:
    """Predict what `extract` takes from a scanned video, whatever it carries.

    Parameters
    ----------
    most_payload_bytes : payloads above it are refused by other means, so disk for more is not needed
    """
    carrier = Carrier(methods.get("lsb"), scan.size, scan.depth)
    room = plan.room(scan, carrier, "all")
    raw = int(scan.raw_pictures.sum())
    frames = raw or room.frames
    most = carrier.run_bytes(room.frame_bytes, 0, frames)
    if most_payload_bytes is not None:
        most = min(most, sealed_bytes(most_payload_bytes))
    parts = max(1, frames // plan.SEGMENT_FRAMES)
    workers = min(_workers(n_jobs), parts)
    reading = workers * _coder_bytes(scan, 1, _READ_BUFFERS)
    memory = _total(scan, max(SCRYPT_BYTES + _sealing_bytes(scan, workers), reading))
    return Estimate(memory, most, 2 * most, "extract", "every frame may carry", room.frames, frames)


def sealed_bytes(payload_bytes: int) -> int:
    """Bytes of the sealed stream of an incompressible payload."""
    plain = payload_bytes + 4 * -(-payload_bytes // BLOCK)
    return plain + 16 * -(-plain // CHUNK) + TRAILER_BYTES


def frame_bytes(scan: Scan) -> int:
    """Bytes of one decoded frame."""
    try:
        pixels = VideoFormat(scan.pix_fmt, *scan.size)
    except ValueError:
        raise UnsupportedError(f"pixel format {scan.pix_fmt} is not known") from None
    return int(scan.size[0] * scan.size[1] * max(pixels.bits_per_pixel, 8) / 8 + 0.5)


# -- the model ------------------------------------------------------------------------------------------


def _memory(scan: Scan, made: Plan, n_jobs: int, verify: bool, buffers: float) -> int:
    workers = min(_workers(n_jobs), len(made.parts))
    splice = made.mode == "splice"
    threads = _workers(n_jobs) if splice and len(made.parts) == 1 else 1
    writing = workers * _coder_bytes(scan, threads, buffers) + _interleaver(scan, made)
    reading = workers * _coder_bytes(scan, 1, min(buffers, _RAW_BUFFERS)) if verify else 0
    sealing = SCRYPT_BYTES + _sealing_bytes(scan, workers)
    return _total(scan, max(sealing, writing, reading))


def _total(scan: Scan, peak: int) -> int:
    return round(_RESERVE * (BASELINE_BYTES + _tables(scan) + peak))


def _sealing_bytes(scan: Scan, workers: int) -> int:
    """What is held while a key is derived, apart from the derivation itself."""
    return _SEALING_BYTES + (workers - 1) * WORKER_BYTES // 2 + _LEFT_FRAMES * _padded(scan)


def _tables(scan: Scan) -> int:
    others = sum(1 for stream in scan.streams if stream.kind == "audio")
    sound = round(50 * scan.duration_s * others)  # packets of 20 ms or so
    return PACKET_BYTES * (len(scan.packets) + sound) + 4 * int(scan.packets["size"].max())


def _coder_bytes(scan: Scan, threads: int, buffers: float) -> int:
    """One worker: its decoder, and so many more frames."""
    return WORKER_BYTES + round((_decoder_frames(scan, threads) + buffers) * _padded(scan))


def _padded(scan: Scan) -> int:
    """A frame in FFmpeg's memory: sides in macroblocks, lines aligned, and the decoder's side tables."""
    width, height = scan.size
    grown = (width + 64) * (height + 48) / (width * height)
    return round(frame_bytes(scan) * min(grown, 8) * 1.06)


def _decoder_frames(scan: Scan, threads: int) -> int:
    """Frames a decoder holds: references, those that wait to be shown, and two in work for each thread."""
    if scan.codec == "h264" and scan.sps:
        held = max(_h264_frames(sps) for sps in scan.sps)
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


def _interleaver(scan: Scan, made: Plan) -> int:
    """Packets that libav's muxer keeps until another stream has caught up."""
    if len(scan.streams) < 2:
        return 0
    seconds = min(_INTERLEAVE_S, scan.duration_s)
    if made.mode == "splice":
        longest = max(len(part.pts) for part in made.parts)
        return min(longest, round(seconds * float(scan.rate))) * frame_bytes(scan)
    return round(seconds * float(scan.rate) * plan.LOSSLESS_RATIO * frame_bytes(scan))


def _workers(n_jobs: int) -> int:
    return n_jobs if n_jobs > 0 else joblib.cpu_count()


def _container(cover: Path) -> str:
    try:
        return container_of(cover)
    except ParameterError:
        return "matroska"
