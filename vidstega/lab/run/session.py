"""Run a matrix: every cell and arm in a fresh process, read back by another, one row per repeat."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tqdm.auto import tqdm

import vidstega
from vidstega.errors import ParameterError
from vidstega.lab.arms import ARMS
from vidstega.lab.arms.base import Job, MissingError, Task
from vidstega.lab.covers import files as covers
from vidstega.lab.matrix import Cell, Matrix, parse_payload
from vidstega.lab.run import rows
from vidstega.lab.run.file import ResultsFile, make_row, new_head
from vidstega.lab.run.fit import obstacle
from vidstega.lab.run.process import ArmError, Worker, memory_note
from vidstega.lab.schema import Codec, Cover, Experiment, Planned, Skipped

KEY = "the key of the stress lab"
_MODULE = "vidstega.lab.arms"


def run_matrix(
    matrix: Matrix,
    out: str | os.PathLike[str] = "results/local",
    *,
    only: Sequence[str] = (),
    progress: bool | None = None,
    say: Callable[[str], None] = print,
) -> Experiment:
    """Run what is not done yet, and return everything that is in `out` then.

    Parameters
    ----------
    out : folder of results, made covers and scratch files
    only : take the runs that one of these terms names, such as "1440p", "splice" or "1440p/100,floor"
    progress : show a bar; None means where there is a terminal
    say : told in a line what happens besides

    Raises
    ------
    ParameterError
        If `only` selects nothing. A run that fails raises nothing: it is a row with its error.
    """
    cells = [covers.located(cell) for cell in matrix.cells]
    runs = _select(cells, matrix, only)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    planned = [_planned(cell, matrix) for cell in cells]
    results = ResultsFile.open(folder, new_head(matrix, planned, memory_note(matrix.interval_ms)), say)
    _Session(matrix, folder, results, say).run([one for one in runs if one.key not in results.done], progress)
    return results.experiment()


@dataclass(frozen=True)
class _Run:
    """One arm on one cell, once."""

    cell: Cell
    arm: str
    repeat: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.cell.id, self.arm, self.repeat

    @property
    def guess_s(self) -> float:
        """Roughly how long it takes."""
        width, height = covers.size(self.cell)
        return 2.0 + ARMS[self.arm].guess_s * width * height * self.cell.frames / 1e8

    def __str__(self) -> str:
        return f"{self.cell.id} {self.arm}" + (f" #{self.repeat + 1}" if self.cell.repeats > 1 else "")


def _select(cells: Sequence[Cell], matrix: Matrix, only: Sequence[str]) -> list[_Run]:
    """Cell by cell, repeat by repeat, so that what drifts over time meets all arms alike."""
    runs = [
        _Run(cell, arm, repeat)
        for cell in cells
        for repeat in range(cell.repeats)
        for arm in ARMS
        if arm in (cell.arms or matrix.arms)
    ]
    chosen = [one for one in runs if not only or any(one.cell.matches(term, one.arm) for term in only)]
    if not chosen:
        names = ", ".join(cell.id for cell in cells)
        raise ParameterError(f"--only {' '.join(only)} selects none of the cells {names} and arms")
    return chosen


def _planned(cell: Cell, matrix: Matrix) -> Planned:
    width, height = covers.size(cell)
    return Planned(
        id=cell.id,
        cover=covers.name(cell, matrix),
        resolution=cell.resolution,
        pixels=width * height,
        frames=cell.frames,
        payload=cell.payload,
        repeats=cell.repeats,
        arms=tuple(arm for arm in ARMS if arm in (cell.arms or matrix.arms)),
    )


@dataclass
class _Session:
    matrix: Matrix
    folder: Path
    results: ResultsFile
    say: Callable[[str], None]
    missing: str = ""
    _payload: tuple[str, Path, str] = ("", Path(), "")
    _began: float = field(default_factory=time.monotonic)

    def run(self, runs: Sequence[_Run], progress: bool | None) -> None:
        """All of them, with a bar that says what is running and what is left."""
        if self.results.codec is None and any(ARMS[one.arm].kind == "control" for one in runs):
            self._pick_codec()
        quiet = None if progress is None else not progress
        left = _Left(runs)
        with _scratch(self.folder) as scratch, tqdm(total=len(runs), unit="run", disable=quiet) as bar:
            for one in runs:
                bar.set_description(str(one))
                bar.set_postfix_str(f"{left} left")
                self._one(one, scratch)
                left.done(one)
                bar.update(1)
        self.results.save()

    def _pick_codec(self) -> None:
        try:
            self.results.codec = find_codec()
        except MissingError as error:
            self.missing = str(error)
            self.say(f"the arms current* are left out: {error}")

    def _one(self, one: _Run, scratch: Path) -> None:
        early = self._no_time(one) or self._no_opencv(one)
        if early is not None:
            self.results.skip(early)
            return
        cover = self._cover(one.cell)
        payload, sha256 = self._message(one, cover, scratch)
        hidden = payload.stat().st_size if payload else 0
        workers = self.matrix.n_workers if ARMS[one.arm].alone else 1
        task = Task(cover.path, cover.width, cover.height, cover.frames, cover.bytes, hidden, workers)
        short = obstacle(one.arm, one.cell.id, task, self.matrix, scratch)
        if short is not None:
            self.results.skip(short)
            return
        stego = scratch / f"stego{self._suffix(one, cover)}"
        job = Job(
            cover=cover.path,
            stego=str(stego),
            payload=str(payload) if payload else None,
            sha256=sha256,
            key=KEY,
            fourcc=self.results.codec.fourcc if self.results.codec else "",
            batch=self.matrix.batch,
            workers=workers,
        )
        known = rows.identity(one.cell, one.arm, one.repeat, cover)
        known |= {"message_size": hidden, "workers": workers}
        self.results.add(make_row(known | self._guarded(one, cover, job)))

    def _no_time(self, one: _Run) -> Skipped | None:
        limit = self.matrix.limit_s
        if not limit or time.monotonic() - self._began <= limit:
            return None
        return _left_out(one, "time", f"not begun within {limit} s; the same command goes on")

    def _no_opencv(self, one: _Run) -> Skipped | None:
        if not self.missing or ARMS[one.arm].kind != "control":
            return None
        return _left_out(one, "opencv", self.missing)

    def _guarded(self, one: _Run, cover: Cover, job: Job) -> dict[str, Any]:
        try:
            return self._measure(one, cover, job)
        except (ArmError, OSError) as error:
            return {"success": False, "error": str(error) or type(error).__name__}
        finally:
            Path(job.stego).unlink(missing_ok=True)

    def _measure(self, one: _Run, cover: Cover, job: Job) -> dict[str, Any]:
        """Hide in one process, read back in another; figures are kept only if that worked."""
        timeout, interval = self.matrix.timeout_s, self.matrix.interval_ms / 1000
        Path(cover.path).read_bytes()  # every run finds the cover in the page cache
        os.sync() if hasattr(os, "sync") else None
        with Worker(_MODULE, [one.arm], interval_s=interval) as worker:
            did, cost = worker.run({"do": "hide", "job": asdict(job)}, timeout_s=timeout)
        with Worker(_MODULE, [one.arm], interval_s=interval) as reader:
            read, read_cost = reader.run({"do": "read", "job": asdict(job)}, timeout_s=timeout)
            seen: dict[str, Any] = {}
            if ARMS[one.arm].kind != "limit" and one.repeat == 0:
                ask = {"do": "quality", "job": asdict(job), "frames_used": did["frames_used"]}
                seen = reader.ask(ask, timeout_s=timeout)
        if did["frames"] != cover.frames:
            raise ArmError(f"FrameCount: {did['frames']} frames were written for {cover.frames}")
        return {
            "success": True,
            **rows.times(did),
            **rows.memory(cost),
            **rows.readback(read, read_cost),
            **seen,
        }

    def _suffix(self, one: _Run, cover: Cover) -> str:
        if ARMS[one.arm].kind == "control" and self.results.codec is not None:
            return self.results.codec.suffix
        return Path(cover.path).suffix

    def _cover(self, cell: Cell) -> Cover:
        """The cell's cover, made if it is a synthetic one that is not there yet."""
        known, name = self.results.covers, covers.name(cell, self.matrix)
        path = covers.provide(cell, self.matrix, self.folder / "covers")
        if name not in known or known[name].path != str(path):
            made = None if cell.cover else covers.recipe(self.matrix)
            known[name] = covers.describe(path, made)
        return known[name]

    def _message(self, one: _Run, cover: Cover, scratch: Path) -> tuple[Path | None, str]:
        """The payload's file and digest; the same for all arms of a cell."""
        if ARMS[one.arm].kind == "limit":
            return None, ""
        if self._payload[0] != one.cell.id:
            size = parse_payload(one.cell.payload)
            if size is None:
                size = vidstega.capacity(cover.path, method="lsb").payload_bytes
            data = np.random.default_rng([size, self.matrix.seed]).bytes(size)
            path = scratch / "payload.bin"
            path.write_bytes(data)
            self._payload = one.cell.id, path, hashlib.sha256(data).hexdigest()
        return self._payload[1:]


class _Left:
    """Seconds that are left, from what the runs so far took against a guess."""

    def __init__(self, runs: Sequence[_Run]) -> None:
        self._left = sum(one.guess_s for one in runs)
        self._guessed, self._began = 0.0, time.perf_counter()

    def done(self, one: _Run) -> None:
        self._guessed += one.guess_s
        self._left -= one.guess_s

    def __str__(self) -> str:
        took = time.perf_counter() - self._began
        seconds = max(0, round(self._left * (took / self._guessed if self._guessed else 1.0)))
        return f"about {seconds // 60}:{seconds % 60:02}"


def _left_out(one: _Run, why: str, reason: str) -> Skipped:
    return Skipped.model_validate({"cell": one.cell.id, "arm": one.arm, "why": why, "reason": reason})


def find_codec() -> Codec:
    """The codec of the control arms, by trial in a fresh process; MissingError without OpenCV."""
    try:
        with Worker(_MODULE, ["current"]) as worker:
            return Codec.model_validate_json(json.dumps(worker.ask({"do": "codec"}, timeout_s=120)))
    except ArmError as error:
        kind, _, text = str(error).partition(": ")
        raise (MissingError(text) if kind == "MissingError" else error) from None


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for large files that is empty again in the end; what a killed run left is cleared first."""
    for old in folder.glob(".stress-*"):
        with suppress(ValueError):
            if not psutil.pid_exists(int(old.name.rpartition("-")[2])):
                shutil.rmtree(old, ignore_errors=True)
    path = folder / f".stress-{os.getpid()}"
    path.mkdir(exist_ok=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
