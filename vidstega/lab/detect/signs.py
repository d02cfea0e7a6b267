"""An adversary for `signs`: features of the coefficients themselves, from real embeddings.

Who looks knows the family and which pictures of a file would be in use, but neither key nor cover, and takes
features of each such picture. Those of the next pictures, which are not in use, were tried beside them, and
made most errors larger with as few videos as there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

import vidstega
from vidstega.carriers.signs.walks import pictures
from vidstega.channels import Channel
from vidstega.errors import UnsupportedError, VidstegaError
from vidstega.files import private_folder
from vidstega.lab.detect import learn
from vidstega.lab.detect.rows import LEAST_GROUPS, Detected, DetectionError
from vidstega.lab.detect.share import LEAST_SIGNS, margins
from vidstega.media.packets import patch
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.pool import Pool
from vidstega.progress import Progress, Report
from vidstega.residual import LUMA_AC, Signs, turn

SIZES = (12, 1024, 4096)
"""Bytes of payload."""
CODED_ANEW = Channel("x264, crf 18", crf=18)
"""What makes an H.264 cover of a clip in which a message does not fit as it is."""
_WAY = "signs"
TURNED = {"signs turned at random, 1 in 8": 1 / 8, "signs turned at random, 1 in 32": 1 / 32}
"""What the adversary has to find: signs of the same pictures turned without code and cost, in real files."""
SECONDS = 2.0
_MOST_PICTURES = 24
_MARGINS = np.linspace(-1, 1, 13)
_ENERGIES = (0.5, 0.8)
_POSITIONS = 6
_HOW: dict[str, Any] = {"method": "signs", "compress": False, "verify": False, "progress": False}

Vectors = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Pair:
    """Features of a video's pictures in use, before and, by way, after a message of some size."""

    cover: Vectors
    stegos: dict[str, Vectors]


def coefficient_features(signs: Signs, margin: Floats, amplitude: Floats) -> Vectors:
    """Features of a picture's usable signs, as shares.

    By energy, in three classes at the median and the 80th percentile: a histogram of margins (see
    `carriers.signs.edges`) in twelve bins, so also the share of signs that are the smoother ones (36). The
    share of negative ones by kind (4). Of luma how often a sign is that of the coefficient before it at the
    same position of its block, by position (6), and that of the coefficient before it in its block (1).
    """
    cuts = np.quantile(amplitude, _ENERGIES)
    classes = np.searchsorted(cuts, amplitude, side="left")
    parts = [np.histogram(margin[classes == one], _MARGINS)[0] / len(signs) for one in range(3)]
    kinds = [signs.negative[signs.kind == kind] for kind in range(4)]
    balance = [one.mean() if len(one) else 0.5 for one in kinds]
    luma = signs.kind == LUMA_AC
    same = [_same(signs.negative[luma & (signs.position == at)]) for at in range(1, 1 + _POSITIONS)]
    beside = (signs.place[1:] == signs.place[:-1]) & (signs.block[1:] == signs.block[:-1])
    along = (signs.negative[1:] == signs.negative[:-1])[beside]
    return np.concatenate([*parts, balance, same, [along.mean() if len(along) else 0.5]])


def _same(negative: NDArray[np.bool_]) -> float:
    return float((negative[1:] == negative[:-1]).mean()) if len(negative) > 1 else 0.5


def measure_signs(
    clips: Sequence[str | os.PathLike[str]],
    *,
    sizes: Sequence[int] = SIZES,
    seed: int = 0,
    n_jobs: int = 1,
    progress: bool | Report | None = None,
) -> tuple[Detected, ...]:
    """How well features of coefficients tell stegos of `signs` from their covers, on other videos.

    A clip that does not take a size as it is, is coded anew with x264 for it, two seconds of it; one that
    cannot carry it even so is left out there.

    Parameters
    ----------
    clips : paths of videos that show different things
    sizes : bytes of payload, at the default spread

    Raises
    ------
    DetectionError
        If fewer than 10 videos carry any size.
    """
    calls = [(_pairs, os.fspath(clip), tuple(sizes), (seed, number)) for number, clip in enumerate(clips)]
    found = list(Pool(n_jobs).counted(calls, Progress(progress), "signs", "clip"))
    rows: list[Detected] = []
    for size in sizes:
        pairs = [one[size] for one in found if size in one]
        if len(pairs) >= LEAST_GROUPS:
            with learn.one_thread():
                rows += _rows(pairs, size, seed)
    if not rows:
        raise DetectionError(
            f"fewer than {LEAST_GROUPS} of {len(calls)} videos take a message in signs; give more H.264 clips"
        )
    return tuple(rows)


def _rows(pairs: Sequence[_Pair], size: int, seed: int) -> Iterator[Detected]:
    """Of single pictures, and of videos by the mean of their pictures' scores."""
    groups = np.concatenate([np.full(len(pair.cover), number) for number, pair in enumerate(pairs)])
    covers = np.concatenate([pair.cover for pair in pairs])
    families, twice = (covers.shape[1],), np.concatenate([groups, groups])
    stego = np.arange(len(twice)) >= len(covers)
    videos, sides = np.arange(len(pairs)), np.repeat([False, True], len(pairs))
    for way in (_WAY, *TURNED):
        both = np.concatenate([covers, *(pair.stegos[way] for pair in pairs)])
        found = learn.scores(both, stego, twice, families, seed)
        pooled = [found[(twice == one) & (stego == side)].mean() for side in (False, True) for one in videos]
        single = learn.errors(found, stego, twice, seed)
        whole = learn.errors(np.array(pooled), sides, np.r_[videos, videos], seed)
        about: dict[str, Any] = {"way": way, "own": True, "alpha": None, "payload_bytes": size}
        about |= {"detector": "coefficients", "groups": len(pairs)}
        yield Detected(where="picture", samples=len(covers), **about, **vars(single))
        yield Detected(where="video", samples=len(pairs), **about, **vars(whole))


# -- features -------------------------------------------------------------------------------------------


def _pairs(path: str, sizes: Sequence[int], seed: tuple[int, ...]) -> dict[int, _Pair]:
    """By size what a clip gives."""
    found: dict[int, _Pair] = {}
    with private_folder(None) as folder:
        for size in sizes:
            cover = _cover(Path(path), size, folder / "cover.mp4")
            payload = np.random.default_rng([*seed, size]).bytes(size)
            stego = folder / f"{size}{cover.suffix}"
            try:
                told = vidstega.embed(cover, stego, payload, key=f"{seed} {size}", **_HOW)
                used = int(told.measured["in_use"])
                pair = _pair(scan_file(cover), stego, used, (*seed, size))
            except VidstegaError:
                continue
            if len(pair.cover) and {len(one) for one in pair.stegos.values()} == {len(pair.cover)}:
                found[size] = pair
    return found


def _pair(cover: Scan, stego: Path, used: int, seed: tuple[int, ...]) -> _Pair:
    stegos = {_WAY: _features(scan_file(stego), used)}
    for way, share in TURNED.items():
        target = stego.with_stem("turned")
        _turn(cover, target, used, share, np.random.default_rng(seed))
        stegos[way] = _features(scan_file(target), used)
        target.unlink()
    return _Pair(_features(cover, used), stegos)


def _turn(cover: Scan, target: Path, used: int, share: float, random: np.random.Generator) -> None:
    """Write the cover with a share of the usable signs of pictures in use turned, whatever it costs.

    Raises
    ------
    UnsupportedError
        If packets do not lie in the file as they are read.
    """
    changes = {}
    for one in islice(pictures(cover), used):
        chosen = one.signs[np.flatnonzero(random.random(len(one.signs)) < share)]
        changes[one.ordinal] = (one.packet, one.with_units(turn(one.units, chosen).units))
    if not patch(cover, target, changes):
        raise UnsupportedError(f"{cover.path}: packets cannot be changed in place")


def _cover(clip: Path, size: int, anew: Path) -> Path:
    """The clip, or what x264 makes of it where too little fits; that may be none, as of odd sizes."""
    with suppress(VidstegaError):
        if vidstega.capacity(clip, method="signs").payload_bytes >= size:
            return clip
    if not anew.exists():
        with suppress(VidstegaError, av.error.FFmpegError):
            CODED_ANEW.run(clip, anew, stop_s=SECONDS)
    return anew


def _features(scan: Scan, used: int) -> Vectors:
    """Of pictures in use with signs enough, 24 at the most."""
    taken = [one for one in islice(pictures(scan), used) if len(one.signs) >= LEAST_SIGNS]
    looked = margins(scan, taken[:_MOST_PICTURES])
    return np.array([coefficient_features(one.signs, *figures) for one, *figures in looked])
