"""What was measured, as a tidy DataFrame with one row a repeat, and a few questions to it.

`Results.frame` has the fields of `vidstega.lab.schema.Row`, a column for each stage ("decode_s"), and
what follows from them (`DERIVED`). Runs that failed are in it with ``success`` false and no figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas
from pandas import DataFrame, Series

from vidstega.lab.arms import ARMS
from vidstega.lab.matrix import Matrix, parse_payload
from vidstega.lab.model import unit_of
from vidstega.lab.schema import STAGES, Experiment, Planned, Row, Skipped, read_experiment

FLAT = 0.10
"""Memory counts as flat if its fitted rise over the measured lengths is at most this share of its mean."""


@dataclass(frozen=True)
class Derived:
    """A column that follows from others."""

    unit: str
    meaning: str
    compute: Callable[[DataFrame], Series]


def _beside(frame: DataFrame, arm: str, column: str, alike: bool = True) -> Series:
    """Of each row, the figure of `arm` in the same cell and repeat, or else on the same cover."""
    rows = frame[(frame.arm == arm) & frame.success]
    same = rows.set_index(["cell", "repeat"])[column]
    keys = pandas.MultiIndex.from_frame(frame[["cell", "repeat"]])
    found = Series(same.reindex(keys).to_numpy(), frame.index, dtype=float)
    first = rows[rows.repeat == 0].drop_duplicates("cover").set_index("cover")[column]
    return found.fillna(frame.cover.map(first)) if alike else found


def _speedup(frame: DataFrame) -> Series:
    found = Series(float("nan"), frame.index)
    for arm in ARMS.values():
        if arm.alone:
            faster = _beside(frame, arm.alone, "total_time", alike=False) / frame.total_time
            found = found.where(frame.arm != arm.name, faster)
    return found


DERIVED = {
    "io_time": Derived("s", "`read_time` and `write_time`", lambda f: f.read_time + f.write_time),
    "work_s": Derived(
        "s", "`total_time` without verification", lambda f: f.total_time - f.verify_s - f.digest_s
    ),
    "checked_s": Derived(
        "s",
        "until the result is known to be good",
        lambda f: f.total_time + f.readback_s.where(f.verify_s == 0, 0.0),
    ),
    "growth_bytes": Derived("bytes", "result less cover", lambda f: f.bytes_out - f.bytes_in),
    "growth_ratio": Derived("times", "result over cover", lambda f: f.bytes_out / f.bytes_in),
    "frames_per_s": Derived("1/s", "frames over time", lambda f: f.frame_count / f.total_time),
    "mpx_per_s": Derived(
        "Mpx/s", "pixels over time", lambda f: f.frame_count * f.width * f.height / 1e6 / f.total_time
    ),
    "vs_floor": Derived(
        "times", "time over that of `floor`", lambda f: f.total_time / _beside(f, "floor", "total_time")
    ),
    "vs_copy": Derived(
        "times", "time over that of `copy`", lambda f: f.total_time / _beside(f, "copy", "total_time")
    ),
    "work_vs_floor": Derived(
        "times", "the same without verification", lambda f: f.work_s / _beside(f, "floor", "work_s")
    ),
    "speedup": Derived("times", "time of the same arm with one worker over this one's", _speedup),
    "efficiency": Derived("", "`speedup` over workers", lambda f: f.speedup / f.workers),
}


def unit(column: str) -> str:
    """The unit of a column of `Results.frame`."""
    if column in DERIVED:
        return DERIVED[column].unit
    return unit_of(Row, column) if column in Row.model_fields else "s"


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

    Columns: slope (a frame), base, r2, mean, shortest, longest, and whether it is flat (see `FLAT`).
    """
    rows = []
    for key, some in frame[frame.success].groupby(["resolution", "payload", "arm"], sort=False):
        x, y = some.frame_count.astype(float), some[column].astype(float)
        if x.nunique() < 2:
            continue
        slope = x.cov(y) / x.var()
        r2 = x.corr(y) ** 2 if y.nunique() > 1 else float("nan")
        flat = slope * (x.max() - x.min()) <= FLAT * y.mean()
        rows.append((*key, slope, y.mean() - slope * x.mean(), r2, y.mean(), x.min(), x.max(), flat))
    names = ["resolution", "payload", "arm", "slope", "base", "r2", "mean", "shortest", "longest", "flat"]
    return DataFrame(rows, columns=names).set_index(names[:3])


# -- results --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some repeats."""

    mid: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None if there are no values."""
        known = Series(list(values), dtype=float).dropna()
        if known.empty:
            return None
        return cls(float(known.median()), float(known.min()), float(known.max()), len(known))


class Results:
    """What was measured in one experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        order = sorted(experiment.cells, key=lambda one: (one.pixels, one.frames, _size(one.payload), one.id))
        self.cells: tuple[Planned, ...] = tuple(order)
        asked = {arm for cell in self.cells for arm in cell.arms}
        self.arms = tuple(arm for arm in ARMS if arm in asked)

    def __repr__(self) -> str:
        good = int(self.frame.success.sum())
        return (
            f"{self.experiment.name}: {good} of {self.experiment.planned} runs in {len(self.cells)} cells "
            f"were read back and equal, {len(self.failed)} failed, {len(self.skipped)} arms were left out"
        )

    @cached_property
    def frame(self) -> DataFrame:
        """One row a repeat, in the order of cells, arms and repeats."""
        rows = [_flat(row) for row in self.experiment.rows]
        names = [*(name for name in Row.model_fields if name not in ("stages", "timeline", "video_info"))]
        frame = DataFrame(rows, columns=[*names, "cover", *(f"{stage}_s" for stage in STAGES)])
        numbers = [name for name in names if _is_number(name)] + [f"{stage}_s" for stage in STAGES]
        frame = frame.astype(dict.fromkeys(numbers, float) | {"success": bool, "repeat": int})
        places = {cell.id: at for at, cell in enumerate(self.cells)}
        arms = {arm: at for at, arm in enumerate(ARMS)}
        key = [frame.cell.map(places), frame.arm.map(arms), frame.repeat]
        frame = frame.iloc[DataFrame(dict(enumerate(key))).sort_values([0, 1, 2]).index]
        for name, derived in DERIVED.items():
            frame = frame.assign(**{name: derived.compute(frame)})
        return frame.reset_index(drop=True)

    @cached_property
    def _medians(self) -> DataFrame:
        return medians(self.frame)

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
        middle = self.centre
        return [one for one in self.cells if all(getattr(one, n) == getattr(middle, n) for n in others)]

    def value(self, cell: str, arm: str, column: str) -> float | None:
        """The median of a figure over the repeats that succeeded."""
        if (cell, arm) not in self._medians.index:
            return None
        found = self._medians.at[(cell, arm), column]
        return None if pandas.isna(found) else float(found)

    def ratio(self, cell: str, arm: str, against: str, column: str) -> Spread | None:
        """How many times less than `against` the arm takes, within a repeat."""
        found = ratios(self.frame, arm, against, column)
        return Spread.of(found[cell]) if cell in found.index.unique("cell") else None

    def slope(self, cell: Planned, arm: str) -> Any:
        """The line of memory against length at the cell, or the centre's scaled by pixels; None without."""
        for one in (cell, self.centre):
            key = (one.resolution, one.payload, arm)
            if key in self.slopes.index:
                line = self.slopes.loc[key]
                scale = cell.pixels / one.pixels if one is not cell else 1.0
                return _scaled(line, scale)
        return None

    def good(self, cell: str, arm: str) -> list[Row]:
        """Rows of the runs that succeeded."""
        return [row for row in self.experiment.rows if row.success and (row.cell, row.arm) == (cell, arm)]


def _scaled(line: Series, scale: float) -> Series:
    line = line.copy()
    line[["slope", "base", "mean"]] = line[["slope", "base", "mean"]] * scale
    return line


def _flat(row: Row) -> dict[str, Any]:
    plain = row.model_dump(exclude={"stages", "timeline", "video_info"})
    stages = row.stages.model_dump() if row.stages else {}
    return {
        **plain,
        "cover": row.video_info["cover"],
        **{f"{name}_s": value for name, value in stages.items()},
    }


def _is_number(name: str) -> bool:
    kind = str(Row.model_fields[name].annotation)
    return name != "repeat" and ("float" in kind or "int" in kind)


def _size(payload: str) -> float:
    size = parse_payload(payload)
    return float("inf") if size is None else size


def run(matrix: Matrix | str, out: str | os.PathLike[str] = "results/local", **options: Any) -> Results:
    """Run what is not done yet of a matrix, or of the one named, into a folder; see `run_matrix`."""
    from vidstega.lab.matrix import load_matrix
    from vidstega.lab.run import run_matrix

    return Results(run_matrix(load_matrix(matrix) if isinstance(matrix, str) else matrix, out, **options))


def load(folder: str | os.PathLike[str]) -> Results:
    """The results in a folder; InputError in one line if there are none, or they are torn."""
    return Results(read_experiment(Path(folder)))
