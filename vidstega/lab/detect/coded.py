"""`robust` against the same encode without a message: that a video was coded anew is no sign of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

import vidstega
from vidstega.carriers import Robust
from vidstega.errors import VidstegaError
from vidstega.files import private_folder
from vidstega.lab.detect import learn
from vidstega.lab.detect.pixels import COPY, FLAT, SPAM, copy_features, flat_features, spam
from vidstega.lab.detect.rows import LEAST_GROUPS, Detected, DetectionError
from vidstega.lab.detect.signs import CODED_ANEW, SECONDS
from vidstega.lab.detect.tiles import TILES, Triple, cut_clip
from vidstega.media.decode import decode_span
from vidstega.media.encode import code_frames, lossy_for
from vidstega.media.scan import scan as scan_file
from vidstega.pool import Pool
from vidstega.progress import Progress, Report

STRENGTHS_DB = (54.0, 48.0)
"""About what the default takes, and what is loud enough to be found, if anything is."""
PAYLOAD = 32

Vectors = NDArray[np.float64]
Features = dict[float | None, Vectors]
"""Features of tiles by strength, None for the encode without a message."""


def measure_robust(
    clips: Sequence[str | os.PathLike[str]],
    *,
    seed: int = 0,
    n_jobs: int = 1,
    progress: bool | Report | None = None,
) -> tuple[Detected, ...]:
    """How well detectors tell tiles of `robust` with 32 bytes from those of the same encode without.

    Of each clip two seconds are taken.

    Parameters
    ----------
    clips : paths of videos that show different things

    Raises
    ------
    DetectionError
        If fewer than 10 of them can be coded so.
    """
    calls = [(_of_clip, os.fspath(clip), (seed, number)) for number, clip in enumerate(clips)]
    found: list[Features] = [
        one for one in Pool(n_jobs).counted(calls, Progress(progress), "robust", "clip") if one
    ]
    if len(found) < LEAST_GROUPS:
        raise DetectionError(
            f"robust can be tried on {len(found)} of {len(calls)} videos; give {LEAST_GROUPS} or more"
        )
    with learn.one_thread():
        return tuple(_rows(found, seed))


def _rows(found: Sequence[Features], seed: int) -> Iterator[Detected]:
    groups = np.concatenate([np.full(len(one[None]), number) for number, one in enumerate(found)])
    covers = np.concatenate([one[None] for one in found])
    about: dict[str, Any] = {"own": True, "where": "coded tile", "alpha": None, "payload_bytes": PAYLOAD}
    about |= {"samples": len(covers), "groups": len(found), "detector": "all"}
    for strength in STRENGTHS_DB:
        stegos = np.concatenate([one[strength] for one in found])
        told = learn.tried(covers, stegos, groups, (SPAM, COPY, FLAT), seed)
        yield Detected(way=f"robust, {strength:g} dB", **about, **told)


def _of_clip(path: str, seed: tuple[int, ...]) -> Features:
    """Features of the same tiles in each encode; none of a clip that cannot be coded so."""
    with private_folder(None) as folder, suppress(VidstegaError, av.error.FFmpegError):
        piece = folder / "piece.mkv"
        CODED_ANEW.run(path, piece, stop_s=SECONDS)
        found: Features = {}
        for strength in (None, *STRENGTHS_DB):
            _code(piece, file := folder / f"{strength}.mkv", strength, seed)
            found[strength] = _features(file, seed)
        if len({len(one) for one in found.values()}) == 1 and len(found[None]):
            return found
    return {}


def _code(piece: Path, target: Path, strength: float | None, seed: tuple[int, ...]) -> None:
    """The piece as `robust` codes it, with a message or without."""
    how = Robust(psnr_db=strength)
    if strength is None:
        scan = scan_file(piece)
        _, codec = lossy_for(scan.source.pix_fmt, scan.size, "matroska", how.crf, how.preset)
        code_frames(scan.source, codec, decode_span(scan.source, 0, scan.packets, scan.pts), target)
        return
    payload = np.random.default_rng(seed).bytes(PAYLOAD)
    vidstega.embed(piece, target, payload, key=f"{seed}", method=how, verify=False, progress=False)


def _features(path: Path, seed: tuple[int, ...]) -> Vectors:
    tiles = [tile for cut in cut_clip(path, seed, tiles=TILES) for tile in cut.tiles]
    return np.array([_of_tile(tile) for tile in tiles])


def _of_tile(tile: Triple) -> Vectors:
    return np.concatenate([spam(tile[1]), copy_features(*tile), flat_features(tile[1])])
