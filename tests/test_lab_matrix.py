"""What a matrix may say, and which cells come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from vidstega.errors import InputError, ParameterError
from vidstega.lab.arms import ARMS
from vidstega.lab.matrix import (
    DATA,
    RESOLUTIONS,
    Cell,
    Matrix,
    change,
    load_matrix,
    make_matrix,
    parse_payload,
    parse_resolution,
)

STAR: dict[str, Any] = {
    "name": "test",
    "resolutions": ["480p", "1440p"],
    "frames": [30, 100],
    "payloads": ["1KB", "capacity"],
    "centre": {"resolution": "1440p", "frames": 100, "payload": "1KB"},
}


def test_a_star_varies_one_axis_at_a_time() -> None:
    cells = {cell.id for cell in make_matrix(STAR).cells}
    assert cells == {"1440p/100/1KB", "480p/100/1KB", "1440p/30/1KB", "1440p/100/capacity"}


def test_a_product_takes_all() -> None:
    matrix = make_matrix({**STAR, "layout": "product", "centre": None})
    assert len(matrix.cells) == 8


def test_the_centre_may_be_repeated_more_often() -> None:
    cells = {cell.id: cell.repeats for cell in make_matrix({**STAR, "centre_repeats": 3}).cells}
    assert cells["1440p/100/1KB"] == 3
    assert cells["480p/100/1KB"] == 1


def test_extra_cells_and_their_arms() -> None:
    extra = {"resolution": "480p", "frames": 300, "payload": "1MB", "repeats": 2, "arms": ["splice"]}
    cell = next(cell for cell in make_matrix({**STAR, "extra": [extra]}).cells if cell.frames == 300)
    assert (cell.id, cell.repeats, cell.arms) == ("480p/300/1MB", 2, ("splice",))


def test_an_axis_may_have_arms_of_its_own_but_the_centre_has_all() -> None:
    matrix = make_matrix({**STAR, "axis_arms": {"frames": ["splice"]}})
    arms = {cell.id: cell.arms for cell in matrix.cells}
    assert arms["1440p/30/1KB"] == ("splice",)
    assert arms["1440p/100/1KB"] == arms["480p/100/1KB"] == ()


def test_own_covers_take_the_place_of_resolutions_and_frames(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('covers = ["a.mp4"]\npayloads = ["1KB", "1MB"]\n')
    matrix = load_matrix(str(path))
    assert [cell.id for cell in matrix.cells] == ["a.mp4/1KB", "a.mp4/1MB"]
    assert matrix.cells[0].cover == str(tmp_path / "a.mp4")
    assert change(make_matrix(STAR), covers=["b.mp4"]).cells[0].cover == str(Path("b.mp4").absolute())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resolution": ["480p"]}, "unknown key 'resolution'; did you mean 'resolutions'?"),
        ({"colour": 1}, "unknown key 'colour'; it knows name, arms,"),
        ({"synthetic": {"colour": 1}}, r"\[synthetic\] unknown key 'colour'; it knows fps, gop_s"),
        ({"centre": {**STAR["centre"], "arm": "x"}}, r"\[centre\] unknown key 'arm'"),
        ({"centre": {"frames": 3}}, r"\[centre\] lacks 'resolution'"),
        ({"extra": [{"resolution": "480p"}]}, r"\[extra.0\] lacks 'frames'"),
        ({"arms": ["splice", "quick"]}, "arms.1 = 'quick'; take one of current,"),
        ({"axis_arms": {"frames": ["quick"]}}, "axis_arms.frames.0 = 'quick'; take one of"),
        ({"axis_arms": {"frame": ["splice"]}}, r"\[axis_arms\] unknown key 'frame'"),
        ({"layout": "random"}, "layout = 'random'; input should be 'star' or 'product'"),
        ({"resolutions": ["8k"]}, "resolutions.0 = '8k'; take one of 480p,"),
        ({"payloads": ["1GiB"]}, "payloads.0 = '1GiB'; take a size such as"),
        ({"repeats": 0}, "repeats = 0; input should be greater"),
        ({"repeats": True}, "repeats = True; input should be a valid integer"),
        ({"frames": [0]}, "frames.0 = 0; input should be greater"),
        ({"centre": None}, r"a star needs \[centre\], or take layout"),
    ],
)
def test_what_is_not_understood_is_an_error(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says) as caught:
        make_matrix({**STAR, **wrong})
    assert "\n" not in str(caught.value)


def test_unknown_keys_in_a_file_and_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("repeat = 3\n")
    with pytest.raises(ParameterError, match=r"mine\.toml: unknown key 'repeat'; did you mean 'repeats'"):
        load_matrix(str(path))
    path.write_text("repeats = \n")
    with pytest.raises(InputError, match="is not TOML"):
        load_matrix(str(path))
    with pytest.raises(InputError, match="give one of smoke, standard, full"):
        load_matrix("nothing")
    with pytest.raises(InputError, match="cannot be read"):
        load_matrix(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("name", ["smoke", "standard", "full"])
def test_the_matrices_that_come_along(name: str) -> None:
    matrix = load_matrix(name)
    assert matrix.name == name
    assert set(matrix.arms) == set(ARMS) - {"signs", "hill", "robust"}
    assert {"splice", "signs"} <= {arm for cell in matrix.cells for arm in cell.arms}


def test_every_matrix_in_the_package_can_be_read() -> None:
    names = {path.stem for path in DATA.glob("*.toml")} - {"claims", "own"}
    assert names == {"smoke", "standard", "full"}
    assert change(load_matrix("own"), covers=["a.mp4"]).limit_s == 600


def test_standard_holds_what_the_study_asks_about() -> None:
    cells = {cell.id for cell in load_matrix("standard").cells}
    assert {f"{r}/100/100KB" for r in RESOLUTIONS} <= cells
    assert {"1440p/30/100KB", "1440p/300/100KB", "1440p/100/1KB", "1440p/100/1MB"} <= cells
    assert {"1440p/100/capacity", "1440p/300/1KB"} <= cells
    assert all(not cell.arms for cell in load_matrix("standard").cells if cell.id.endswith("/100/100KB"))


def test_sizes() -> None:
    assert parse_resolution("1440p") == (2560, 1440)
    assert parse_resolution("160x90") == (160, 90)
    assert [parse_payload(text) for text in ("10B", "1KB", "1MB", "capacity")] == [10, 1024, 1 << 20, None]


def test_terms_name_cells_and_arms() -> None:
    cell = Cell("1440p", 100, "1KB", 1)
    for term in ("1440p", "1440p/100", "1440p/100/1KB", "splice", "splice,1440p", "100"):
        assert cell.matches(term, "splice"), term
    for term in ("1440", "480p", "1440p/30", "floor", "480p,splice"):
        assert not cell.matches(term, "splice"), term


def test_repeats_and_axes_do_not_part_rows_but_the_seed_does() -> None:
    plain = make_matrix(STAR)
    assert change(plain, repeats=5).digest == plain.digest
    assert make_matrix({**STAR, "frames": [30]}).digest == plain.digest
    assert make_matrix({**STAR, "seed": 9}).digest != plain.digest
    assert change(plain, covers=["a.mp4"]).digest != plain.digest


def test_a_matrix_is_json() -> None:
    matrix = make_matrix(STAR)
    assert Matrix.model_validate_json(matrix.model_dump_json()) == matrix
    assert change(matrix) == matrix


def test_own_covers_keep_their_order() -> None:
    assert [cell.cover for cell in change(make_matrix(STAR), covers=["/b.mp4", "/a.mp4"]).cells[::2]] == [
        "/b.mp4",
        "/a.mp4",
    ]
