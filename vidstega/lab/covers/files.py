"""Covers as files: synthetic ones, made as a matrix says, and your own videos, alone or a folder of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pandas import DataFrame

import vidstega
from vidstega.errors import InputError, VidstegaError
from vidstega.lab.clip import gop_frames
from vidstega.lab.covers.synth import make_cover
from vidstega.lab.matrix import Cell, Matrix, parse_resolution
from vidstega.lab.schema import Cover

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mts", ".m2ts", ".mpg", ".ogv", ".3gp")


def expand(paths: Iterable[str], say: Callable[[str], None] = print) -> list[str]:
    """Videos, and the readable videos of folders: shortest first, one of each height before a second.

    Raises
    ------
    InputError
        If a path is neither, or a folder holds no video that can be read.
    """
    found: list[str] = []
    for path in map(Path, paths):
        found += _in_folder(path, say) if path.is_dir() else [str(path)]
    return found


def _in_folder(folder: Path, say: Callable[[str], None]) -> list[str]:
    known: list[tuple[int, str, str]] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            try:
                one = _probe(str(path))
            except VidstegaError as error:
                say(f"{path.name} is left out: {error}")
                continue
            known.append((one.width * one.height * one.frames, _label(one), str(path)))
    if not known:
        raise InputError(
            f"{folder} holds no video that can be read; give a folder with videos, or one of them"
        )
    table = DataFrame(sorted(known), columns=["work", "label", "path"])
    return list(table.path[table.groupby("label").cumcount().sort_values(kind="stable").index])


@cache
def _probe(path: str) -> Any:
    return vidstega.probe(path)


def _label(probe: Any) -> str:
    return f"{min(probe.width, probe.height)}p"


def located(cell: Cell) -> Cell:
    """The cell with resolution and length of its cover, if that is your own."""
    if not cell.cover:
        return cell
    one = _probe(cell.cover)
    return replace(cell, resolution=_label(one), frames=one.frames)


def size(cell: Cell) -> tuple[int, int]:
    """(width, height) of the cell's cover."""
    if not cell.cover:
        return parse_resolution(cell.resolution)
    one = _probe(cell.cover)
    return one.width, one.height


def recipe(matrix: Matrix) -> dict[str, Any]:
    """How synthetic covers are made."""
    return {**matrix.synthetic.model_dump(), "seed": matrix.seed}


def name(cell: Cell, matrix: Matrix) -> str:
    """Of the cover's file; a synthetic one's says by what it was made."""
    if cell.cover:
        return Path(cell.cover).name
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))]
    digest = hashlib.sha256(json.dumps([recipe(matrix), code], sort_keys=True).encode()).hexdigest()[:8]
    width, height = parse_resolution(cell.resolution)
    return f"{width}x{height}-{cell.frames}-{digest}.mp4"


def provide(cell: Cell, matrix: Matrix, folder: Path) -> Path:
    """The cell's cover; a synthetic one is made once."""
    if cell.cover:
        return Path(cell.cover)
    path = folder / name(cell, matrix)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        width, height = parse_resolution(cell.resolution)
        make_cover(path, width=width, height=height, frames=cell.frames, **recipe(matrix))
    return path


def describe(path: str | os.PathLike[str], synthetic: dict[str, Any] | None = None) -> Cover:
    """What a cover is, as the results keep it."""
    one = _probe(str(path))
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    told = {name: getattr(one, name) for name in Cover.model_fields if hasattr(one, name)}
    told |= {"id": Path(path).name, "path": str(path), "sha256": digest, "synthetic": synthetic}
    told |= {"fps": round(float(one.rate), 6), "gop_frames": gop_frames(path)}
    return Cover(**told | {"streams": tuple(map(str, one.streams))})
