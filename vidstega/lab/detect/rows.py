"""``detection.json``: errors of detectors and verdicts on files, typed, and the sentences they allow."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import pandas as pd
from pydantic import Field

from vidstega.errors import VidstegaError
from vidstega.lab.detect.ways import CONTROL, CONTROL_ALPHA, NULL
from vidstega.lab.model import Model, field, figure, load_beside
from vidstega.lab.schema import Stamp

DETECTION = "detection.json"
SCHEMA: Literal["vidstega.detection/1"] = "vidstega.detection/1"
ALL = "all"
"""The detector that looks at all features."""
LEAST_GROUPS, FEW_GROUPS = 10, 20
FOUND, WEAKLY = 0.25, 0.45
"""Upper bounds of the error below which something counts as found, and as found weakly."""
_NULL = (0.42, 0.58)
COVER = "cover"
_ARMS = {"splice": "lsb, fewest", "whole": "lsb, all", "whole+parallel": "lsb, all"}
"""What files show of which of the lab's arms, where it is not called so."""
_CONTROL_ERROR = 0.05


class DetectionError(VidstegaError):
    """An experiment that says nothing: its controls fail, or there are too few scenes."""


class Detected(Model):
    """A way to hide, as it is told from covers by one detector."""

    way: str = field("method, or what was simulated")
    own: bool = field("whether by the toolkit's own code, not simulated")
    where: str = field(
        '"tile" of 256x256, "coded tile" beside that of the same encode (robust), "frame" cut to half a '
        'megapixel, "picture" or "video" (signs)'
    )
    alpha: float | None = figure("message", "bits/sample")
    payload_bytes: int | None = figure("message, where it is of whole files", "bytes")
    detector: str = field("features it looks at")
    samples: int = field("covers, and as many stegos")
    groups: int = field("scenes, or videos where it is of whole files; none both trained and tried on")
    p_e: float = field("mean of false alarms and misses at the trained threshold")
    low: float = field("of its 95 % interval, by resampling groups")
    high: float = field("of its 95 % interval")
    best: float = field("the error at the threshold that is best afterwards")
    auc: float = field("area under the ROC")
    roc: tuple[float, ...] = field("hits at 33 rates of false alarms from 0 to 1", default=())

    @property
    def verdict(self) -> str:
        """What the upper bound of the error allows to say."""
        if self.high < FOUND:
            return "found"
        return (
            "weakly found" if self.high < WEAKLY else f"not found by these detectors at {self.groups} groups"
        )

    @property
    def claim(self) -> str:
        """A sentence with its interval and number of groups."""
        size = f"{self.payload_bytes:,} bytes" if self.alpha is None else f"{self.alpha:g} bits a sample"
        how = self.way if self.own else f"{self.way} (simulated)"
        return (
            f"{how}, {size}: {self.verdict}; error {self.p_e:.3f} ({self.low:.3f} to {self.high:.3f}, "
            f"95 %) on one {self.where}, {self.groups} groups, {self.detector}."
        )


class Difference(Model):
    """How much larger one error on tiles is than another at the same rate, paired by scene."""

    way: str = field("method, or what was simulated")
    detector: str = field("features it is looked at by")
    against: str = field("the way it is set against")
    against_detector: str = field("features that one is looked at by")
    alpha: float = field("message", "bits/sample")
    groups: int = field("scenes, the same for both")
    difference: float = field("of the mean of false alarms and misses; above 0 if `way` is found less often")
    low: float = field("of its 95 % interval, both resampled by the same groups")
    high: float = field("of its 95 % interval")

    @property
    def name(self) -> str:
        """What is set against what."""
        if self.way == self.against:
            return f"{self.way}, {self.detector} - {self.against_detector}"
        return f"{self.way} - {self.against}, {self.detector}"

    @property
    def claim(self) -> str:
        """A sentence with its interval and number of groups."""
        word = (
            "less often than" if self.low > 0 else "more often than" if self.high < 0 else "about as often as"
        )
        one, other = self.way, self.against
        if one == other:
            one, other = f"{one} by {self.detector}", f"by {self.against_detector}"
        tail = f"{self.groups} groups, paired" + ("" if one != self.way else f", {self.detector}")
        return (
            f"{one} is found {word} {other} at {self.alpha:g} bits a sample: the error differs by "
            f"{self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f}, 95 %) on one tile, {tail}."
        )


class Apart(Model):
    """An error on tiles where something else than usual was trained or tried on."""

    by: str = field(
        '"same source" (trained on one half of each scene in time, tried on the other), "trained at" '
        '(another rate) or "copied" (tiles by how much of them is copies)'
    )
    way: str = field("method")
    detector: str = field("features it looks at")
    alpha: float = field("message", "bits/sample")
    trained: float | None = figure("rate that was trained at", "bits/sample")
    copied: tuple[float, float] | None = figure("copies of a frame beside, from and to", "share of samples")
    samples: int = field("covers, and as many stegos")
    groups: int = field("scenes")
    p_e: float = field("mean of false alarms and misses at the trained threshold")
    low: float = field("of its 95 % interval, by resampling groups")
    high: float = field("of its 95 % interval")


class Seen(Model):
    """The verdict of `vidstega detect` on one file."""

    clip: str = field("name of the cover")
    way: str = field('"cover", or method and spread')
    found: bool = field("the verdict")
    by: str = field("by what, if it is found")
    payload_bytes: int | None = figure("payload", "bytes")
    largest: float = field("packet", "bits/luma sample")
    lonely: float | None = figure("samples one off alone among copies, of a stream without loss", "share")
    ms: float = field("wall time of the verdict", "ms")


class Verdicts(NamedTuple):
    """How many of some files are found, by what, in how many milliseconds (a median), and `Seen.lonely`."""

    way: str
    files: int
    found: int
    by: str
    ms: float
    payload_bytes: int | None
    lonely: list[float]

    @classmethod
    def of(cls, way: str, some: list[Seen]) -> Verdicts:
        """Of files of one way."""
        reasons = Counter(reason for one in some for reason in one.by.split(", ") if reason)
        by = ", ".join(reason for reason, _ in reasons.most_common())
        found, ms = sum(one.found for one in some), median(one.ms for one in some)
        lonely = [one.lonely for one in some if one.lonely is not None]
        return cls(way, len(some), found, by, ms, some[0].payload_bytes, lonely)


class DetectionFile(Model):
    """The whole file."""

    schema_: Literal["vidstega.detection/1"] = Field(alias="schema", description="of the file")
    stamp: Stamp = field("who measured")
    created: str = field("UTC, ISO 8601")
    evidence: bool = field("false for synthetic video: then nothing follows")
    clips: int = field("that gave scenes")
    scenes: int = field("that show something of their own")
    seed: int = field("of places, messages and folds")
    rows: tuple[Detected, ...] = field("a way, a rate and a detector each")
    differences: tuple[Difference, ...] = field("of two ways or two detectors", default=())
    apart: tuple[Apart, ...] = field("trained or tried otherwise", default=())
    files: tuple[Seen, ...] = field("verdicts on whole files", default=())

    @property
    def frame(self) -> pd.DataFrame:
        """A row a way, rate and detector, without curves."""
        return pd.DataFrame([row.model_dump(exclude={"roc"}) for row in self.rows])

    @property
    def tried(self) -> list[str]:
        """Ways on tiles, in their order."""
        return list(dict.fromkeys(row.way for row in self.rows if row.where == "tile" and row.way != NULL))

    @property
    def alphas(self) -> list[float]:
        """Rates on tiles, the largest first."""
        rates = {row.alpha for row in self.rows if row.where == "tile" and row.alpha is not None}
        return sorted(rates, reverse=True)

    @property
    def verdicts(self) -> list[Verdicts]:
        """What became of files, by what was done to them."""
        ways = dict.fromkeys(one.way for one in self.files)
        return [Verdicts.of(way, [one for one in self.files if one.way == way]) for way in ways]

    @property
    def by_size(self) -> list[Verdicts]:
        """What became of files, by what was done to them and the size of the payload."""
        kinds = dict.fromkeys((one.way, one.payload_bytes) for one in self.files)
        return [
            Verdicts.of(kind[0], [one for one in self.files if (one.way, one.payload_bytes) == kind])
            for kind in kinds
        ]

    def shown(self, arm: str) -> str:
        """By what files of a way of the lab are found."""
        way = _ARMS.get(arm, arm)
        some = next((one for one in self.verdicts if one.way == way), None)
        if some is None:
            return "not measured"
        return f"{some.by or 'not by packets or headers'}: {some.found} of {some.files} files"

    def of(self, way: str, where: str = "tile", detector: str = "all") -> list[Detected]:
        """Rows of a way, in their order."""
        asked = (way, where, detector)
        return [row for row in self.rows if (row.way, row.where, row.detector) == asked]

    def claims(self) -> tuple[str, ...]:
        """What may be said, each with interval and number of groups; marked where it is no evidence."""
        rows = [row for row in self.rows if row.detector in (ALL, "coefficients") and row.way != NULL]
        least = min((row.alpha for row in self.differences), default=None)
        told = ("hill", "lsb", ALL), ("lsb", "lsb", "spam")
        apart = [
            row
            for row in self.differences
            if row.alpha == least and (row.way, row.against, row.detector) in told
        ]
        mark = "" if self.evidence else " Synthetic video: no evidence."
        return tuple(claim + mark for claim in [*(row.claim for row in rows), *(row.claim for row in apart)])

    @property
    def pairs(self) -> list[list[Difference]]:
        """Rows of `differences`, a list for what is set against what."""
        names = dict.fromkeys(row.name for row in self.differences)
        return [[row for row in self.differences if row.name == name] for name in names]

    def cuts(self, by: str, way: str) -> list[list[Apart]]:
        """Rows of `apart`, a list for what they were trained at or how much of them is copies, in order."""
        some = [row for row in self.apart if (row.by, row.way) == (by, way)]
        parts = dict.fromkeys((row.trained, row.copied) for row in some)
        return [[row for row in some if (row.trained, row.copied) == part] for part in parts]

    def check(self) -> DetectionFile:
        """Itself, if its controls hold.

        Raises
        ------
        DetectionError
            If covers are told from covers, or the positive control is missed: then no figure is worth a line.
        """
        for row in self.of(NULL):
            if not _NULL[0] <= row.p_e <= _NULL[1]:
                raise DetectionError(
                    f"covers are told from covers with error {row.p_e:.3f}, outside of {_NULL[0]} to "
                    f"{_NULL[1]}: this experiment says nothing; take more clips"
                )
        for row in (row for row in self.of(CONTROL) if row.alpha == CONTROL_ALPHA):
            if row.p_e > _CONTROL_ERROR:
                raise DetectionError(
                    f"{CONTROL} at {row.alpha} bits a sample is missed with error {row.p_e:.3f}, above "
                    f"{_CONTROL_ERROR}: this experiment says nothing; take more clips"
                )
        return self


def load_detection(folder: str | Path) -> DetectionFile | None:
    """What was measured; None if nothing was, InputError in one line if it is torn."""
    return load_beside(DetectionFile, Path(folder) / DETECTION, "experiments/detection.py")
