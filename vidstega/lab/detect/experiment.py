"""How well detectors tell ways to hide from covers, on scenes that they were not trained on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidstega.errors import ParameterError
from vidstega.lab.detect.coded import measure_robust
from vidstega.lab.detect.pixels import copy_features, flat_features, spam, step_features
from vidstega.lab.detect.rows import (
    FEW_GROUPS,
    LEAST_GROUPS,
    SCHEMA,
    Detected,
    DetectionError,
    DetectionFile,
)
from vidstega.lab.detect.signs import measure_signs
from vidstega.lab.detect.tiles import TILES, Cut, Triple, cut_clip, first_of_each
from vidstega.lab.detect.trials import Features, Kind, Trials, Vectors
from vidstega.lab.detect.uses import seen
from vidstega.lab.detect.ways import CONTROL, CONTROL_ALPHA, RATES, ways
from vidstega.lab.stamp import now, stamp
from vidstega.pool import Pool
from vidstega.progress import Progress, Report


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
    files : whether whole files are made and looked at by `forensics`, too (see `detect.uses`)
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
        found = Trials(scenes, self.seed).run(pool, told)
        how: dict[str, Any] = {"seed": self.seed, "n_jobs": n_jobs, "progress": progress}
        with warnings.catch_warnings():  # that a message is loud is what is measured here
            warnings.simplefilter("ignore", UserWarning)
            made = [(seen, path) for path in paths] if self.files else []
            files = list(pool.counted(made, told, "files", "clip"))
        found["rows"] += (
            _beside("signs", measure_signs, unlike, sizes=self.signs, **how) if self.signs else ()
        )
        found["rows"] += _beside("robust", measure_robust, unlike, **how) if self.robust else ()
        return DetectionFile(
            schema=SCHEMA,
            stamp=stamp(),
            created=now(),
            evidence=not self.synthetic,
            clips=sum(map(bool, looked)),
            scenes=len(scenes),
            seed=self.seed,
            **found,
            files=tuple(one for some in files for one in some),
        ).check()


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


def _check_groups(count: int) -> None:
    if count < LEAST_GROUPS:
        raise DetectionError(
            f"{count} scenes that differ are too few to state an error; take {LEAST_GROUPS} or more"
        )
    if count < FEW_GROUPS:
        warnings.warn(f"{count} scenes are few; intervals are wide below {FEW_GROUPS}", stacklevel=3)


# -- features -------------------------------------------------------------------------------------------


def _scenes_of(path: str, seed: tuple[int, ...], spec: tuple[Any, ...]) -> list[Features]:
    """A clip's scenes with their features; tiles do not leave this task."""
    chosen, rates, frame_rates, tiles, frames = spec
    cuts = cut_clip(Path(path), seed, tiles=tiles, frames=frames)
    found = []
    for number, cut in enumerate(cuts):
        vectors: dict[Kind, Vectors] = {}
        for where, triples, alphas in (("tile", cut.tiles, rates), ("frame", cut.frames, frame_rates)):
            if triples:
                vectors |= _vectors(where, triples, cut, chosen, alphas, (*seed, number))
        found.append(Features(cut.scene.thumb, vectors, np.array(cut.late)))
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
        beside = (spam(triple[0]) + spam(triple[2])) / 2
        for at, (_, way, alpha) in enumerate(kinds):
            middle = triple[1]
            if way and alpha is not None:
                random = np.random.default_rng([*seed, where == "frame", number, at])
                middle = known[way].change(middle, alpha, random, cut.depth)
            told = spam(middle)
            parts = copy_features(triple[0], middle, triple[2]), flat_features(middle)
            found[where, way, alpha].append(np.concatenate([told, *parts, step_features(told, beside)]))
    return {kind: np.array(some) for kind, some in found.items()}
