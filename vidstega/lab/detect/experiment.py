"""How well detectors tell ways to hide from covers, on scenes that they were not trained on."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vidstega
from vidstega.errors import ParameterError, VidstegaError
from vidstega.files import private_folder
from vidstega.lab.detect import learn
from vidstega.lab.detect.coded import measure_robust
from vidstega.lab.detect.pixels import COPY, FLAT, SPAM, copy_features, flat_features, spam
from vidstega.lab.detect.rows import (
    FEW_GROUPS,
    LEAST_GROUPS,
    SCHEMA,
    Detected,
    DetectionError,
    DetectionFile,
    Seen,
)
from vidstega.lab.detect.signs import measure_signs
from vidstega.lab.detect.tiles import TILES, Cut, Triple, cut_clip, first_of_each
from vidstega.lab.detect.verdict import forensics
from vidstega.lab.detect.ways import CONTROL, CONTROL_ALPHA, NULL, RATES, ways
from vidstega.lab.stamp import now, stamp
from vidstega.pool import Pool
from vidstega.progress import Progress, Report

DETECTORS: dict[str, tuple[slice, tuple[int, ...]]] = {
    "spam": (slice(0, SPAM), (SPAM,)),
    "copies": (slice(SPAM, None), (COPY, FLAT)),
    "all": (slice(None), (SPAM, COPY, FLAT)),
}
"""Which of the features each looks at, and how many of which family those are."""
FILES = {
    "lsb, fewest": {"method": "lsb"},
    "lsb, all": {"method": "lsb", "spread": "all"},
    "signs": {"method": "signs"},
}
"""What whole files are made by for the verdicts."""
_LABELLINGS = 8
_MESSAGE = 26

Vectors = NDArray[np.float64]
Kind = tuple[str, str, float | None]
"""Where, way and rate; the way is "" for covers."""


@dataclass(frozen=True)
class Experiment:
    """Detectors against ways to hide, on tiles and frames of clips.

    One frame of three carries, as in a splice: the two beside it are the cover's. Scenes that show what
    another shows are taken once, and a scene is never both trained and tried on.

    Parameters
    ----------
    clips : paths of videos
    methods : names of `ways`, all by default; the control is always among them
    rates : bits a sample on tiles
    tiles : of 256x256, of each scene
    frames : of each scene, cut to half a megapixel; 0 for none
    frame_rates : bits a sample on frames
    seed : of places, messages and folds
    synthetic : marks the result as no evidence
    files : whether whole files are made and looked at by `forensics`, too
    signs : bytes of payload that `signs` is tried with (see `detect.signs`); none by default
    robust : whether `robust` is tried beside the same encode without a message (see `detect.coded`)
    """

    clips: Sequence[str | os.PathLike[str]]
    methods: Sequence[str] | None = None
    rates: Sequence[float] = RATES
    tiles: int = TILES
    frames: int = 0
    frame_rates: Sequence[float] = (0.1, 0.01, 0.001, 0.0001)
    seed: int = 0
    synthetic: bool = False
    files: bool = False
    signs: Sequence[int] = ()
    robust: bool = False

    def run(self, *, n_jobs: int = 1, progress: bool | Report | None = None) -> DetectionFile:
        """Measure; the same rows for any number of workers.

        Whole files are sealed under salts of their own each time, which verdicts do not depend on.

        Raises
        ------
        DetectionError
            With fewer than 10 scenes, or if the controls fail.
        """
        chosen = _chosen(self.methods)
        pool, told = Pool(n_jobs), Progress(progress)
        spec = (chosen, tuple(self.rates), tuple(self.frame_rates), self.tiles, self.frames)
        paths = [os.fspath(clip) for clip in self.clips]
        calls = [(_scenes_of, path, (self.seed, number), spec) for number, path in enumerate(paths)]
        looked = list(pool.counted(calls, told, "look", "clip"))
        every = [(path, scene) for path, some in zip(paths, looked, strict=True) for scene in some]
        kept = [every[at] for at in first_of_each([scene.thumb for _, scene in every])]
        scenes, unlike = [scene for _, scene in kept], list(dict.fromkeys(path for path, _ in kept))
        _check_groups(len(scenes))
        rows = tuple(self._rows(scenes, told))
        how: dict[str, Any] = {"seed": self.seed, "n_jobs": n_jobs, "progress": progress}
        with warnings.catch_warnings():  # that a message is loud is what is measured here
            warnings.simplefilter("ignore", UserWarning)
            made = [(_seen, path) for path in paths] if self.files else []
            files = list(pool.counted(made, told, "files", "clip"))
        rows += _beside("signs", measure_signs, unlike, sizes=self.signs, **how) if self.signs else ()
        rows += _beside("robust", measure_robust, unlike, **how) if self.robust else ()
        return DetectionFile(
            schema=SCHEMA,
            stamp=stamp(),
            created=now(),
            evidence=not self.synthetic,
            clips=sum(map(bool, looked)),
            scenes=len(scenes),
            seed=self.seed,
            rows=rows,
            files=tuple(one for some in files for one in some),
        ).check()

    def _rows(self, scenes: Sequence[_Features], told: Progress) -> Iterator[Detected]:
        kinds = list(dict.fromkeys(kind for scene in scenes for kind in scene.vectors))
        for where, way, alpha in told.over(kinds, "learn", len(kinds)):
            covers, groups = _stacked(scenes, (where, "", None))
            about: dict[str, Any] = {"where": where, "samples": len(covers), "groups": len(np.unique(groups))}
            for detector, (columns, families) in DETECTORS.items():
                if way:
                    stegos, _ = _stacked(scenes, (where, way, alpha))
                    found = learn.tried(covers[:, columns], stegos[:, columns], groups, families, self.seed)
                    own = ways()[way].own
                    yield Detected(way=way, own=own, alpha=alpha, detector=detector, **about, **found)
                elif where == "tile":
                    null = _null(covers[:, columns], groups, families, self.seed)
                    yield Detected(way=NULL, own=True, detector=detector, **about, **null)


def _beside(name: str, measure: Callable[..., tuple[Detected, ...]], *given: Any, **how: Any) -> Any:
    """What else is measured; too few videos for it leave the rest standing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return measure(*given, **how)
    except DetectionError as error:
        warnings.warn(f"{name} is left out: {error}", stacklevel=3)
        return ()


def _chosen(methods: Sequence[str] | None) -> tuple[str, ...]:
    known = ways()
    if unknown := set(methods or ()) - set(known):
        raise ParameterError(f"unknown way {min(unknown)!r}; there are: {', '.join(known)}")
    return tuple(name for name in known if methods is None or name in methods or name == CONTROL)


@dataclass(frozen=True, eq=False)
class _Features:
    """Features of a scene's tiles and frames, by kind, and its thumbnail."""

    thumb: Vectors
    vectors: dict[Kind, Vectors]


def _check_groups(count: int) -> None:
    if count < LEAST_GROUPS:
        raise DetectionError(
            f"{count} scenes that differ are too few to state an error; take {LEAST_GROUPS} or more"
        )
    if count < FEW_GROUPS:
        warnings.warn(f"{count} scenes are few; intervals are wide below {FEW_GROUPS}", stacklevel=3)


# -- features -------------------------------------------------------------------------------------------


def _scenes_of(path: str, seed: tuple[int, ...], spec: tuple[Any, ...]) -> list[_Features]:
    """A clip's scenes with their features; tiles do not leave this task."""
    chosen, rates, frame_rates, tiles, frames = spec
    cuts = cut_clip(Path(path), seed, tiles=tiles, frames=frames)
    found = []
    for number, cut in enumerate(cuts):
        vectors: dict[Kind, Vectors] = {}
        for where, triples, alphas in (("tile", cut.tiles, rates), ("frame", cut.frames, frame_rates)):
            if triples:
                vectors |= _vectors(where, triples, cut, chosen, alphas, (*seed, number))
        found.append(_Features(cut.scene.thumb, vectors))
    return [one for one in found if one.vectors]


def _vectors(
    where: str, triples: Sequence[Triple], cut: Cut, chosen: Sequence[str], alphas: Sequence[float], seed: Any
) -> dict[Kind, Vectors]:
    kinds: list[Kind] = [(where, "", None), *((where, way, alpha) for way in chosen for alpha in alphas)]
    if where == "tile" and CONTROL_ALPHA not in alphas:
        kinds.append((where, CONTROL, CONTROL_ALPHA))
    found: dict[Kind, list[Vectors]] = {kind: [] for kind in kinds}
    known = ways()
    for number, triple in enumerate(triples):
        for at, (_, way, alpha) in enumerate(kinds):
            middle = triple[1]
            if way and alpha is not None:
                random = np.random.default_rng([*seed, where == "frame", number, at])
                middle = known[way].change(middle, alpha, random, cut.depth)
            parts = spam(middle), copy_features(triple[0], middle, triple[2]), flat_features(middle)
            found[where, way, alpha].append(np.concatenate(parts))
    return {kind: np.array(some) for kind, some in found.items()}


def _stacked(scenes: Sequence[_Features], kind: Kind) -> tuple[Vectors, NDArray[np.int64]]:
    some = [(scene.vectors[kind], number) for number, scene in enumerate(scenes) if kind in scene.vectors]
    groups = np.concatenate([np.full(len(vectors), number) for vectors, number in some])
    return np.concatenate([vectors for vectors, _ in some]), groups


# -- errors ---------------------------------------------------------------------------------------------


def _null(covers: Vectors, groups: NDArray[np.int64], families: Sequence[int], seed: int) -> dict[str, Any]:
    """Covers against covers: means over several ways to call half of each scene's tiles stegos."""
    results = []
    for number in range(_LABELLINGS):
        order = np.random.default_rng([seed, number]).permutation(len(covers))
        rank = np.empty(len(covers), np.int64)
        rank[order[np.argsort(groups[order], kind="stable")]] = np.arange(len(covers))
        stego = (rank + number) % 2 == 0
        found = learn.scores(covers, stego, groups, families, seed)
        results.append(vars(learn.errors(found, stego, groups, seed)))
    means = {name: float(np.mean([one[name] for one in results])) for name in results[0] if name != "roc"}
    return means | {"roc": tuple(np.mean([one["roc"] for one in results], axis=0).round(4).tolist())}


# -- whole files ----------------------------------------------------------------------------------------


def _seen(path: str) -> list[Seen]:
    """Verdicts on a clip and on what is made of it."""
    cover, found = Path(path), []
    with private_folder(None) as folder:
        for number, (way, how) in enumerate({"cover": None, **FILES}.items()):
            file = cover if how is None else _made(cover, folder / f"{number}", how)
            try:
                started = time.perf_counter()
                told = forensics(file)
                ms = 1000 * (time.perf_counter() - started)
            except VidstegaError:
                continue
            largest = next(one.figure for one in told.findings if one.by == "raw picture")
            about: dict[str, Any] = {
                "clip": cover.name,
                "way": way,
                "found": told.found,
                "by": ", ".join(told.by),
            }
            found.append(Seen(**about, largest=largest, ms=round(ms, 1)))
    return found


def _made(cover: Path, stego: Path, how: dict[str, Any]) -> Path:
    """A stego in the cover's container or else in Matroska; not there if it cannot be made."""
    payload = np.random.default_rng(_MESSAGE).bytes(_MESSAGE if how["method"] == "lsb" else 12)
    for suffix in (cover.suffix, ".mkv"):
        target = stego.with_suffix(suffix)
        try:
            vidstega.embed(cover, target, payload, key="detect", progress=False, verify=False, **how)
        except VidstegaError:
            continue
        return target
    return stego
