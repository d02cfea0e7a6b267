"""What real runs leave: files by default settings with payloads of some sizes, and the verdict on each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import vidstega
from vidstega.errors import VidstegaError
from vidstega.files import private_folder
from vidstega.lab.detect.rows import COVER, Seen
from vidstega.lab.detect.verdict import LONELY, RAW, forensics
from vidstega.media.scan import scan as scan_file

SIZES = (12, 1024, 100_000)
"""Bytes of payload."""
WAYS: dict[str, dict[str, Any]] = {
    "lsb, fewest": {"method": "lsb"},
    "lsb, all": {"method": "lsb", "spread": "all"},
    "hill": {"method": "hill"},
    "signs": {"method": "signs"},
}
"""What files are made by."""
_LONG = 3e7
"""Samples of a video above which ways that code every frame are tried with one size, and `hill` not."""


def seen(path: str) -> list[Seen]:
    """Verdicts on a clip and on what is made of it; what cannot be made, or does not fit, is left out."""
    cover = Path(path)
    found = _verdict(cover, cover, COVER, None)
    with private_folder(None) as folder:
        for way, how in WAYS.items():
            for size in _sizes(cover, way):
                file = _made(cover, folder / f"{size}", size, how)
                found += _verdict(cover, file, way, size)
                file.unlink(missing_ok=True)
    return found


def _sizes(cover: Path, way: str) -> tuple[int, ...]:
    scan = scan_file(cover)
    if scan.size[0] * scan.size[1] * len(scan.packets) <= _LONG:
        return SIZES
    if way == "hill":
        return ()
    return SIZES[1:2] if way == "lsb, all" or scan.codec != "h264" else SIZES


def _verdict(cover: Path, file: Path, way: str, size: int | None) -> list[Seen]:
    try:
        started = time.perf_counter()
        told = forensics(file)
        ms = 1000 * (time.perf_counter() - started)
    except VidstegaError:
        return []
    figures = {one.by: one.figure for one in told.findings}
    about: dict[str, Any] = {"clip": cover.name, "way": way, "payload_bytes": size}
    about |= {"found": told.found, "by": ", ".join(told.by), "ms": round(ms, 1)}
    return [Seen(**about, largest=figures[RAW], lonely=figures.get(LONELY))]


def _made(cover: Path, stego: Path, size: int, how: dict[str, Any]) -> Path:
    """A stego in the cover's container or else in Matroska; not there if it cannot be made."""
    payload = np.random.default_rng(size).bytes(size)
    for suffix in (cover.suffix, ".mkv"):
        target = stego.with_suffix(suffix)
        try:
            vidstega.embed(cover, target, payload, key="detect", progress=False, verify=False, **how)
        except VidstegaError:
            continue
        return target
    return stego
