"""Figures show the numbers of the rows, say their units, fit on the page, and suit the colour-blind."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from test_lab_report import changed, made

from vidstega.lab import plots, report
from vidstega.lab.arms import ARMS
from vidstega.lab.matrix import STAGES

__all__ = ["made"]

OKABE_ITO = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
GREYS = {"#999999", "#DDDDDD"}


@pytest.fixture
def results(made: dict[str, Any]) -> report.Results:
    return report.Results(made)


def test_colours_are_those_of_okabe_and_ito() -> None:
    arms = [style["color"] for style in plots.ARM_STYLE.values()]
    stages = [color for _, _, color, _ in plots.STAGE_STYLE.values()]
    assert set(arms) | set(stages) <= OKABE_ITO | GREYS
    assert len(set(arms)) == len(ARMS) == len({style["marker"] for style in plots.ARM_STYLE.values()})
    assert len(set(stages)) == len(stages)


def test_every_stage_is_drawn_once() -> None:
    assert sorted(name for names, *_ in plots.STAGE_STYLE.values() for name in names) == sorted(STAGES)


@pytest.mark.parametrize("name", sorted(plots.FIGURES))
def test_nothing_is_cut_off_and_axes_say_their_units(results: report.Results, name: str) -> None:
    figure = plots.draw(results, name)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height
    labels = [label for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel()) if label]
    assert labels
    for label in labels:
        assert "(" in label or label == "workers"


def test_bars_are_as_long_as_the_time(results: report.Results) -> None:
    ax = plots.stages(results, Figure().subplots())
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    rows = [row for row in results.data["rows"] if row["cell"] == results.centre.id]
    assert max(ends) == pytest.approx(max(sum(row["stages"].values()) for row in rows if row["repeat"] == 1))


def test_functions_return_the_axes_they_were_given(results: report.Results) -> None:
    for draw in (plots.stages, plots.time_resolution, plots.memory_timelines, plots.memory_length,
                 plots.speedup, plots.heat_map):  # fmt: skip
        ax = Figure().subplots()
        assert draw(results, ax) is ax


def test_the_heat_map_names_what_failed(made: dict[str, Any]) -> None:
    failed = changed(made, "2160p/100/100KB", "whole", success=False, error="no")
    ax = plots.heat_map(report.Results(failed), Figure().subplots())
    words = [text for text in ax.texts if text.get_text() == "failed"]
    assert len(words) == 1 and words[0].get_weight() == "bold"


def test_a_figure_without_data_is_removed(made: dict[str, Any], tmp_path: Any) -> None:
    assert len(plots.write_figures(report.Results(made), tmp_path)) == len(plots.FIGURES)
    short = copy.deepcopy(made)
    short["rows"] = [row for row in made["rows"] if row["arm"] == "splice" and row["frame_count"] == 100]
    left = {path.stem for path in plots.write_figures(report.Results(short), tmp_path)}
    assert (
        left
        == {path.stem for path in tmp_path.iterdir()}
        == set(plots.FIGURES) - {"memory_length", "speedup"}
    )


def test_the_users_settings_change_nothing(results: report.Results, tmp_path: Any) -> None:
    import matplotlib

    (first,) = (path for path in plots.write_figures(results, tmp_path) if path.stem == "stages")
    before = first.read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        plots.write_figures(results, tmp_path)
    assert first.read_bytes() == before
