"""What survives what: measured on a small cover, written, read again, shown in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pandas")

from lab_made import made, results

from vidstega import lab
from vidstega.carriers import Robust
from vidstega.errors import InputError
from vidstega.lab.plots import draw_survival
from vidstega.lab.report import render
from vidstega.lab.survival import SURVIVAL, SurvivalFile, load_survival


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> SurvivalFile:
    cover = lab.make_cover(tmp_path_factory.mktemp("s") / "c.mp4", width=320, height=240, frames=125, fps=25)
    ways = [(Robust(psnr_db=42, preset="veryfast"), 2), (Robust(psnr_db=42), 9000)]
    how = {"through": ["crf28", "half"], "progress": False}
    plain = lab.measure_survival(cover, [("lsb", 8)], keys=2, n_jobs=2, **how)
    robust = lab.measure_survival(cover, ways, **how)
    return plain.model_copy(update={"rows": (*plain.rows, *robust.rows)})


def test_what_came_back_is_counted(seen: SurvivalFile) -> None:
    counted = {(row.way, row.channel): (row.exact, row.tried) for row in seen.rows if row.payload_bytes < 9}
    assert counted == {
        ("lsb", "crf28"): (0, 2),
        ("lsb", "half"): (0, 2),
        ("robust, 42 dB", "crf28"): (1, 1),
        ("robust, 42 dB", "half"): (1, 1),
    }
    assert [row.tried for row in seen.rows if row.payload_bytes == 9000] == [0, 0], "refused"
    assert list(seen.frame.way.unique()) == ["lsb", "robust, 42 dB"] and "320x240, 125 frames" in seen.cover


def test_it_is_read_as_it_was_written(seen: SurvivalFile, tmp_path: Path) -> None:
    assert load_survival(tmp_path) is None
    text = seen.model_dump_json(by_alias=True, indent=1)
    (tmp_path / SURVIVAL).write_text(text, encoding="utf-8")
    assert load_survival(tmp_path) == seen
    (tmp_path / SURVIVAL).write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(InputError, match=r"survival.json is not JSON.*; measure again"):
        load_survival(tmp_path)


def test_report_and_figure_show_it(seen: SurvivalFile) -> None:
    text = render(results(made()), survival=seen)[0]
    assert "| crf28, half | no | **yes** | refused |" in text and "## What survives what" in text
    other = [row.model_copy(update={"exact": 0}) if row.channel == "half" else row for row in seen.rows]
    text = render(results(made()), survival=seen.model_copy(update={"rows": tuple(other)}))[0]
    assert "| crf28 | no | **yes** | refused |" in text and "| half | no | no | refused |" in text
    told = seen.rows[0].model_copy(update={"psnr_db": 70.0})
    text = render(results(made()), survival=seen.model_copy(update={"rows": (told, *seen.rows[1:])}))[0]
    assert "lsb, 8 B: 70.0 dB." in text, "without a margin"
    assert "What survives what" not in render(results(made()))[0]
    assert draw_survival(seen).axes[0].has_data()
