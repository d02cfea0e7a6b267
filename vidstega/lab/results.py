"""What was measured, as a tidy DataFrame with one row a repeat, and a few questions to it.

`Results.frame` has the fields of `vidstega.lab.schema.Row`, a column for each stage ("decode_s"), and
what follows from them (`DERIVED`). Runs that failed are in it with ``success`` false and no figures.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas
from pandas import DataFrame, Series

from vidstega.lab.arms import ARMS
from vidstega.lab.matrix import Matrix, load_matrix, parse_payload
from vidstega.lab.model import unit_of
from vidstega.lab.schema import STAGES, Cover, Experiment, Planned, Row, Skipped, read_experiment

FLAT = 0.10
"""Memory counts as flat if its fitted rise over the measured lengths is at most this share of its mean."""


class Derived(NamedTuple):
    """A column that follows from others, as `DataFrame.eval` reads it."""

    unit: str
    meaning: str
    expression: str


DERIVED = {
    "io_time": Derived("s", "reading and writing", "read_time + write_time"),
    "work_s": Derived("s", "without verification", "total_time - verify_s - digest_s"),
    "checked_s": Derived("s", "until known to be good", "total_time + readback_s * (verify_s == 0)"),
    "growth_bytes": Derived("bytes", "result less cover", "bytes_out - bytes_in"),
    "growth_ratio": Derived("times", "result over cover", "bytes_out / bytes_in"),
    "frames_per_s": Derived("1/s", "frames over time", "frame_count / total_time"),
    "mpx_per_s": Derived("Mpx/s", "pixels over time", "frame_count * width * height / 1e6 / total_time"),
    "vs_floor": Derived("times", "time over that of `floor`", "total_time / floor_s"),
    "vs_copy": Derived("times", "time over that of `copy`", "total_time / copy_s"),
    "work_vs_floor": Derived("times", "the same without verification", "work_s / floor_s"),
    "speedup": Derived("times", "time with one worker over this", "alone_s / total_time"),
    "efficiency": Derived("", "`speedup` over workers", "speedup / workers"),
    "bound_s": Derived("s", "decoding one GOP and two copies", "gop_frames * frame_decode_s + 2 * copy_s"),
}


def unit(column: str) -> str | None:
    """The unit of a column of `Results.frame`, or of a cover; None if it is neither."""
    if column in DERIVED:
        return DERIVED[column].unit
    if column.removesuffix("_s") in STAGES:
        return "s"
    return next((unit_of(model, column) for model in (Row, Cover) if column in model.model_fields), None)


# -- questions to a frame -------------------------------------------------------------------------------


def medians(frame: DataFrame, columns: Sequence[str] = (), by: Sequence[str] = ("cell", "arm")) -> DataFrame:
    """Medians over the repeats that succeeded, in the order of the frame."""
    good = frame[frame.success]
    numbers = list(columns) or list(good.select_dtypes("number").columns.difference(["repeat"]))
    return good.groupby(list(by), sort=False)[numbers].median()


def ratios(frame: DataFrame, arm: str, against: str, column: str) -> Series:
    """How many times less than `against` an arm takes, by cell and repeat, each within one repeat."""
    good = frame.loc[frame.success, ["arm", "cell", "repeat", column]]
    more, less = (good[good.arm == one].set_index(["cell", "repeat"])[column] for one in (against, arm))
    return (more / less).dropna()


def slopes(frame: DataFrame, column: str = "memory_peak_mb") -> DataFrame:
    """A line through a figure against length, by resolution, payload and arm; lengths are frames.

    Columns: shortest, longest, slope (a frame), base, r2, rise (over these lengths, as a share of the mean),
    and whether it is flat (see `FLAT`).
    """
    rows = []
    for key, some in frame[frame.success].groupby(["resolution", "payload", "arm"], sort=False):
        x, y = some.frame_count, some[column]
        if x.nunique() > 1:
            slope = x.cov(y) / x.var()
            r2 = x.corr(y) ** 2 if y.nunique() > 1 else float("nan")
            rise = slope * (x.max() - x.min()) / y.mean()
            rows.append((*key, x.min(), x.max(), slope, y.mean() - slope * x.mean(), r2, rise, rise <= FLAT))
    names = ["resolution", "payload", "arm", "shortest", "longest", "slope", "base", "r2", "rise", "flat"]
    return DataFrame(rows, columns=names).set_index(names[:3])


class Measure(NamedTuple):
    """Median, least and most of some values, and how many they are."""

    mid: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Measure | None:
        """None if there are no values."""
        known = Series(list(values), dtype=float).dropna()
        if known.empty:
            return None
        return cls(float(known.median()), float(known.min()), float(known.max()), len(known))


# -- results --------------------------------------------------------------------------------------------


class Results:
    """What was measured in one experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        order = sorted(experiment.cells, key=lambda one: (one.pixels, one.frames, _size(one.payload), one.id))
        self.cells: tuple[Planned, ...] = tuple(order)
        self.arms = tuple(arm for arm in ARMS if any(arm in cell.arms for cell in self.cells))

    def __repr__(self) -> str:
        return (
            f"{self.experiment.name}: {self.frame.success.sum()} of {self.experiment.planned} runs in "
            f"{len(self.cells)} cells were read back and equal, {len(self.failed)} failed, "
            f"{len(self.skipped)} arms were left out"
        )

    @cached_property
    def frame(self) -> DataFrame:
        """One row a repeat, in the order of cells, arms and repeats."""
        places, arms = [cell.id for cell in self.cells], list(ARMS)
        order = lambda row: (places.index(row.cell), arms.index(row.arm), row.repeat)  # noqa: E731
        numbers = [name for name, info in Row.model_fields.items() if _is_number(info.annotation)]
        numbers = [*(name for name in numbers if name != "repeat"), *(f"{stage}_s" for stage in STAGES)]
        names = [name for name in Row.model_fields if name not in ("stages", "timeline", "video_info")]
        rows = [_record(row) for row in sorted(self.experiment.rows, key=order)]
        frame = DataFrame(rows, columns=list(dict.fromkeys([*names, *numbers, "cover"])))
        frame = frame.astype(dict.fromkeys(numbers, float) | {"success": bool})
        covers = self.experiment.covers
        beside = {
            "floor_s": _limit(frame, "floor", "total_time"),
            "copy_s": _limit(frame, "copy", "total_time"),
            "frame_decode_s": _limit(frame, "floor", "decode_s") / frame.frame_count,
            "alone_s": _beside(frame, frame.arm.map({name: arm.alone for name, arm in ARMS.items()})),
            "gop_frames": frame.cover.map({id: one.gop_frames for id, one in covers.items()}).astype(float),
        }
        whole = frame.assign(**beside)
        for name, derived in DERIVED.items():
            whole[name] = whole.eval(derived.expression, engine="python")
        return whole.drop(columns=list(beside))

    @cached_property
    def slopes(self) -> DataFrame:
        """Memory against length, see `slopes`."""
        return slopes(self.frame)

    @property
    def failed(self) -> list[Row]:
        """Runs that failed."""
        return [row for row in self.experiment.rows if not row.success]

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Arms that were left out."""
        return self.experiment.skipped

    @property
    def own(self) -> bool:
        """Whether these are your own videos instead of synthetic ones."""
        return bool(self.experiment.config.covers)

    def cell(self, id: str) -> Planned | None:
        """The cell of this name."""
        return next((cell for cell in self.cells if cell.id == id), None)

    @cached_property
    def centre(self) -> Planned:
        """The middle of a star; otherwise the largest cell with the most good runs."""
        middle = self.experiment.config.centre
        found = middle and self.cell(f"{middle.resolution}/{middle.frames}/{middle.payload}")
        counts = self.frame[self.frame.success].cell.value_counts()
        return found or max(self.cells, key=lambda one: (counts.get(one.id, 0), one.pixels * one.frames))

    def along(self, axis: str) -> list[Planned]:
        """Cells like the centre but for one axis: "resolution", "frames" or "payload"."""
        others = {"resolution", "frames", "payload"} - {axis}
        if self.own:
            others = {"payload"} if axis == "resolution" else others | {"cover"}
        return [one for one in self.cells if all(getattr(one, n) == getattr(self.centre, n) for n in others)]

    @cached_property
    def _medians(self) -> DataFrame:
        return medians(self.frame)

    def value(self, cell: str, arm: str, column: str) -> float | None:
        """The median of a figure over the repeats that succeeded."""
        if (cell, arm) not in self._medians.index:
            return None
        found = self._medians.at[(cell, arm), column]
        return None if pandas.isna(found) else float(found)

    def ratio(self, cell: str, arm: str, against: str, column: str) -> Measure | None:
        """How many times less than `against` the arm takes, within a repeat."""
        return Measure.of(ratios(self.frame, arm, against, column).get(cell, ()))

    def slope(self, cell: Planned, arm: str) -> Any:
        """The line of memory against length at the cell, or the centre's scaled by pixels; None without."""
        for one in (cell, self.centre):
            key = (one.resolution, one.payload, arm)
            if key in self.slopes.index:
                scaled = {"slope": self.slopes.slope[key] * cell.pixels / one.pixels}
                return Series({**self.slopes.loc[key], **(scaled if one is not cell else {})})
        return None

    def good(self, cell: str, arm: str) -> list[Row]:
        """Rows of the runs that succeeded."""
        return [row for row in self.experiment.rows if row.success and (row.cell, row.arm) == (cell, arm)]


def _record(row: Row) -> dict[str, Any]:
    stages = row.stages.model_dump() if row.stages else {}
    plain = row.model_dump(exclude={"stages", "timeline", "video_info"})
    return plain | {"cover": row.video_info["cover"]} | {f"{name}_s": took for name, took in stages.items()}


def _is_number(annotation: Any) -> bool:
    return annotation in (float, int, float | None, int | None)


def _beside(frame: DataFrame, arm: str | Series, column: str = "total_time") -> Series:
    """Of each row, the figure of an arm (or of one for each row) in the same cell and repeat."""
    known = frame[frame.success].set_index(["cell", "repeat", "arm"])[column]
    keys = pandas.MultiIndex.from_frame(frame[["cell", "repeat"]].assign(arm=arm))
    return Series(known.reindex(keys).to_numpy(), frame.index, dtype=float)


def _limit(frame: DataFrame, arm: str, column: str) -> Series:
    """The same of an arm that does not depend on the payload: else that of any run on the same cover."""
    rows = frame[(frame.arm == arm) & frame.success & (frame.repeat == 0)].drop_duplicates("cover")
    return _beside(frame, arm, column).fillna(frame.cover.map(rows.set_index("cover")[column]))


def _size(payload: str) -> float:
    size = parse_payload(payload)
    return float("inf") if size is None else size


def run(matrix: Matrix | str, out: str | os.PathLike[str] = "results/local", **options: Any) -> Results:
    """Run what is not done yet of a matrix, or of the one named, into a folder; see `run_matrix`."""
    from vidstega.lab.runner import run_matrix

    return Results(run_matrix(load_matrix(matrix) if isinstance(matrix, str) else matrix, out, **options))


def load(folder: str | os.PathLike[str]) -> Results:
    """The results in a folder; InputError in one line if there are none, or they are torn."""
    return Results(read_experiment(Path(folder)))
