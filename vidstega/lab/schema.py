"""``stress_test_results.json``, typed once: every field with its unit and its meaning.

From here come the JSON schema, the tables in experiments/COLUMNS.md, and every check of a file that was
torn or written by hand. The first fields of a row have the names of the study's file, so that scripts for
it still read ours; its "mb" are MiB, and its times are seconds. What follows from other fields (growth,
ratios, speed-up) is not stored: `vidstega.lab.results` computes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vidstega.errors import InputError
from vidstega.lab.arms.codec import Codec
from vidstega.lab.matrix import ArmName, Matrix
from vidstega.lab.model import Model, docs, field, figure, parse

SCHEMA: Literal["vidstega.stress/2"] = "vidstega.stress/2"
RESULTS = "stress_test_results.json"


class Stages(Model):
    """Wall seconds by stage."""

    probe: float = field("reading the file's tables", "s", default=0.0)
    plan: float = field("which frames carry what", "s", default=0.0)
    seal: float = field("key, compression, encryption", "s", default=0.0)
    decode: float = field("decoding", "s", default=0.0)
    embed: float = field("changing samples", "s", default=0.0)
    digest: float = field("digests for verification", "s", default=0.0)
    encode: float = field("coding anew", "s", default=0.0)
    mux: float = field("writing the container", "s", default=0.0)
    verify: float = field("reading back what was written, within the arm", "s", default=0.0)


STAGES = tuple(Stages.model_fields)


class Timeline(Model):
    """Memory over time, at most 120 points, each the highest of its stretch."""

    t_s: tuple[float, ...] = field("since the arm began", "s", default=())
    mib: tuple[float, ...] = field("of the process tree", "MiB", default=())


class Row(Model):
    """One run: an arm on a cell, once. What does not apply, or was not reached by a failed run, is null."""

    timestamp: str = field("when the run began, UTC, ISO 8601")
    resolution: str = field('"480p" to "2160p" or "WxH"; of your own video, by its shorter side')
    width: int = field("of the picture", "pixels")
    height: int = field("of the picture", "pixels")
    frame_count: int = field("of the cover", "frames")
    operation: Literal["embed"] = field("always embed", default="embed")
    success: bool = field("written, read back by a fresh process and equal; nothing else counts")
    total_time: float | None = figure("wall time of the arm, its own checks included, imports not", "s")
    encrypt_time: float | None = figure("stage seal", "s")
    read_time: float | None = figure("stage decode", "s")
    embed_time: float | None = figure("stage embed", "s")
    write_time: float | None = figure("stages encode and mux", "s")
    memory_before_mb: float | None = figure("all imported, nothing done: the import baseline", "MiB")
    memory_after_mb: float | None = figure("when the arm is done", "MiB")
    memory_peak_mb: float | None = figure("highest, over the process tree", "MiB")
    memory_increase_mb: float | None = figure("peak above the import baseline: frames", "MiB")
    message_size: int = field("payload; 0 for the limits", "bytes", default=0)
    encrypted_size: int | None = figure("payload with its seal", "bytes")
    bits_embedded: int | None = figure("8 times `encrypted_size`", "bits")
    frames_used: int | None = figure("frames that carry", "frames")
    video_info: dict[str, str | float | int | None] = field("cover (id), codec, fps, duration_s, bytes")
    error: str | None = figure('"Kind: what went wrong"')
    cell: str = field('"1440p/100/100KB": resolution, frames, payload; or video, payload')
    arm: ArmName = field("which way to write the video")
    repeat: int = field("from 0 on")
    payload: str = field('"1KB" (1024 bytes), "100KB", "1MB", "capacity"')
    workers: int = field("of the parallel arms; 1 for the others", default=1)
    mode: str | None = figure('"splice", "transcode", "re-write", "limit", ...')
    reason: str | None = figure("why this mode")
    frames_coded: int | None = figure("frames written anew", "frames")
    cpu_s: float | None = figure("CPU time of the tree, user and system", "s")
    stages: Stages | None = field("wall time by stage", "s", default=None)
    memory_sampled_mb: float | None = figure("highest sample", "MiB")
    memory_high_water_mb: float | None = figure("by the high-water mark", "MiB")
    timeline: Timeline | None = field("memory over time", default=None)
    readback_s: float | None = figure("the fresh process that read it back", "s")
    compared: str | None = figure('"payload", "packets" or "every frame"')
    bytes_in: int = field("the cover", "bytes", default=0)
    bytes_out: int | None = figure("the result", "bytes")
    capacity_bytes: int | None = figure("most payload this arm can put here", "bytes")
    alpha: float | None = figure("of a carrying frame", "bits/sample")
    change_rate: float | None = figure("share of samples changed in frames that carry; in repeat 0 alone")
    psnr_db: float | None = figure("of the same frames, against the cover's; luma, or BGR (control)", "dB")
    ssim: float | None = figure("of the same frames")
    load_1min: float | None = figure("load average when the run began: noise shows here")


class Skipped(Model):
    """An arm that was left out at a cell."""

    cell: str = field("name of the cell")
    arm: ArmName = field("which arm")
    why: Literal["memory", "disk", "opencv", "time", "cover"] = field("what was short")
    predicted_mib: float | None = figure("what it would take", "MiB")
    available_mib: float | None = figure("what could be had", "MiB")
    reason: str = field("a sentence")


class Planned(Model):
    """A cell as it was planned."""

    id: str = field("name of the cell")
    cover: str = field("id of its cover")
    resolution: str = field("as in rows")
    pixels: int = field("width times height", "pixels")
    frames: int = field("of its cover", "frames")
    payload: str = field("as in rows")
    repeats: int = field("how often")
    arms: tuple[ArmName, ...] = field("which")


class Cover(Model):
    """A video that was hidden in."""

    id: str = field("name of the file")
    path: str = field("where it was")
    sha256: str = field("of its bytes")
    bytes: int = field("size", "bytes")
    codec: str = field("FFmpeg's name")
    pix_fmt: str = field("FFmpeg's name")
    width: int = field("of the picture", "pixels")
    height: int = field("of the picture", "pixels")
    frames: int = field("number", "frames")
    fps: float = field("on average", "frames/s")
    duration_s: float = field("length", "s")
    key_frames: int = field("number", "frames")
    gop_frames: int = field("most frames from one key frame to the next", "frames")
    streams: tuple[str, ...] = field("all of the file's")
    splice: bool = field("whether single pictures can be replaced")
    reason: str = field("why, or why not")
    synthetic: dict[str, float | int | str | bool] | None = field("recipe; null for your own", default=None)


class Machine(Model):
    """Where it was measured."""

    cpu: str = field("its name")
    cores: int = field("of the machine")
    ram_mib: int = field("of the machine", "MiB")
    os: str = field("its name")


class Stamp(Model):
    """Who measured: what makes two results comparable, and what does not."""

    machine: Machine = field("cpu, cores, ram_mib, os")
    versions: dict[str, str] = field("python, the packages that matter, FFmpeg's libraries")
    commit: str | None = field('git commit, "+changes" if the tree differs')
    code: str = field("digest of the code that was measured")


class Memory(Model):
    """How memory was measured."""

    metric: str = field('"pss" or "uss"')
    unit: str = field("of what")
    tool: str = field("by what")
    least_interval_ms: int = field("between samples", "ms")


class Experiment(Stamp):
    """The whole file."""

    schema_: Literal["vidstega.stress/2"] = Field(alias="schema", description="of the file")
    name: str = field("of the matrix")
    created: str = field("UTC, ISO 8601")
    updated: str = field("UTC, ISO 8601")
    complete: bool = field("whether every planned run is done, failed or left out")
    config: Matrix = field("all settings, see `vidstega.lab.matrix.Matrix`")
    config_digest: str = field("equal for results that may be mixed")
    n_workers: int = field("of the parallel arms")
    memory: Memory = field("how memory was measured")
    control_codec: Codec | None = field("of the control arms, with all trials", default=None)
    cells: tuple[Planned, ...] = field("what was planned")
    covers: dict[str, Cover] = field("by id")
    skipped: tuple[Skipped, ...] = field("what was left out", default=())
    rows: tuple[Row, ...] = field("one a run", default=())

    @property
    def planned(self) -> int:
        """Number of runs that were asked for."""
        return sum(cell.repeats * len(cell.arms) for cell in self.cells)


def read_experiment(where: Path) -> Experiment:
    """The results file at a path or in a folder.

    Raises
    ------
    InputError
        In one line, if it is not there, torn, of another schema, or holds what it may not.
    """
    path = where / RESULTS if where.is_dir() else where
    try:
        return parse(Experiment, path.read_bytes(), str(path))
    except OSError:
        raise InputError(f"{path} is not there; run `vidstega stress` first") from None
    except InputError as error:
        raise InputError(f"{error}; measure again, or take a whole copy") from None


def json_schema() -> dict[str, Any]:
    """The JSON schema of the results file."""
    return Experiment.model_json_schema()


def tables() -> str:
    """The whole file in Markdown, a table a record."""
    records = (Experiment, Row, Stages, Timeline, Planned, Skipped, Cover, Codec, Machine, Memory)
    return "\n\n".join(f"## {one.__name__}\n\n{one.__doc__}\n\n{docs(one)}" for one in records)
