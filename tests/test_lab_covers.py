"""Covers as files: your own in the order that tells most first, synthetic ones named by their recipe."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("pandas")

import vidstega
from vidstega.errors import InputError
from vidstega.lab.covers import files, make_cover
from vidstega.lab.matrix import change, make_matrix

PRODUCT = {"layout": "product", "resolutions": ["160x120"], "frames": [6]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("own")
    for name, width, height, frames in (
        ("a", 96, 64, 9),
        ("b", 96, 64, 3),
        ("c", 64, 96, 6),
        ("d", 96, 80, 30),
    ):
        make_cover(where / f"{name}.mp4", width=width, height=height, frames=frames, sound=False)
    (where / "torn.mp4").write_bytes((where / "a.mp4").read_bytes()[:300])
    (where / "notes.txt").write_text("no video")
    return where


def test_one_of_each_height_comes_before_a_second(folder: Path) -> None:
    said: list[str] = []
    found = [Path(path).name for path in files.expand([str(folder)], said.append)]
    assert found == ["b.mp4", "d.mp4", "c.mp4", "a.mp4"]  # c is upright: its shorter side is 64, too
    assert len(said) == 1 and said[0].startswith("torn.mp4 is left out: ") and "\n" not in said[0]


def test_a_file_stays_a_file_and_a_folder_without_videos_is_an_error(folder: Path, tmp_path: Path) -> None:
    assert files.expand([str(folder / "a.mp4")]) == [str(folder / "a.mp4")]
    with pytest.raises(InputError, match="holds no video that can be read"):
        files.expand([str(tmp_path)])


def test_a_cell_knows_height_and_length_of_its_own_cover(folder: Path) -> None:
    matrix = change(make_matrix(PRODUCT), covers=[str(folder / "c.mp4")])
    cell = files.located(matrix.cells[0])
    assert (cell.resolution, cell.frames, cell.id) == ("64p", 6, "c.mp4/1KB")
    assert files.size(cell) == (64, 96)
    assert files.provide(cell, matrix, folder) == folder / "c.mp4"


def test_a_synthetic_cover_is_made_once_and_named_by_its_recipe(tmp_path: Path) -> None:
    matrix = make_matrix(PRODUCT)
    first = files.provide(matrix.cells[0], matrix, tmp_path)
    stamp = first.stat().st_mtime_ns
    assert files.provide(matrix.cells[0], matrix, tmp_path).stat().st_mtime_ns == stamp
    assert first.name.startswith("160x120-6-")
    other = make_matrix({**PRODUCT, "seed": 2})
    assert files.name(other.cells[0], other) != first.name


def test_what_is_told_of_a_cover(cover: Path, tmp_path: Path) -> None:
    path = tmp_path / "moved.mp4"
    shutil.copy(cover, path)
    told, probed = files.describe(path), vidstega.probe(path)
    assert (told.id, told.frames, told.key_frames, told.gop_frames) == (
        "moved.mp4",
        60,
        probed.key_frames,
        20,
    )
    assert told.synthetic is None and told.streams == tuple(map(str, probed.streams))
    assert told.bytes == path.stat().st_size and len(told.sha256) == 64
