"""What a stress matrix measures, read from TOML: axes, arms, repeats, covers. See experiments/README.md."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidstega.errors import InputError, ParameterError
from vidstega.lab.arms import ARMS

RESOLUTIONS = {
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
CAPACITY = "capacity"
"""The payload that just fits at one bit per luma sample in all frames."""

_AXES = {"resolutions": "resolution", "frames": "frames", "payloads": "payload"}
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20}
_EXPERIMENTS = next(
    (folder for folder in (Path(__file__).parents[2] / "experiments",) if folder.is_dir()),
    Path("experiments"),
)


@dataclass(frozen=True)
class Synthetic:
    """How synthetic covers are made, see `synth.make_cover`."""

    fps: int = 30
    gop_s: float = 2.0
    bframes: int = 2
    crf: float = 20
    preset: str = "veryfast"
    sound: bool = True


@dataclass(frozen=True)
class Cell:
    """One cover and one payload; the matrix's arms, or those in `arms`, are run on it `repeats` times."""

    resolution: str
    frames: int
    payload: str
    repeats: int
    cover: str | None = None
    arms: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name of the cell, such as "1440p/100/100KB"."""
        if self.cover is not None:
            return f"{Path(self.cover).name}/{self.payload}"
        return f"{self.resolution}/{self.frames}/{self.payload}"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a synthetic cover."""
        return parse_resolution(self.resolution)

    def matches(self, term: str, arm: str) -> bool:
        """Whether every part of a term like "1440p", "1440p/100" or "splice,1KB" names cell or arm."""
        names = {self.resolution, str(self.frames), self.payload, arm, Path(self.cover or "").name}
        return all(part in names for part in re.split(r"[/,]", term) if part)


@dataclass(frozen=True)
class Matrix:
    """A whole experiment.

    Parameters
    ----------
    layout : "star" varies one axis at a time around the centre, "product" takes all combinations
    centre : keys resolution, frames, payload of the star's middle
    centre_repeats : repeats of that one cell, if more than `repeats`
    axis_arms : of a star, "resolutions", "frames" or "payloads" -> the arms on that axis, if not all
    extra : cells besides, each with resolution, frames, payload and optionally repeats and arms
    covers : the user's own videos; they take the place of resolutions and frames
    workers : of the parallel arms; 0 means all cores
    batch : frames in a batch of `current+streaming`
    interval_ms : least time between two samples of memory
    memory_limit_mib : pretend to have no more than this
    """

    name: str
    arms: tuple[str, ...] = ARMS
    resolutions: tuple[str, ...] = ("480p",)
    frames: tuple[int, ...] = (30,)
    payloads: tuple[str, ...] = ("1KB",)
    layout: str = "star"
    centre: Mapping[str, Any] = field(default_factory=dict)
    axis_arms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    extra: tuple[Mapping[str, Any], ...] = ()
    covers: tuple[str, ...] = ()
    synthetic: Synthetic = field(default_factory=Synthetic)
    seed: int = 1
    repeats: int = 1
    centre_repeats: int = 0
    workers: int = 0
    batch: int = 10
    interval_ms: int = 20
    timeout_s: int = 900
    memory_limit_mib: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def n_workers(self) -> int:
        """Workers of the parallel arms."""
        return self.workers or os.cpu_count() or 1

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, smaller covers first."""
        cells = dict.fromkeys(self._all_cells())
        best: dict[str, Cell] = {}
        for cell in cells:
            if cell.id not in best or best[cell.id].repeats < cell.repeats:
                best[cell.id] = cell
        return tuple(sorted(best.values(), key=self._order))

    def _all_cells(self) -> Iterator[Cell]:
        if self.covers:
            for cover in self.covers:
                for payload in self.payloads:
                    yield Cell("own", 0, payload, self.repeats, cover)
            return
        if self.layout == "product":
            for resolution in self.resolutions:
                for frames in self.frames:
                    for payload in self.payloads:
                        yield Cell(resolution, frames, payload, self.repeats)
        else:
            middle = Cell(**self.centre, repeats=max(self.repeats, self.centre_repeats))
            plain = dataclasses.replace(middle, repeats=self.repeats)
            yield middle
            for axis, name in _AXES.items():
                arms = tuple(self.axis_arms.get(axis, ()))
                for value in getattr(self, axis):
                    yield dataclasses.replace(plain, arms=arms, **{name: value})
        for one in self.extra:
            yield Cell(**{"repeats": self.repeats, **one, "arms": tuple(one.get("arms", ()))})

    def _order(self, cell: Cell) -> tuple[int, str, int, int]:
        if cell.cover is not None:
            return 0, cell.cover, 0, _size_order(cell.payload)
        width, height = cell.size
        return width * height * cell.frames, cell.resolution, cell.frames, _size_order(cell.payload)

    @property
    def digest(self) -> str:
        """What has to be equal for rows to belong together: everything but how often and how patiently."""
        kept = {k: v for k, v in self.as_dict().items() if k not in _FREE}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """All settings, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=dict))
        return plain


_FREE = ("repeats", "centre_repeats", "extra", "arms", "resolutions", "frames", "payloads", "layout",
         "axis_arms", "centre", "timeout_s", "memory_limit_mib")  # fmt: skip


def load(which: str) -> Matrix:
    """Read a matrix: the name of one in experiments/, or the path of a TOML file.

    Raises
    ------
    InputError, ParameterError
        If it cannot be read, or says something that is not understood.
    """
    path = Path(which)
    if path.suffix != ".toml":
        path = _EXPERIMENTS / f"{which}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        known = ", ".join(sorted(p.stem for p in _EXPERIMENTS.glob("*.toml") if p.stem != "claims"))
        raise InputError(f"{path} cannot be read; give one of {known}, or the path of a .toml file") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    return from_dict({"name": path.stem, **data}, path.parent)


def from_dict(data: Mapping[str, Any], folder: Path | None = None) -> Matrix:
    """A matrix from what TOML gave; paths of covers are taken from `folder` on."""
    values = dict(data)
    _only_known(values, (f.name for f in dataclasses.fields(Matrix)), "a matrix")
    synthetic = values.get("synthetic", {})
    _only_known(synthetic, (f.name for f in dataclasses.fields(Synthetic)), "[synthetic]")
    values["synthetic"] = Synthetic(**synthetic)
    for name in ("arms", "resolutions", "frames", "payloads", "covers", "extra"):
        if name in values:
            values[name] = tuple(values[name])
    if folder is not None and "covers" in values:
        values["covers"] = tuple(str(folder / cover) for cover in values["covers"])
    return Matrix(**values)


def change(matrix: Matrix, *, covers: Sequence[str] = (), repeats: int | None = None) -> Matrix:
    """The same matrix on other covers, or with so many repeats everywhere."""
    if covers:
        matrix = dataclasses.replace(matrix, covers=tuple(str(Path(cover).absolute()) for cover in covers))
    if repeats is not None:
        matrix = dataclasses.replace(matrix, repeats=repeats, centre_repeats=0)
    return matrix


def parse_resolution(text: str) -> tuple[int, int]:
    """(width, height) of "1440p" or "320x180"."""
    if text in RESOLUTIONS:
        return RESOLUTIONS[text]
    if match := re.fullmatch(r"(\d+)x(\d+)", text):
        return int(match[1]), int(match[2])
    raise ParameterError(f"resolution {text!r} is none of {', '.join(RESOLUTIONS)} and no WIDTHxHEIGHT")


def parse_payload(text: str) -> int | None:
    """Bytes of "1KB" (1024), "100KB", "1MB"; None for "capacity"."""
    if text == CAPACITY:
        return None
    if match := re.fullmatch(r"(\d+)(B|KB|MB)", text):
        return int(match[1]) * _UNITS[match[2]]
    raise ParameterError(f'payload {text!r} is neither a size such as "100KB" nor "{CAPACITY}"')


def _size_order(payload: str) -> int:
    size = parse_payload(payload)
    return 1 << 62 if size is None else size


def _only_known(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = sorted(known)
    if unknown := sorted(set(given) - set(known)):
        raise ParameterError(f"unknown key {unknown[0]!r} in {where}; it knows {', '.join(known)}")


def _check(matrix: Matrix) -> None:
    _known_values("arms", matrix.arms, ARMS)
    _known_values("layout", [matrix.layout], ["star", "product"])
    for text in matrix.resolutions:
        parse_resolution(text)
    for text in matrix.payloads:
        parse_payload(text)
    counts = {"repeats": matrix.repeats, "batch": matrix.batch, "timeout_s": matrix.timeout_s,
              **{f"frames[{i}]": n for i, n in enumerate(matrix.frames)}}  # fmt: skip
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ParameterError(f"{name} = {value!r}; take a whole number from 1 on")
    for one in matrix.extra:
        _only_known(one, ("resolution", "frames", "payload", "repeats", "arms"), "[[extra]]")
        _known_values("arms", one.get("arms", ()), ARMS)
        _all_given(one, "[[extra]]")
    _only_known(matrix.axis_arms, _AXES, "[axis_arms]")
    for arms in matrix.axis_arms.values():
        _known_values("arms", arms, ARMS)
    if matrix.layout == "star" and not matrix.covers:
        _only_known(matrix.centre, ("resolution", "frames", "payload"), "[centre]")
        _all_given(matrix.centre, "[centre]")


def _all_given(cell: Mapping[str, Any], where: str) -> None:
    for name in ("resolution", "frames", "payload"):
        if name not in cell:
            raise ParameterError(f"{where} lacks {name!r}")
    parse_resolution(cell["resolution"])
    parse_payload(cell["payload"])


def _known_values(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [one for one in given if one not in known]:
        raise ParameterError(f"{name}: {unknown[0]!r} is none of {', '.join(known)}")
