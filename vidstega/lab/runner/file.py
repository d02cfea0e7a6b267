"""The results file while an experiment runs: whole at any moment, resumed, never overwritten by others."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from vidstega.errors import InputError
from vidstega.lab import stamp
from vidstega.lab.arms.codec import Codec
from vidstega.lab.matrix import Matrix
from vidstega.lab.schema import (
    RESULTS,
    SCHEMA,
    Cover,
    Experiment,
    Memory,
    Planned,
    Row,
    Skipped,
    read_experiment,
)

_SAME = ("config_digest", "machine", "versions", "code")


@dataclass
class ResultsFile:
    """What was measured so far. It is written anew after each run and appears whole, so it is never torn."""

    path: Path
    head: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    covers: dict[str, Cover] = field(default_factory=dict)
    codec: Codec | None = None

    @classmethod
    def open(cls, folder: Path, head: dict[str, Any], say: Callable[[str], None]) -> ResultsFile:
        """Go on with what is there if it was measured alike; move it aside if not."""
        path = folder / RESULTS
        if not path.exists():
            return cls(path, head)
        try:
            old = read_experiment(path)
            if any(getattr(old, name) != head[name] for name in _SAME):
                raise InputError(f"{path} is of another matrix, machine or code")
        except InputError as error:
            say(f"{error}; it is kept as {_move_aside(path).name}")
            return cls(path, head)
        head["created"] = old.created
        return cls(path, head, list(old.rows), list(old.skipped), dict(old.covers), old.control_codec)

    @property
    def done(self) -> set[tuple[str, str, int]]:
        """Cell, arm and repeat of each run that has a row."""
        return {(row.cell, row.arm, row.repeat) for row in self.rows}

    def add(self, row: Row) -> None:
        """A run that is done or failed."""
        self.rows.append(row)
        self._forget(row.cell, row.arm)
        self.save()

    def skip(self, entry: Skipped) -> None:
        """An arm that was left out."""
        self._forget(entry.cell, entry.arm)
        self.skipped.append(entry)
        self.save()

    def _forget(self, cell: str, arm: str) -> None:
        self.skipped = [one for one in self.skipped if (one.cell, one.arm) != (cell, arm)]

    def experiment(self) -> Experiment:
        """All of it, as the file says."""
        skipped = {(one.cell, one.arm) for one in self.skipped}
        wanted = {
            (cell.id, arm, repeat)
            for cell in self.head["cells"]
            for arm in cell.arms
            for repeat in range(cell.repeats)
            if (cell.id, arm) not in skipped
        }
        return Experiment.model_validate(
            {
                **self.head,
                "schema": SCHEMA,
                "updated": stamp.now(),
                "complete": wanted <= self.done,
                "control_codec": self.codec,
                "covers": self.covers,
                "skipped": tuple(self.skipped),
                "rows": tuple(self.rows),
            }
        )

    def save(self) -> None:
        """Write it beside, and put it in place in one step."""
        draft = self.path.with_name(f".{self.path.name}")
        with draft.open("w", encoding="utf-8") as out:
            out.write(self.experiment().model_dump_json(by_alias=True, indent=1))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.path)


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


def new_head(matrix: Matrix, cells: Sequence[Planned], memory: Memory) -> dict[str, Any]:
    """All of the file but what is measured."""
    who = stamp.stamp()
    return {
        **{name: getattr(who, name) for name in type(who).model_fields},
        "name": matrix.name,
        "created": stamp.now(),
        "config": matrix,
        "config_digest": matrix.digest,
        "n_workers": matrix.n_workers,
        "memory": memory,
        "cells": tuple(cells),
    }


def _move_aside(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in count(1))
    return path.replace(next(name for name in names if not name.exists()))
