"""The results file while an experiment runs: whole at any moment, resumed, never overwritten by others."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from vidstega.errors import InputError
from vidstega.lab import stamp
from vidstega.lab.schema import RESULTS, Experiment, Row, Skipped, read_experiment

_SAME = ("config_digest", "machine", "versions", "code")
_KEPT = ("created", "rows", "skipped", "covers", "control_codec")


class ResultsFile:
    """What was measured so far. It is written anew after each run and appears whole, so it is never torn.

    What is in the folder is gone on with if it was measured as `fresh` is, and moved aside if not.
    """

    def __init__(self, folder: Path, fresh: Experiment, say: Callable[[str], None]) -> None:
        self.path, self.experiment = folder / RESULTS, fresh
        if not self.path.exists():
            return
        try:
            old = read_experiment(self.path)
            if any(getattr(old, name) != getattr(fresh, name) for name in _SAME):
                raise InputError(f"{self.path} is of another matrix, machine or code")
            self.experiment = fresh.model_copy(update={name: getattr(old, name) for name in _KEPT})
        except InputError as error:
            say(f"{error}; it is kept as {_move_aside(self.path).name}")

    @property
    def done(self) -> set[tuple[str, str, int]]:
        """Cell, arm and repeat of each run that has a row."""
        return {(row.cell, row.arm, row.repeat) for row in self.experiment.rows}

    def add(self, row: Row) -> None:
        """A run that is done or failed."""
        self.save(rows=(*self.experiment.rows, row), skipped=self._skipped_but(row))

    def skip(self, entry: Skipped) -> None:
        """An arm that was left out."""
        self.save(skipped=(*self._skipped_but(entry), entry))

    def _skipped_but(self, other: Row | Skipped) -> tuple[Skipped, ...]:
        key = (other.cell, other.arm)
        return tuple(one for one in self.experiment.skipped if (one.cell, one.arm) != key)

    def save(self, **changes: Any) -> None:
        """Change some fields, write all of it beside, and put it in place in one step."""
        self.experiment = self.experiment.model_copy(update=changes | {"updated": stamp.now()})
        self.experiment = self.experiment.model_copy(update={"complete": self._is_complete()})
        draft = self.path.with_name(f".{self.path.name}")
        with draft.open("w", encoding="utf-8") as out:
            out.write(self.experiment.model_dump_json(by_alias=True, indent=1))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.path)

    def _is_complete(self) -> bool:
        left_out, done = {(one.cell, one.arm) for one in self.experiment.skipped}, self.done
        return all(
            (cell.id, arm) in left_out or (cell.id, arm, repeat) in done
            for cell in self.experiment.cells
            for arm in cell.arms
            for repeat in range(cell.repeats)
        )


def make_row(values: dict[str, Any]) -> Row:
    """A row with six digits for every figure; NaN and infinities, which JSON does not know, become null."""
    return Row.model_validate_json(json.dumps(_rounded(values)))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _move_aside(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in count(1))
    return path.replace(next(name for name in names if not name.exists()))
