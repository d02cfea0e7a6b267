"""What is measured, read from TOML: axes, arms, repeats, covers. experiments/README.md is the guide."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from vidstega.errors import InputError, ParameterError
from vidstega.lab.arms import ARMS, USUAL
from vidstega.lab.model import Model, field, parse

DATA = Path(__file__).with_name("data")
RESOLUTIONS = {
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
CAPACITY = "capacity"
"""The payload that just fits at one bit per luma sample in all frames."""
_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20}
_MATRICES = ("smoke", "standard", "full", "own")
_COMPARED = ("synthetic", "seed", "covers", "workers", "batch", "interval_ms")


def parse_resolution(text: str) -> tuple[int, int]:
    """(width, height) of "1440p" or "320x180"."""
    if text in RESOLUTIONS:
        return RESOLUTIONS[text]
    if match := re.fullmatch(r"(\d+)x(\d+)", text):
        return int(match[1]), int(match[2])
    raise ParameterError(f"take one of {', '.join(RESOLUTIONS)}, or WIDTHxHEIGHT")


def parse_payload(text: str) -> int | None:
    """Bytes of "10B", "1KB" (1024), "1MB"; None for "capacity"."""
    if text == CAPACITY:
        return None
    if match := re.fullmatch(r"(\d+)(B|KB|MB)", text):
        return int(match[1]) * _UNITS[match[2]]
    raise ParameterError(f'take a size such as "100KB", or "{CAPACITY}"')


def parse_arm(text: str) -> str:
    """The name of an arm that there is."""
    if text in ARMS:
        return text
    raise ParameterError(f"take one of {', '.join(ARMS)}")


def _checked(parse: Callable[[str], object]) -> AfterValidator:
    return AfterValidator(lambda text: (parse(text), text)[1])


Count = Annotated[int, field("", ge=1)]
Resolution = Annotated[str, _checked(parse_resolution)]
Payload = Annotated[str, _checked(parse_payload)]
ArmName = Annotated[str, _checked(parse_arm)]


class Synthetic(Model):
    """How synthetic covers are made, see `covers.make_cover`."""

    fps: Count = 30
    gop_s: float = field("seconds between key frames", "s", default=2.0, gt=0)
    bframes: int = field("most B-frames in a row", default=2, ge=0, le=16)
    crf: float = field("quality on x264's scale", default=20, ge=0, le=63)
    preset: str = "veryfast"
    sound: bool = True


class Centre(Model):
    """The middle of a star."""

    resolution: Resolution
    frames: Count
    payload: Payload


class Extra(Centre):
    """A cell besides."""

    repeats: Count | None = None
    arms: tuple[ArmName, ...] = ()


class AxisArms(Model):
    """The arms that run along an axis, if not all."""

    resolutions: tuple[ArmName, ...] = ()
    frames: tuple[ArmName, ...] = ()
    payloads: tuple[ArmName, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One cover and one payload; the matrix's arms, or those in `arms`, are run on it `repeats` times."""

    resolution: str
    frames: int
    payload: str
    repeats: int
    cover: str = ""
    arms: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name of the cell, such as "1440p/100/100KB"."""
        first = Path(self.cover).name or f"{self.resolution}/{self.frames}"
        return f"{first}/{self.payload}"

    def matches(self, term: str, arm: str) -> bool:
        """Whether every part of a term like "1440p", "1440p/100" or "splice,1KB" names cell or arm."""
        names = {self.resolution, str(self.frames), self.payload, arm, Path(self.cover).name}
        return all(part in names for part in re.split(r"[/,]", term) if part)


class Matrix(Model):
    """A whole experiment."""

    name: str = field("of the experiment; the file's, if it says none", default="mine")
    arms: tuple[ArmName, ...] = field("which arms; by default those that hold every message", default=USUAL)
    resolutions: tuple[Resolution, ...] = field('"480p" to "2160p", or "320x180"', default=("480p",))
    frames: tuple[Count, ...] = field("lengths of the covers", "frames", default=(30,))
    payloads: tuple[Payload, ...] = field('"10B", "1KB" (1024), "1MB", "capacity"', default=("1KB",))
    layout: Literal["star", "product"] = field(
        "one axis at a time around the centre, or every combination", default="star"
    )
    centre: Centre | None = field("`resolution`, `frames`, `payload` of the star's middle", default=None)
    axis_arms: AxisArms = field("per axis, the arms that run along it", default=AxisArms())
    extra: tuple[Extra, ...] = field("cells besides, with `repeats` and `arms` of their own", default=())
    covers: tuple[str, ...] = field("your own videos, in place of resolutions and frames", default=())
    synthetic: Synthetic = field("`fps`, `gop_s`, `bframes`, `crf`, `preset`, `sound`", default=Synthetic())
    seed: int = field("of covers and payloads", default=1, ge=0)
    repeats: Count = field("how often each cell", default=1)
    centre_repeats: int = field("how often the centre, if more", default=0, ge=0)
    workers: int = field("of the parallel arms; 0 means all cores", default=0, ge=0)
    batch: Count = field("in a batch of `current+streaming`", "frames", default=10)
    interval_ms: Count = field("least time between two samples of memory", "ms", default=20)
    timeout_s: Count = field("when to give a run up", "s", default=900)
    limit_s: int = field("begin no run after so long; 0 means never stop", "s", default=0, ge=0)
    memory_limit_mib: int = field("pretend to have no more memory than this", "MiB", default=0, ge=0)

    @model_validator(mode="after")
    def _star_has_a_centre(self) -> Matrix:
        if self.layout == "star" and self.centre is None and not self.covers:
            raise ParameterError('a star needs [centre], or take layout = "product"')
        return self

    @property
    def n_workers(self) -> int:
        """Workers of the parallel arms."""
        return self.workers or os.cpu_count() or 1

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, smaller covers first; own ones in their order."""
        best: dict[str, Cell] = {}
        for cell in self._asked():
            best[cell.id] = max(best.get(cell.id, cell), cell, key=lambda one: one.repeats)
        return tuple(best.values() if self.covers else sorted(best.values(), key=_size))

    def _asked(self) -> Iterator[Cell]:
        axes = (self.resolutions, self.frames, self.payloads)
        if self.covers:
            for cover, payload in product(self.covers, self.payloads):
                yield Cell("own", 0, payload, self.repeats, cover)
            return
        if self.layout == "product" or self.centre is None:
            yield from (Cell(*place, self.repeats) for place in product(*axes))
        else:
            plain = Cell(**self.centre.model_dump(), repeats=self.repeats)
            yield replace(plain, repeats=max(self.repeats, self.centre_repeats))
            for name, axis, values in zip(Centre.model_fields, AxisArms.model_fields, axes, strict=True):
                for value in values:
                    changes: dict[str, Any] = {name: value, "arms": getattr(self.axis_arms, axis)}
                    yield replace(plain, **changes)
        for one in self.extra:
            yield Cell(**{**one.model_dump(), "repeats": one.repeats or self.repeats})

    @property
    def digest(self) -> str:
        """What has to be equal for rows to belong together: everything but what is run, and how often."""
        kept = self.model_dump_json(include=set(_COMPARED))
        return hashlib.sha256(kept.encode()).hexdigest()[:16]


def _size(cell: Cell) -> tuple[int, str, int, float]:
    width, height = parse_resolution(cell.resolution)
    payload = parse_payload(cell.payload)
    return width * height * cell.frames, cell.resolution, cell.frames, payload or float("inf")


def load_matrix(which: str) -> Matrix:
    """Read a matrix: "smoke", "standard", "full", "own", or the path of a TOML file.

    Raises
    ------
    InputError, ParameterError
        If it cannot be read, or says something that is not understood.
    """
    path = Path(which) if Path(which).suffix == ".toml" else DATA / f"{which}.toml"
    if path.parent == DATA and which not in _MATRICES:
        raise InputError(
            f"no matrix {which!r}; give one of {', '.join(_MATRICES)}, or the path of a .toml file"
        )
    data = read_toml(path)
    covers = [str(path.parent / cover) for cover in data.get("covers", ())]
    return make_matrix({"name": path.stem, **data, **({"covers": covers} if covers else {})}, path.name)


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds; InputError if it cannot be read or is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give the path of a .toml file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None


def make_matrix(data: Mapping[str, Any], where: str = "matrix") -> Matrix:
    """A matrix from plain values, as TOML gives them; ParameterError for what is not understood."""
    return parse(Matrix, json.dumps(data, default=str), where, ParameterError)


def change(matrix: Matrix, **values: Any) -> Matrix:
    """The same matrix with some other values; None leaves one as it is. Empty `covers` are no covers."""
    given = {name: value for name, value in values.items() if value is not None}
    if "covers" in given:
        given["covers"] = [str(Path(cover).absolute()) for cover in given["covers"]]
    if "repeats" in given:
        given.setdefault("centre_repeats", 0)
    return make_matrix({**matrix.model_dump(mode="json"), **given})
