"""A results file is checked whole before anything is asked of it, and its tables say what it holds."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("pandas")
from lab_made import made, write

from vidstega.cli import main
from vidstega.errors import InputError
from vidstega.lab.schema import (
    RESULTS,
    Experiment,
    Row,
    json_schema,
    read_experiment,
    tables,
)

STUDY = (
    "timestamp resolution width height frame_count operation success total_time encrypt_time read_time "
    "embed_time write_time memory_before_mb memory_after_mb memory_peak_mb memory_increase_mb message_size "
    "encrypted_size bits_embedded frames_used video_info error"
)
COLUMNS = Path(__file__).parents[1] / "experiments" / "COLUMNS.md"


def test_the_studys_names_come_first_and_in_its_order() -> None:
    assert list(Row.model_fields)[:22] == STUDY.split()


def test_every_field_says_what_it_means_and_figures_have_units() -> None:
    for name, info in Row.model_fields.items():
        assert info.description, name
        extra = info.json_schema_extra
        assert isinstance(extra, dict)
        if name.endswith(("_s", "_time")):
            assert extra["unit"] == "s", name
        if name.endswith("_mb"):
            assert extra["unit"] == "MiB", name


def test_the_tables_in_the_guide_are_generated() -> None:
    assert COLUMNS.read_text(encoding="utf-8").endswith(tables() + "\n")
    assert all(f"| `{name}` |" in tables() for name in (*Row.model_fields, "schema"))


def test_the_json_schema_names_every_field() -> None:
    schema = json_schema()
    assert set(schema["$defs"]["Row"]["properties"]) == set(Row.model_fields)
    assert "schema" in schema["required"]


def nan(data: dict[str, Any]) -> str:
    data["rows"][0]["total_time"] = float("nan")
    return json.dumps(data)


def unknown_arm(data: dict[str, Any]) -> str:
    data["rows"][3]["arm"] = "quick"
    return json.dumps(data)


def other_schema(data: dict[str, Any]) -> str:
    return json.dumps({**data, "schema": "vidstega.stress/1"})


def no_rows(data: dict[str, Any]) -> str:
    del data["covers"]
    return json.dumps(data)


def half(data: dict[str, Any]) -> str:
    text = json.dumps(data)
    return text[: len(text) // 2]


def a_list(data: dict[str, Any]) -> str:
    return "[]"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (nan, "rows.0.total_time = nan; input should be a finite number"),
        (unknown_arm, "rows.3.arm = 'quick'; take one of current,"),
        (other_schema, "schema = 'vidstega.stress/1'; input should be 'vidstega.stress/2'"),
        (no_rows, "lacks 'covers'"),
        (half, "is not JSON"),
        (a_list, "it = []; input should be an object"),
    ],
)
def test_a_spoilt_file_is_one_line_and_is_left_alone(
    spoil: Callable[[dict[str, Any]], str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = spoil(copy.deepcopy(made()))
    (tmp_path / RESULTS).write_text(text)
    with pytest.raises(InputError) as caught:
        read_experiment(tmp_path)
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert main(["report", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert says in told and len(told.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [RESULTS]
    assert (tmp_path / RESULTS).read_text() == text


def test_a_whole_file_comes_back_as_it_was(tmp_path: Path) -> None:
    first = read_experiment(write(made(), tmp_path))
    (tmp_path / RESULTS).write_text(first.model_dump_json(by_alias=True))
    assert read_experiment(tmp_path / RESULTS) == first
    assert isinstance(first, Experiment) and first.planned == 96


def test_no_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vidstega stress"):
        read_experiment(tmp_path)
