"""Run a matrix: every cell and arm in a fresh process, read back by another, one row per repeat."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tqdm.auto import tqdm

import vidstega
from vidstega.errors import CapacityError, ParameterError, UnsupportedError
from vidstega.lab import stamp
from vidstega.lab.arms import ARMS
from vidstega.lab.arms.base import MIB, Job, MissingError
from vidstega.lab.arms.codec import Codec
from vidstega.lab.covers import files as covers
from vidstega.lab.matrix import Cell, Matrix, parse_payload
from vidstega.lab.runner.file import ResultsFile, make_row
from vidstega.lab.runner.process import ArmError, Worker, memory_note
from vidstega.lab.schema import SCHEMA, STAGES, Cover, Experiment, Planned, Row, Skipped

KEY = "the key of the stress lab"
_MODULE = "vidstega.lab.arms"
_USABLE = 0.8
"""Of the memory that is available, as much may be taken; of the disk, too."""


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
    results = ResultsFile(folder, _begun(matrix, cells), say)
    with _scratch(folder) as scratch:
        session = _Session(matrix, folder, scratch, results, say)
        session.run([one for one in runs if one.key not in results.done], progress)
    return results.experiment


def _begun(matrix: Matrix, cells: Sequence[Cell]) -> Experiment:
    """The whole file, with nothing measured."""
    return Experiment(
        **dict(stamp.stamp()),
        schema=SCHEMA,
        name=matrix.name,
        created=stamp.now(),
        updated=stamp.now(),
        complete=False,
        config=matrix,
        config_digest=matrix.digest,
        n_workers=matrix.n_workers,
        memory=memory_note(matrix.interval_ms),
        cells=tuple(_planned(cell, matrix) for cell in cells),
        covers={},
    )


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
    def kind(self) -> str:
        return ARMS[self.arm].kind

    def __str__(self) -> str:
        return f"{self.cell.id} {self.arm}" + (f" #{self.repeat + 1}" if self.cell.repeats > 1 else "")


def _select(cells: Sequence[Cell], matrix: Matrix, only: Sequence[str]) -> list[_Run]:
    """Cell by cell, repeat by repeat, so that what drifts over time meets all arms alike."""
    runs = [
        _Run(cell, arm, repeat)
        for cell in cells
        for repeat in range(cell.repeats)
        for arm in _arms(cell, matrix)
        if not only or any(cell.matches(term, arm) for term in only)
    ]
    if not runs:
        names = ", ".join(cell.id for cell in cells)
        raise ParameterError(f"--only {' '.join(only)} selects none of the cells {names} and arms")
    return runs


def _arms(cell: Cell, matrix: Matrix) -> tuple[str, ...]:
    return tuple(arm for arm in ARMS if arm in (cell.arms or matrix.arms))


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
        arms=_arms(cell, matrix),
    )


@dataclass
class _Session:
    matrix: Matrix
    folder: Path
    scratch: Path
    results: ResultsFile
    say: Callable[[str], None]
    missing: str = ""
    began: float = 0.0

    def run(self, runs: Sequence[_Run], progress: bool | None) -> None:
        """All of them, with a bar that says what is running and what is left."""
        if self.results.experiment.control_codec is None and any(one.kind == "control" for one in runs):
            try:
                self.results.save(control_codec=find_codec())
            except MissingError as error:
                self.missing = str(error)
                self.say(f"the arms current* are left out: {error}")
        self.began = time.monotonic()
        bar = tqdm(runs, unit="run", disable=None if progress is None else not progress)
        for one in bar:
            bar.set_description(str(one))
            self._one(one)
        self.results.save()

    def _one(self, run: _Run) -> None:
        limit = self.matrix.limit_s
        if limit and time.monotonic() - self.began > limit:
            return self._skip(run, "time", f"not begun within {limit} s; the same command goes on")
        if self.missing and run.kind == "control":
            return self._skip(run, "opencv", self.missing)
        cover = self._cover(run.cell)
        job = self._job(run, cover)
        try:
            needs = dict(zip(("memory", "disk"), ARMS[run.arm].needs(job), strict=True))
        except (CapacityError, UnsupportedError) as error:
            return self._skip(run, "cover", str(error))
        has = {"memory": self._available_memory(), "disk": shutil.disk_usage(self.scratch).free}
        for why in needs:
            need, usable = needs[why] / MIB, _USABLE * has[why] / MIB
            if need > usable:
                reason = f"needs about {need:,.0f} MiB of {why}, {usable:,.0f} MiB can be had"
                return self._skip(run, why, reason, predicted_mib=need, available_mib=usable)
        row = _identity(run, cover, job)
        try:
            row |= self._measure(run, cover, job)
        except (ArmError, OSError) as error:
            row |= {"success": False, "error": str(error) or type(error).__name__}
        finally:
            Path(job.stego).unlink(missing_ok=True)
        return self.results.add(make_row(row))

    def _skip(self, run: _Run, why: str, reason: str, **figures: float) -> None:
        left_out = {"cell": run.cell.id, "arm": run.arm, "why": why, "reason": reason}
        self.results.skip(Skipped.model_validate(left_out | figures))

    def _available_memory(self) -> float:
        """Bytes that could be had now: of the machine, of its control group, of `memory_limit_mib`."""
        limits = [psutil.virtual_memory().available]
        with suppress(OSError, ValueError):
            group = Path("/sys/fs/cgroup")
            used, most = ((group / f"memory.{name}").read_text() for name in ("current", "max"))
            limits.append(int(most) - int(used))
        return float(min([*limits, self.matrix.memory_limit_mib * MIB or limits[0]]))

    def _cover(self, cell: Cell) -> Cover:
        """The cell's cover, made if it is a synthetic one that is not there yet."""
        path = covers.provide(cell, self.matrix, self.folder / "covers")
        known = self.results.experiment.covers
        if path.name not in known or known[path.name].path != str(path):
            told = covers.describe(path, None if cell.cover else covers.recipe(self.matrix))
            self.results.save(covers=known | {path.name: told})
        return self.results.experiment.covers[path.name]

    def _job(self, run: _Run, cover: Cover) -> Job:
        """What the arm is told; the payload is the same for all arms of a cell."""
        codec, path, data = self.results.experiment.control_codec, self.scratch / "payload.bin", b""
        if run.kind != "limit":
            size = parse_payload(run.cell.payload)
            if size is None:
                size = vidstega.capacity(cover.path, method="lsb").payload_bytes
            data = np.random.default_rng([size, self.matrix.seed]).bytes(size)
            path.write_bytes(data)
        suffix = codec.suffix if codec and run.kind == "control" else Path(cover.path).suffix
        return Job(
            cover=cover.path,
            stego=str(self.scratch / f"stego{suffix}"),
            payload=None if run.kind == "limit" else str(path),
            sha256=hashlib.sha256(data).hexdigest(),
            key=KEY,
            fourcc=codec.fourcc if codec else "",
            batch=self.matrix.batch,
            workers=self.matrix.n_workers if ARMS[run.arm].alone else 1,
            pixels=cover.width * cover.height,
            frames=cover.frames,
        )

    def _measure(self, run: _Run, cover: Cover, job: Job) -> dict[str, Any]:
        """Hide in one process, read back in another; figures are kept only if that worked."""
        timeout, interval, told = self.matrix.timeout_s, self.matrix.interval_ms / 1000, asdict(job)
        Path(cover.path).read_bytes()  # every run finds the cover in the page cache
        if hasattr(os, "sync"):
            os.sync()
        with Worker(_MODULE, [run.arm], interval_s=interval) as worker:
            did, cost = worker.run({"do": "hide", "job": told}, timeout_s=timeout)
        with Worker(_MODULE, [run.arm], interval_s=interval) as reader:
            seen, _ = reader.run({"do": "read", "job": told}, timeout_s=timeout)
            if run.kind != "limit" and run.repeat == 0:
                ask = {"do": "quality", "job": told, "frames_used": did["frames_used"]}
                seen |= reader.run(ask, timeout_s=timeout)[0]
        if did["frames"] != cover.frames:
            raise ArmError(f"FrameCount: {did['frames']} frames were written for {cover.frames}")
        return {"success": True, **_figures(did), **cost, **seen}


def find_codec() -> Codec:
    """The codec of the control arms, by trial in a fresh process; MissingError without OpenCV."""
    try:
        with Worker(_MODULE, ["current"]) as worker:
            found, _ = worker.run({"do": "codec"}, timeout_s=120)
        return Codec.model_validate_json(json.dumps(found))
    except ArmError as error:
        kind, _, text = str(error).partition(": ")
        raise (MissingError(text) if kind == "MissingError" else error) from None


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for large files that is gone in the end; what a killed run left is cleared first."""
    path = folder / ".stress"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# -- the fields of a row --------------------------------------------------------------------------------


def _identity(run: _Run, cover: Cover, job: Job) -> dict[str, Any]:
    """What a run is, before it has begun."""
    info = {name: getattr(cover, name) for name in ("codec", "fps", "duration_s", "bytes")}
    return {
        "timestamp": stamp.now(),
        "resolution": run.cell.resolution,
        "width": cover.width,
        "height": cover.height,
        "frame_count": cover.frames,
        "video_info": {"cover": cover.id, **info},
        "cell": run.cell.id,
        "arm": run.arm,
        "repeat": run.repeat,
        "payload": run.cell.payload,
        "message_size": job.payload_bytes,
        "workers": job.workers,
        "bytes_in": cover.bytes,
        "load_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _figures(did: dict[str, Any]) -> dict[str, Any]:
    """What the arm itself said, and the times that have names of their own in the study's file."""
    stages = {stage: did["stages"].get(stage, 0.0) for stage in STAGES}
    return {
        **{name: value for name, value in did.items() if name in Row.model_fields},
        "encrypt_time": stages["seal"],
        "read_time": stages["decode"],
        "embed_time": stages["embed"],
        "write_time": stages["encode"] + stages["mux"],
        "bits_embedded": 8 * did["encrypted_size"],
        "stages": stages,
    }
