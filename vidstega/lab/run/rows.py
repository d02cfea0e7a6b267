"""The fields of a row, from what an arm said and what was seen of it."""

from __future__ import annotations

import os
from typing import Any

from vidstega.lab import stamp
from vidstega.lab.matrix import Cell
from vidstega.lab.run.process import Measured
from vidstega.lab.schema import STAGES, Cover


def identity(cell: Cell, arm: str, repeat: int, cover: Cover) -> dict[str, Any]:
    """What a run is, before it has begun."""
    return {
        "timestamp": stamp.now(),
        "resolution": cell.resolution,
        "width": cover.width,
        "height": cover.height,
        "frame_count": cover.frames,
        "video_info": {
            "cover": cover.id,
            "codec": cover.codec,
            "fps": cover.fps,
            "duration_s": cover.duration_s,
            "bytes": cover.bytes,
        },
        "cell": cell.id,
        "arm": arm,
        "repeat": repeat,
        "payload": cell.payload,
        "bytes_in": cover.bytes,
        "load_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def times(did: dict[str, Any]) -> dict[str, Any]:
    """What the arm itself said."""
    stages = {stage: did["stages"].get(stage, 0.0) for stage in STAGES}
    return {
        "total_time": did["wall_s"],
        "encrypt_time": stages["seal"],
        "read_time": stages["decode"],
        "embed_time": stages["embed"],
        "write_time": stages["encode"] + stages["mux"],
        "encrypted_size": did["sealed_bytes"],
        "bits_embedded": 8 * did["sealed_bytes"],
        "stages": stages,
        **{name: did[name] for name in ("frames_used", "frames_coded", "mode", "reason", "bytes_out")},
        **{name: did[name] for name in ("capacity_bytes", "alpha")},
    }


def memory(cost: Measured) -> dict[str, Any]:
    """What was seen from outside."""
    return {
        "memory_before_mb": cost.before_mib,
        "memory_after_mb": cost.after_mib,
        "memory_peak_mb": cost.peak_mib,
        "memory_increase_mb": cost.peak_mib - cost.before_mib,
        "memory_sampled_mb": cost.sampled_mib,
        "memory_high_water_mb": cost.high_water_mib,
        "memory_samples": cost.samples,
        "memory_interval_s": cost.interval_s,
        "timeline": {"t_s": cost.timeline_s, "mib": cost.timeline_mib},
        "cpu_s": cost.cpu_s,
    }


def readback(read: dict[str, Any], cost: Measured) -> dict[str, Any]:
    """What the fresh reader said, and what it took."""
    return {
        "compared": read["compared"],
        "readback_s": read["wall_s"],
        "readback_cpu_s": cost.cpu_s,
        "readback_peak_mb": cost.peak_mib,
        "readback_increase_mb": cost.peak_mib - cost.before_mib,
    }
