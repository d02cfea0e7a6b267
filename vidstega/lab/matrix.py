"""Run a stress matrix: every cell and arm in a fresh process, read back by another, one row per repeat.

``stress_test_results.json``
============================
One object. ``schema`` is "vidstega.stress/1"; new fields may come, none changes its meaning.

========================= ==========================================================================
``schema``                "vidstega.stress/1"
``name``                  of the matrix: "smoke", "standard", "full", or the TOML file's stem
``created``, ``updated``  UTC, ISO 8601
``complete``              whether every planned run is done, failed or skipped
``planned``               number of runs (cell x arm x repeat) the matrix asks for
``machine``               cpu, cores, ram_mib, os
``versions``              python, vidstega, av, numpy, joblib, opencv-..., libavcodec, ...
``commit``, ``code``      git commit ("+changes" if the tree differs), digest of the code that was measured
``config``                all settings of the matrix (see `config.Matrix`), n_workers, and ``cells``: a
                          list of id, repeats, arms; ``config_digest`` beside it
``memory``                how memory was measured: metric ("pss" or "uss"), unit, tool, least_interval_ms
``control_codec``         fourcc, suffix, and ``trials`` of the control arms' codec; null without them
``covers``                cover id -> path, sha256, bytes, codec, pix_fmt, width, height, frames, fps,
                          duration_s, bitrate_bps, key_frames, gop_frames, streams, splice, reason,
                          synthetic (settings and seed, or null)
``skipped``               list: cell, arm, resolution, width, height, frame_count, payload, why ("memory",
                          "disk" or "opencv"), predicted_mib, available_mib (null for "opencv"),
                          reason (a sentence)
``rows``                  list, one per run, see below
========================= ==========================================================================

A row. Every key is always there; what does not apply, or was not reached by a failed run, is null. The
names of the study come first; its "mb" are MiB, and its times are seconds.

======================= ============================================================================
``timestamp``           UTC, ISO 8601
``resolution``          "480p" ... "2160p", "WxH", or "own" for a user's video
``width``, ``height``   pixels
``frame_count``         frames of the cover
``operation``           always "embed"
``success``             written, read back by a fresh process and equal; nothing else counts
``total_time``          wall seconds of the arm, its own checks included; imports not
``encrypt_time``        = stages.seal
``read_time``           = stages.decode
``embed_time``          = stages.embed
``write_time``          = stages.encode + stages.mux
``memory_before_mb``    the import baseline: tree memory when all is imported and nothing done
``memory_after_mb``     tree memory when the arm is done
``memory_peak_mb``      highest tree memory, see `measure.Measured`
``memory_increase_mb``  peak minus import baseline: what of it is frames
``message_size``        bytes of payload; 0 for the limits
``encrypted_size``      bytes with the seal
``bits_embedded``       8 x encrypted_size
``frames_used``         frames that carry
``video_info``          cover (id into ``covers``), codec, fps, duration_s, bytes
``error``               null, or "Kind: what went wrong"
----------------------- ----------------------------------------------------------------------------
``cell``                "1440p/100/100KB" (resolution/frames/payload)
``arm``                 one of `arms.ARMS`
``repeat``              from 0 on
``payload``             "1KB" (1024 bytes), "100KB", "1MB", "capacity"
``workers``             of the parallel arms; 1 for the others
``mode``, ``reason``    "splice", "transcode", "re-write" or "limit", and why
``frames_coded``        frames written anew (all of them, but for a splice)
``cpu_s``               CPU seconds of the tree, user and system
``stages``              wall seconds by stage: probe, plan, seal, decode, embed, digest, encode, mux,
                        verify; all keys always there; "digest" belongs to verification
``work_s``              total_time without verify and digest: compare this with ``floor``
``checked_s``           seconds until the result is known to be good: total_time of arms that verify,
                        total_time + readback_s of those that do not
``memory_samples``      number of samples, ``memory_interval_s`` their mean distance
``memory_sampled_mb``   highest sample; ``memory_high_water_mb`` the other figure, or null
``timeline``            ``{"t_s": [...], "mib": [...]}``, at most 120 points, each the highest of its stretch
``readback_s``          wall seconds of the fresh process that read it back, ``readback_cpu_s``,
                        ``readback_peak_mb``, ``readback_increase_mb``
``compared``            "payload", "packets" or "every frame"
``bytes_in``            of the cover, ``bytes_out`` of the result, ``growth_bytes``, ``growth_ratio``
``frames_per_s``        frame_count / total_time, ``mpx_per_s`` millions of pixels / total_time
``capacity_bytes``      most payload this arm can put into this cover; null for the limits
``alpha``               bits per sample of a carrying frame
``change_rate``         share of samples changed in carrying frames
``psnr_db``, ``ssim``   of carrying frames against the cover's decoded frames
``ws_alpha``            what weighted stego analysis takes alpha for, ``ws_alpha_cover`` the same frames
                        of the cover
``quality_frames``      how many carrying frames the last six are means of; they are measured at repeat 0
                        alone and null in other repeats. ``quality_domain``: "luma", or "bgr" (control)
``vs_floor``            total_time over that of ``floor`` in the same cell and repeat, or, where the cell has
                        none, on the same cover (a limit does not depend on the payload); ``vs_copy`` likewise
``work_vs_floor``       work_s over work_s of ``floor``
``speedup``             parallel arms: total_time of the same arm with one worker over this one's;
                        ``efficiency`` = speedup / workers
``load_1min``           the machine's load average when the run began: noise shows here
======================= ============================================================================
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from tqdm.auto import tqdm

from vidstega import ask
from vidstega.ask import estimate
from vidstega.errors import CapacityError, InputError, ParameterError, UnsupportedError
from vidstega.lab import stamp, synth
from vidstega.lab.arms import ARMS, LIMITS, PARALLEL, is_control
from vidstega.lab.baseline import MissingError
from vidstega.lab.config import Cell, Matrix, parse_payload
from vidstega.lab.measure import ArmError, Measured, Worker
from vidstega.media.scan import scan
from vidstega.media.source import KEY as KEY_FRAME
from vidstega.results import Estimate

SCHEMA = "vidstega.stress/1"
RESULTS = "stress_test_results.json"
STAGES = ("probe", "plan", "seal", "decode", "embed", "digest", "encode", "mux", "verify")
KEY = "the key of the stress lab"

_MODULE = "vidstega.lab.arms"
_MIB = 1 << 20
_USABLE = 0.8
"""Of the memory that is available, as much may be taken; of the disk, too."""

STUDY_FIELDS = (
    "timestamp", "resolution", "width", "height", "frame_count", "operation", "success", "total_time",
    "encrypt_time", "read_time", "embed_time", "write_time", "memory_before_mb", "memory_after_mb",
    "memory_peak_mb", "memory_increase_mb", "message_size", "encrypted_size", "bits_embedded", "frames_used",
    "video_info", "error",
)  # fmt: skip
FIELDS = (
    *STUDY_FIELDS,
    "cell", "arm", "repeat", "payload", "workers", "mode", "reason", "frames_coded", "cpu_s", "stages",
    "work_s", "checked_s", "memory_samples", "memory_interval_s", "memory_sampled_mb", "memory_high_water_mb",
    "timeline", "readback_s", "readback_cpu_s", "readback_peak_mb", "readback_increase_mb", "compared",
    "bytes_in", "bytes_out", "growth_bytes", "growth_ratio", "frames_per_s", "mpx_per_s", "capacity_bytes",
    "alpha", "change_rate", "psnr_db", "ssim", "ws_alpha", "ws_alpha_cover", "quality_frames",
    "quality_domain", "vs_floor", "vs_copy", "work_vs_floor", "speedup", "efficiency", "load_1min",
)  # fmt: skip

Row = dict[str, Any]


def run(
    matrix: Matrix,
    out: str | os.PathLike[str] = "results/local",
    *,
    only: Sequence[str] = (),
    progress: bool | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
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
    runs = _select(matrix, only)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    results = _Results.open(folder / RESULTS, matrix, say)
    session = _Session(matrix, folder, results, progress, say)
    session.run([one for one in runs if one.key not in results.done])
    return results.data


def load_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a results file, or the one in a folder; InputError if it is none."""
    where = Path(path)
    where = where / RESULTS if where.is_dir() else where
    try:
        data = json.loads(where.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{where} is not there; run `vidstega stress` first") from None
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError(f"{where} is no result of this version of the stress lab")
    return data


def summary(data: Mapping[str, Any]) -> str:
    """Seconds and MiB of every cell and arm, medians over the repeats, as a table for the terminal."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in data["rows"]:
        rows.setdefault((row["cell"], row["arm"]), []).append(row)
    width = max([4, *(len(cell) for cell, _ in rows)])
    lines = [f"{'cell':<{width}}  {'arm':<18}{'seconds':>9}{'read back':>11}{'peak MiB':>10}{'growth':>9}"]
    for (cell, arm), some in rows.items():
        good = [row for row in some if row["success"]]
        if not good:
            lines.append(f"{cell:<{width}}  {arm:<18}FAILED: {some[-1]['error']}")
            continue
        seconds, back, peak, growth = (
            float(np.median([row[name] for row in good]))
            for name in ("total_time", "readback_s", "memory_peak_mb", "growth_ratio")
        )
        lines.append(f"{cell:<{width}}  {arm:<18}{seconds:>9.2f}{back:>11.2f}{peak:>10.0f}{growth:>8.1f}x")
    for skip in data["skipped"]:
        lines.append(f"{skip['cell']:<{width}}  {skip['arm']:<18}left out: {skip['reason']}")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Run:
    """One arm on one cell, once."""

    cell: Cell
    arm: str
    repeat: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.cell.id, self.arm, self.repeat

    def __str__(self) -> str:
        return f"{self.cell.id} {self.arm}" + (f" #{self.repeat + 1}" if self.cell.repeats > 1 else "")


def _select(matrix: Matrix, only: Sequence[str]) -> list[_Run]:
    """Cell by cell, repeat by repeat, so that what drifts over time meets all arms alike."""
    runs = [
        _Run(cell, arm, repeat)
        for cell in matrix.cells
        for repeat in range(cell.repeats)
        for arm in ARMS
        if arm in (cell.arms or matrix.arms)
    ]
    chosen = [one for one in runs if not only or any(one.cell.matches(term, one.arm) for term in only)]
    if not chosen:
        cells = ", ".join(cell.id for cell in matrix.cells)
        raise ParameterError(f"--only {' '.join(only)} selects none of the cells {cells} and arms")
    return chosen


# -- the results file -----------------------------------------------------------------------------------


@dataclass
class _Results:
    """The results file. It is written anew after each row and appears whole, so it is never torn."""

    path: Path
    data: dict[str, Any]

    @classmethod
    def open(cls, path: Path, matrix: Matrix, say: Callable[[str], None]) -> _Results:
        """Go on with what is there if it was measured alike; move it aside if not."""
        head = _head(matrix)
        if path.exists():
            try:
                data = load_results(path)
            except InputError as error:
                say(f"{error}; it is kept as {_move_aside(path).name}")
            else:
                if all(data.get(k) == head[k] for k in ("config_digest", "machine", "versions", "code")):
                    keep = ("created", "rows", "skipped", "covers", "control_codec")
                    return cls(path, {**head, **{k: data[k] for k in keep}})
                say(f"{path} is of another matrix, machine or code; it is kept as {_move_aside(path).name}")
        return cls(path, head)

    @property
    def done(self) -> set[tuple[str, str, int]]:
        return {(row["cell"], row["arm"], row["repeat"]) for row in self.data["rows"]}

    def add(self, row: Row) -> None:
        self.data["rows"].append(_finite(row))
        self.save()

    def skip(self, entry: dict[str, Any]) -> None:
        others = [s for s in self.data["skipped"] if (s["cell"], s["arm"]) != (entry["cell"], entry["arm"])]
        self.data["skipped"] = [*others, entry]
        self.save()

    def save(self) -> None:
        rows, skipped = self.data["rows"], {(s["cell"], s["arm"]) for s in self.data["skipped"]}
        _relate(rows)
        planned = {
            (cell["id"], arm, repeat)
            for cell in self.data["config"]["cells"]
            for arm in cell["arms"]
            for repeat in range(cell["repeats"])
            if (cell["id"], arm) not in skipped
        }
        self.data["complete"] = planned <= self.done
        self.data["updated"] = stamp.now()
        self.data = _finite(self.data)  # what is returned is what the file says, to the digit
        text = json.dumps(self.data, indent=1)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def _head(matrix: Matrix) -> dict[str, Any]:
    cells = [
        {"id": cell.id, "repeats": cell.repeats, "arms": list(cell.arms or matrix.arms)}
        for cell in matrix.cells
    ]
    return {
        "schema": SCHEMA,
        "name": matrix.name,
        "created": stamp.now(),
        "updated": None,
        "complete": False,
        "planned": len(_select(matrix, ())),
        **stamp.stamp(),
        "config": {**matrix.as_dict(), "cells": cells, "n_workers": matrix.n_workers},
        "config_digest": matrix.digest,
        "memory": stamp.memory_note(matrix.interval_ms),
        "control_codec": None,
        "covers": {},
        "skipped": [],
        "rows": [],
    }


def _move_aside(path: Path) -> Path:
    when = time.strftime("%Y%m%d-%H%M%S", time.gmtime(path.stat().st_mtime))
    return path.replace(path.with_name(f"{path.stem}.{when}{path.suffix}"))


def _finite(value: Any) -> Any:
    """The same without NaN and infinities, which JSON does not know, and with fewer digits."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def _relate(rows: Sequence[Row]) -> None:
    """Set each row's time beside those of the limits and of its sibling with one worker."""
    good = [row for row in rows if row["success"]]
    same = {(row["cell"], row["arm"], row["repeat"]): row for row in good}
    alike = {(row["video_info"]["cover"], row["arm"]): row for row in good if row["repeat"] == 0}
    for row in good:
        for arm in LIMITS:
            limit = same.get((row["cell"], arm, row["repeat"])) or alike.get(
                (row["video_info"]["cover"], arm)
            )
            row[f"vs_{arm}"] = limit and row["total_time"] / limit["total_time"]
            if arm == "floor":
                row["work_vs_floor"] = limit and row["work_s"] / limit["work_s"]
        alone = same.get((row["cell"], PARALLEL.get(row["arm"], ""), row["repeat"]))
        if alone is not None:
            row["speedup"] = alone["total_time"] / row["total_time"]
            row["efficiency"] = row["speedup"] / row["workers"]


# -- running --------------------------------------------------------------------------------------------


@dataclass
class _Session:
    matrix: Matrix
    folder: Path
    results: _Results
    progress: bool | None
    say: Callable[[str], None]
    missing: str | None = None
    _payloads: dict[tuple[str, str], tuple[Path, str]] = field(default_factory=dict)

    def run(self, runs: Sequence[_Run]) -> None:
        """All of them, with a bar that says what is running and what is left."""
        data = self.results.data
        if not data["control_codec"] and any(is_control(one.arm) for one in runs):
            try:
                data["control_codec"] = _pick_codec()
            except MissingError as error:
                self.missing = str(error)
                self.say(f"the arms current* are left out: {error}")
        quiet = None if self.progress is None else not self.progress
        with _scratch(self.folder) as scratch, tqdm(total=len(runs), unit="run", disable=quiet) as bar:
            clock = _Left(runs)
            for one in runs:
                bar.set_description(str(one))
                bar.set_postfix_str(f"{clock} left")
                self._one(one, scratch)
                clock.done(one)
                bar.update(1)
        self.results.save()

    def _no_opencv(self, one: _Run) -> dict[str, Any] | None:
        if self.missing is None or not is_control(one.arm):
            return None
        return {"why": "opencv", "predicted_mib": None, "available_mib": None, "reason": self.missing}

    def _one(self, one: _Run, scratch: Path) -> None:
        cover = self._cover(one.cell)
        payload, sha256 = self._payload(one, cover, scratch)
        obstacle = self._no_opencv(one) or _does_not_fit(one, cover, payload, self.matrix, scratch)
        if obstacle is not None:
            self.results.skip({**_identity(one, cover), **obstacle})
            return
        row: Row = dict.fromkeys(FIELDS)
        row |= {**_identity(one, cover), "repeat": one.repeat, "timestamp": stamp.now(), "operation": "embed"}
        row |= {"success": False, "workers": self.matrix.n_workers if one.arm in PARALLEL else 1}
        row |= {"bytes_in": cover["bytes"], "message_size": payload.stat().st_size if payload else 0}
        row |= {"load_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
        row["video_info"] = {k: cover[k] for k in ("codec", "fps", "duration_s", "bytes")}
        row["video_info"]["cover"] = cover["id"]
        stego = scratch / f"stego{self._suffix(one, cover)}"
        try:
            self._measure(row, one, cover, payload, sha256, stego)
        except (ArmError, OSError) as error:
            row["error"] = str(error) or type(error).__name__
        finally:
            stego.unlink(missing_ok=True)
        self.results.add(row)

    def _measure(
        self, row: Row, one: _Run, cover: Mapping[str, Any], payload: Path | None, sha256: str, stego: Path
    ) -> None:
        """Hide in one process, read back in another; figures are kept only if that worked."""
        codec = self.results.data["control_codec"] or {}
        job = {
            "cover": cover["path"], "stego": str(stego), "payload": payload and str(payload),
            "sha256": sha256, "key": KEY, "fourcc": codec.get("fourcc"), "batch": self.matrix.batch,
            "workers": row["workers"],
        }  # fmt: skip
        timeout = self.matrix.timeout_s
        interval_s = self.matrix.interval_ms / 1000
        Path(cover["path"]).read_bytes()  # every run finds the cover in the page cache
        os.sync() if hasattr(os, "sync") else None
        with Worker(_MODULE, [one.arm], interval_s=interval_s) as worker:
            did, cost = worker.run({"do": "hide", **job}, timeout_s=timeout)
        with Worker(_MODULE, [one.arm], interval_s=interval_s) as reader:
            read, read_cost = reader.run({"do": "read", **job}, timeout_s=timeout)
            seen: dict[str, Any] = {}
            if one.arm not in LIMITS and one.repeat == 0:
                ask = {"do": "quality", "frames_used": did["frames_used"], **job}
                seen = reader.ask(ask, timeout_s=timeout)
        row |= _figures(did, cost, one, cover)
        row |= {k: v for k, v in seen.items() if k in FIELDS}
        row |= {
            "readback_s": read["wall_s"], "readback_cpu_s": read_cost.cpu_s, "compared": read["compared"],
            "readback_peak_mb": read_cost.peak_mib,
            "readback_increase_mb": read_cost.peak_mib - read_cost.before_mib,
        }  # fmt: skip
        row["checked_s"] = row["total_time"] + (0 if row["stages"]["verify"] else read["wall_s"])
        row["success"] = True

    def _suffix(self, one: _Run, cover: Mapping[str, Any]) -> str:
        codec = self.results.data["control_codec"]
        return codec["suffix"] if is_control(one.arm) else Path(cover["path"]).suffix

    def _cover(self, cell: Cell) -> dict[str, Any]:
        """The cell's cover, made if it is a synthetic one that is not there yet."""
        covers = self.results.data["covers"]
        path, made = Path(cell.cover or ""), None
        if cell.cover is None:
            made = {**self.matrix.as_dict()["synthetic"], "seed": self.matrix.seed}
            path = _synthetic(cell, made, self.folder / "covers")
        if path.name not in covers or covers[path.name]["path"] != str(path):
            covers[path.name] = {"id": path.name, **_describe(path), "synthetic": made}
        found: dict[str, Any] = covers[path.name]
        return found

    def _payload(self, one: _Run, cover: Mapping[str, Any], scratch: Path) -> tuple[Path | None, str]:
        if one.arm in LIMITS:
            return None, ""
        key = (cover["id"], one.cell.payload)
        if key not in self._payloads:
            for old, _ in self._payloads.values():
                old.unlink(missing_ok=True)
            self._payloads.clear()
            size = parse_payload(one.cell.payload)
            if size is None:
                size = ask.capacity(cover["path"]).payload_bytes
            data = np.random.default_rng([size, self.matrix.seed]).bytes(size)
            path = scratch / "payload.bin"
            path.write_bytes(data)
            self._payloads[key] = path, hashlib.sha256(data).hexdigest()
        return self._payloads[key]


class _Left:
    """Seconds that are left, from what the runs so far took against a guess."""

    def __init__(self, runs: Sequence[_Run]) -> None:
        self._left = sum(map(guess_s, runs))
        self._took = self._guessed = 0.0
        self._last = time.perf_counter()

    def done(self, one: _Run) -> None:
        now = time.perf_counter()
        self._took, self._last = self._took + now - self._last, now
        self._guessed += guess_s(one)
        self._left -= guess_s(one)

    def __str__(self) -> str:
        factor = self._took / self._guessed if self._guessed else 1.0
        seconds = max(0, round(factor * self._left))
        return f"about {seconds // 60}:{seconds % 60:02}"


_GUESS = {
    "current": 2.8, "current+streaming": 2.1, "current+parallel": 2.9, "whole": 2.4, "whole+parallel": 1.8,
    "splice": 0.6, "floor": 2.0, "copy": 0.1,
}  # fmt: skip
"""Seconds per 100 megapixels with reading back, on two cores; only the bar's guess of what is left."""


def guess_s(one: _Run) -> float:
    """Roughly how long a run takes."""
    width, height = one.cell.size if one.cell.cover is None else (1920, 1080)
    return 2.0 + _GUESS[one.arm] * width * height * (one.cell.frames or 300) / 1e8


def _figures(did: Mapping[str, Any], cost: Measured, one: _Run, cover: Mapping[str, Any]) -> Row:
    stages = {stage: did["stages"].get(stage, 0.0) for stage in STAGES}
    wall, frames = did["wall_s"], did["frames"]
    if frames != cover["frames"]:
        raise ArmError(f"FrameCount: {frames} frames were written for {cover['frames']}")
    sealed = did.get("sealed_bytes", 0)
    return {
        "total_time": wall,
        "encrypt_time": stages["seal"],
        "read_time": stages["decode"],
        "embed_time": stages["embed"],
        "write_time": stages["encode"] + stages["mux"],
        "memory_before_mb": cost.before_mib,
        "memory_after_mb": cost.after_mib,
        "memory_peak_mb": cost.peak_mib,
        "memory_increase_mb": cost.peak_mib - cost.before_mib,
        "memory_sampled_mb": cost.sampled_mib,
        "memory_high_water_mb": cost.high_water_mib,
        "memory_samples": cost.samples,
        "memory_interval_s": cost.interval_s,
        "timeline": {"t_s": list(cost.timeline_s), "mib": list(cost.timeline_mib)},
        "encrypted_size": sealed,
        "bits_embedded": 8 * sealed,
        "frames_used": did.get("frames_used", 0),
        "frames_coded": did["frames_coded"],
        "mode": did["mode"],
        "reason": did["reason"],
        "cpu_s": cost.cpu_s,
        "stages": stages,
        "work_s": wall - stages["verify"] - stages["digest"],
        "bytes_out": did["bytes_out"],
        "growth_bytes": did["bytes_out"] - cover["bytes"],
        "growth_ratio": did["bytes_out"] / cover["bytes"],
        "frames_per_s": frames / wall,
        "mpx_per_s": frames * cover["width"] * cover["height"] / 1e6 / wall,
        "capacity_bytes": did.get("capacity_bytes"),
        "alpha": did.get("alpha"),
    }


def _identity(one: _Run, cover: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cell": one.cell.id, "arm": one.arm, "resolution": one.cell.resolution, "width": cover["width"],
        "height": cover["height"], "frame_count": cover["frames"], "payload": one.cell.payload,
    }  # fmt: skip


def _pick_codec() -> dict[str, Any]:
    try:
        with Worker(_MODULE, ["current"]) as worker:
            return worker.ask({"do": "codec"}, timeout_s=120)
    except ArmError as error:
        kind, _, text = str(error).partition(": ")
        raise (MissingError(text) if kind == "MissingError" else error) from None


# -- covers, memory and disk ----------------------------------------------------------------------------


def _synthetic(cell: Cell, made: Mapping[str, Any], folder: Path) -> Path:
    """Covers are made once; the name says by what."""
    width, height = cell.size
    recipe = json.dumps([made, Path(synth.__file__).read_text(encoding="utf-8")], sort_keys=True)
    path = folder / f"{width}x{height}-{cell.frames}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        synth.make_cover(path, width=width, height=height, frames=cell.frames, **made)
    return path


def _describe(path: Path) -> dict[str, Any]:
    known = ask.probe(path)
    keys = np.flatnonzero(scan(path).packets["flags"] & KEY_FRAME)
    return {
        "path": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": known.bytes,
        "codec": known.codec,
        "pix_fmt": known.pix_fmt,
        "width": known.width,
        "height": known.height,
        "frames": known.frames,
        "fps": float(known.rate),
        "duration_s": known.duration_s,
        "bitrate_bps": 8 * known.bytes / known.duration_s if known.duration_s else None,
        "key_frames": known.key_frames,
        "gop_frames": int(np.diff([*keys, known.frames]).max()),
        "streams": [str(stream) for stream in known.streams],
        "splice": known.splice,
        "reason": known.reason,
    }


def _does_not_fit(
    one: _Run, cover: Mapping[str, Any], payload: Path | None, matrix: Matrix, scratch: Path
) -> dict[str, Any] | None:
    hidden = payload.stat().st_size if payload else 0
    needs = predict(one.arm, cover, hidden, matrix)
    has = (available_mib(matrix), shutil.disk_usage(scratch).free / _MIB)
    for why, needed, free in zip(("memory", "disk"), needs, has, strict=True):
        usable = _USABLE * free
        if needed > usable:
            return {
                "why": why, "predicted_mib": needed, "available_mib": usable,
                "reason": f"needs about {needed:,.0f} MiB of {why}, {usable:,.0f} MiB can be had",
            }  # fmt: skip
    return None


def predict(arm: str, cover: Mapping[str, Any], payload_bytes: int, matrix: Matrix) -> tuple[float, float]:
    """MiB of memory and of disk an arm should need at its peak, on the safe side."""
    workers = matrix.n_workers if arm in PARALLEL else 1
    if is_control(arm):
        return _predict_control(arm, cover, payload_bytes, matrix.batch, workers)
    if arm == "copy":
        return 150.0, 2 * cover["bytes"] / _MIB
    told = _estimate(cover["path"], payload_bytes, "fewest" if arm == "splice" else "all", workers)
    if told is None:  # it cannot be done; the run will say why
        return 0.0, 0.0
    return told.memory_bytes / _MIB, told.disk_bytes / _MIB


def _estimate(cover: str, payload_bytes: int, spread: str, workers: int) -> Estimate | None:
    try:
        return estimate(cover, payload_bytes, spread=spread, n_jobs=workers)
    except (CapacityError, UnsupportedError):
        return None


def _predict_control(
    arm: str, cover: Mapping[str, Any], payload_bytes: int, batch: int, workers: int
) -> tuple[float, float]:
    """BGR frames that are held, ten times the payload (bytes, sealed, bits), OpenCV's decoder and encoder."""
    frame = 3 * cover["width"] * cover["height"]
    held = min(cover["frames"], batch) if arm == "current+streaming" else cover["frames"]
    memory = 160 * _MIB + frame * (held + 12) + 10 * payload_bytes
    if arm in PARALLEL:
        carrying = min(cover["frames"], 1 + 8 * payload_bytes // frame)
        memory += 80 * _MIB * workers + frame * carrying
    return memory / _MIB, 0.7 * frame * cover["frames"] / _MIB


def available_mib(matrix: Matrix) -> float:
    """Memory that could be had now: of the machine, of its control group, of `memory_limit_mib`."""
    limits = [psutil.virtual_memory().available / _MIB]
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        used, most = ((group / f"memory.{name}").read_text() for name in ("current", "max"))
        limits.append((int(most) - int(used)) / _MIB)
    if matrix.memory_limit_mib:
        limits.append(matrix.memory_limit_mib)
    return float(min(limits))


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
