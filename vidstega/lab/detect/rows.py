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
LEAST_GROUPS, FEW_GROUPS = 10, 20
FOUND, WEAKLY = 0.25, 0.45
"""Upper bounds of the error below which something counts as found, and as found weakly."""
_NULL = (0.42, 0.58)
_ARMS = {"splice": "lsb, fewest", "whole": "lsb, all", "whole+parallel": "lsb, all", "signs": "signs"}
"""What files show of which of the lab's arms."""
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


class Seen(Model):
    """The verdict of `vidstega detect` on one file."""

    clip: str = field("name of the cover")
    way: str = field('"cover", or method and spread')
    found: bool = field("the verdict")
    by: str = field("by what, if it is found")
    largest: float = field("packet", "bits/luma sample")
    ms: float = field("wall time of the verdict", "ms")


class Verdicts(NamedTuple):
    """How many of some files are found, by what, and in how many milliseconds, a median."""

    way: str
    files: int
    found: int
    by: str
    ms: float

    @classmethod
    def of(cls, way: str, some: list[Seen]) -> Verdicts:
        """Of files of one way."""
        reasons = Counter(reason for one in some for reason in one.by.split(", ") if reason)
        by = ", ".join(reason for reason, _ in reasons.most_common())
        return cls(way, len(some), sum(one.found for one in some), by, median(one.ms for one in some))


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

    def shown(self, arm: str) -> str:
        """By what files of a way of the lab are found."""
        way = _ARMS.get(arm, "")
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
        rows = [row for row in self.rows if row.detector in ("all", "coefficients") and row.way != NULL]
        mark = "" if self.evidence else " Synthetic video: no evidence."
        return tuple(row.claim + mark for row in rows)

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
