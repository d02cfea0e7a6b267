"""Results as `standard` gives them, with invented figures, for tests of what is made of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from vidstega.lab.arms import ARMS, LIMITS
from vidstega.lab.matrix import RESOLUTIONS, load_matrix, parse_payload
from vidstega.lab.results import Results
from vidstega.lab.schema import RESULTS, SCHEMA, STAGES, Experiment

STUDY = tuple(arm for arm in ARMS if arm not in ("signs", "hill", "robust"))
"""Arms that hold every message."""
SECONDS = {
    "current": 20.0,
    "current+streaming": 21.0,
    "current+parallel": 25.0,
    "whole": 6.0,
    "whole+parallel": 4.0,
    "splice": 0.5,
    "signs": 0.4,
    "hill": 60.0,
    "robust": 9.0,
    "floor": 4.0,
    "copy": 0.05,
}
"""Of 100 frames of 1440p."""
PARALLEL = ("current+parallel", "whole+parallel")
CELLS = [f"{resolution}/100/100KB" for resolution in RESOLUTIONS] + [
    "1440p/30/100KB",
    "1440p/300/100KB",
    "1440p/100/1KB",
    "1440p/100/capacity",
    "1440p/300/1KB",
]
CENTRE = "1440p/100/100KB"


def make_row(cell: str, arm: str, repeat: int = 0, **changes: Any) -> dict[str, Any]:
    resolution, count, payload = cell.split("/")
    (width, height), frames = RESOLUTIONS[resolution], int(count)
    scale = width * height / (2560 * 1440)
    long = 1 if arm in ("splice", "copy") else frames / 100
    wall = SECONDS[arm] * scale * long * (1 + 0.01 * repeat)
    increase = 1100 * scale * frames / 100 if arm in ("current", "current+parallel") else 60 * scale
    verifies = arm in ("whole", "whole+parallel", "splice")
    shares = {"seal": 0.1, "decode": 0.3, "embed": 0.1, "encode": 0.2, "verify": 0.3 if verifies else 0.0}
    message = 0 if arm in LIMITS else parse_payload(payload) or 10**6
    row: dict[str, Any] = {
        "timestamp": "2026-01-01T00:00:00+00:00",
        "resolution": resolution,
        "width": width,
        "height": height,
        "frame_count": frames,
        "success": True,
        "total_time": wall,
        "encrypt_time": 0.1 * wall,
        "read_time": 0.3 * wall,
        "embed_time": 0.1 * wall,
        "write_time": 0.2 * wall,
        "memory_before_mb": 50.0,
        "memory_after_mb": 60.0,
        "memory_peak_mb": 50 + increase,
        "memory_increase_mb": increase,
        "message_size": message,
        "frames_used": 1,
        "video_info": {"cover": cover_id(cell)},
        "cell": cell,
        "arm": arm,
        "repeat": repeat,
        "payload": payload,
        "workers": 2 if arm in PARALLEL else 1,
        "mode": "transcode",
        "reason": "so",
        "frames_coded": 1 if arm == "splice" else frames,
        "cpu_s": wall,
        "stages": {stage: shares.get(stage, 0.0) * wall for stage in STAGES},
        "timeline": {"t_s": [wall / 2], "mib": [50 + increase]},
        "readback_s": wall / 2,
        "bytes_in": 10**6,
        "bytes_out": 2 * 10**6,
        "load_1min": 0.5,
    }
    if arm not in LIMITS:
        row |= {"capacity_bytes": 10**6, "alpha": 1.0, "change_rate": 0.5, "psnr_db": 51.1, "ssim": 0.999}
    return row | changes


def cover_id(cell: str) -> str:
    resolution, frames, _ = cell.split("/")
    return f"{resolution}-{frames}.mp4"


def make_cover(cell: str) -> dict[str, Any]:
    resolution, frames, _ = cell.split("/")
    width, height = RESOLUTIONS[resolution]
    return {
        "id": cover_id(cell),
        "path": "/somewhere/else.mp4",
        "sha256": "0",
        "bytes": 10**6,
        "codec": "h264",
        "pix_fmt": "yuv420p",
        "width": width,
        "height": height,
        "frames": int(frames),
        "fps": 30.0,
        "duration_s": int(frames) / 30,
        "key_frames": 2,
        "gop_frames": 60,
        "streams": [],
        "splice": True,
        "reason": "",
    }


def make_cell(cell: str, repeats: int = 1, arms: tuple[str, ...] = STUDY) -> dict[str, Any]:
    resolution, frames, payload = cell.split("/")
    width, height = RESOLUTIONS[resolution]
    known = {"id": cell, "cover": cover_id(cell), "resolution": resolution, "pixels": width * height}
    return {**known, "frames": int(frames), "payload": payload, "repeats": repeats, "arms": list(arms)}


def made(cells: list[str] | None = None, arms: tuple[str, ...] = STUDY) -> dict[str, Any]:
    """The plain values of a results file."""
    cells = cells or CELLS
    repeats = {cell: 3 if cell == CENTRE else 1 for cell in cells}
    return {
        "schema": SCHEMA,
        "name": "made",
        "created": "2026-01-01T00:00:00+00:00",
        "updated": "2026-01-01T01:00:00+00:00",
        "complete": True,
        "machine": {"cpu": "a cpu", "cores": 2, "ram_mib": 16000, "os": "an os"},
        "versions": {"python": "3.11", "av": "18.1"},
        "commit": "abc",
        "code": "def",
        "config": load_matrix("standard").model_dump(mode="json"),
        "config_digest": "0",
        "n_workers": 2,
        "memory": {"metric": "pss", "unit": "MiB", "tool": "a tool", "least_interval_ms": 20},
        "cells": [make_cell(cell, repeats[cell], arms) for cell in cells],
        "covers": {cover_id(cell): make_cover(cell) for cell in cells},
        "rows": [make_row(cell, arm, k) for cell in cells for arm in arms for k in range(repeats[cell])],
    }


def results(data: dict[str, Any]) -> Results:
    return Results(Experiment.model_validate_json(json.dumps(data)))


def changed(data: dict[str, Any], cell: str, arm: str, **values: Any) -> dict[str, Any]:
    data = copy.deepcopy(data)
    for row in data["rows"]:
        if (row["cell"], row["arm"]) == (cell, arm):
            row.update(values)
    return data


def without(data: dict[str, Any], *arms: str) -> dict[str, Any]:
    """The same experiment, in which these arms were never asked for."""
    data = copy.deepcopy(data)
    data["rows"] = [row for row in data["rows"] if row["arm"] not in arms]
    for cell in data["cells"]:
        cell["arms"] = [arm for arm in cell["arms"] if arm not in arms]
    return data


def write(data: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).write_text(json.dumps(data))
    return folder
