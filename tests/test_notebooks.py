"""The notebooks keep the rules of the house: thin, tagged, executed, and pointed at anyone's own video."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_cells_are_thin(path: Path) -> None:
    lengths = [len(source(cell).splitlines()) for cell in code_cells(path)]
    assert median(lengths) <= 3
    assert max(lengths) <= 12


def test_no_place_of_a_machine_is_stored(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"[\"' ]/(tmp|home|root|Users)/", text) and str(FOLDER.parent) not in text


def test_nothing_is_defined(path: Path) -> None:
    for cell in code_cells(path):
        assert not re.search(r"^\s*(async\s+)?(def|class)\s", source(cell), re.MULTILINE)


def test_nothing_is_patched_and_nothing_private_is_used(path: Path) -> None:
    for cell in code_cells(path):
        assert not re.search(r"\._[a-z]|import _|\bpatch\b", source(cell))


def test_the_first_cell_holds_the_parameters_and_names_ones_own_video(path: Path) -> None:
    cells = code_cells(path)
    assert [k for k, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", ())] == [0]
    assert "your own" in source(cells[0]) or "holiday.mp4" in source(cells[0])


def test_it_was_executed_in_order_and_without_errors(path: Path) -> None:
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert not [output for output in cell["outputs"] if output["output_type"] == "error"]


def test_the_name_has_a_number(path: Path) -> None:
    assert re.fullmatch(r"\d\d_[a-z_]+", path.stem)
