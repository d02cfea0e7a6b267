"""Figures show the numbers of the rows, say their units, fit on the page, and suit the colour-blind."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
from lab_made import CENTRE, changed, made, results, without
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vidstega.lab import plots
from vidstega.lab.arms import ARMS
from vidstega.lab.plots.matrix import STAGE_COLORS
from vidstega.lab.schema import STAGES

OKABE_ITO = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
GREYS = {"#999999", "#DDDDDD"}


def fits(figure: Figure) -> bool:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    return bool(drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= width and drawn.y1 <= height)


def test_colours_are_those_of_okabe_and_ito() -> None:
    arms = [arm.look["color"] for arm in ARMS.values()]
    stages = list(STAGE_COLORS.values())
    assert set(arms) | set(stages) <= OKABE_ITO | GREYS
    assert len({tuple(arm.look.values()) for arm in ARMS.values()}) == len(ARMS)
    assert len({arm.look["marker"] for arm in ARMS.values()}) == len(ARMS)
    assert len(set(stages)) == len(stages)


def test_every_stage_is_drawn_once() -> None:
    assert sorted(name for names in STAGE_COLORS for name in names.split(", ")) == sorted(STAGES)


@pytest.mark.parametrize("name", sorted(plots.FIGURES))
def test_nothing_is_cut_off_and_axes_say_their_units(name: str) -> None:
    figure = plots.draw(results(made()), name)
    assert figure is not None and fits(figure)
    assert figure.get_size_inches()[0] <= 9  # what JupyterLab shows without shrinking it
    labels = [label for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel()) if label]
    assert labels
    for label in labels:
        assert "(" in label


def test_bars_are_as_long_as_the_time() -> None:
    some = results(made())
    ax = plots.stages(some, Figure().subplots())
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    rows = [row for row in some.experiment.rows if row.cell == CENTRE and row.repeat == 1]
    totals = [sum(getattr(row.stages, stage) for stage in STAGES) for row in rows]
    assert max(ends) == pytest.approx(max(totals))


def test_memory_against_length_writes_the_slopes_at_the_ends_of_three_lines() -> None:
    ax = plots.memory_length(results(made()), Figure().subplots())
    texts = [text.get_text() for text in ax.texts]
    assert len(texts) == 3
    assert any("current" in text and "+1,100.0 MiB" in text for text in texts)


def test_the_heat_map_names_what_failed() -> None:
    failed = changed(made(), "2160p/100/100KB", "whole", success=False, error="no")
    ax = plots.heat_map(results(failed), Figure().subplots())
    words = [text for text in ax.texts if text.get_text() == "failed"]
    assert len(words) == 1 and words[0].get_weight() == "bold"


def test_a_figure_without_data_is_removed(tmp_path: Path) -> None:
    assert len(plots.write_figures(results(made()), None, tmp_path)) == len(plots.FIGURES)
    short = made([CENTRE, "720p/100/100KB"])
    short = without(short, *(arm for arm in ARMS if arm != "splice"))
    left = {path.stem for path in plots.write_figures(results(short), None, tmp_path)}
    assert left == {path.stem for path in tmp_path.iterdir()}
    assert left == set(plots.FIGURES) - {"memory_length", "speedup"}
    assert plots.draw(results(short), "speedup") is None


def test_packets_and_differences_of_a_real_file(cover: Path, tmp_path: Path) -> None:
    import vidstega
    from vidstega.lab.clip import replaced

    stego = tmp_path / "stego.mp4"
    vidstega.embed(cover, stego, b"x" * 500, key="k", method="lsb", progress=False)
    new = replaced(cover, stego).new
    assert 0 < new.sum() < len(new) == 60
    ax = plots.packets(cover, stego, Figure().subplots())
    assert len(ax.patches) == 60
    number = int(new.index[new][0])
    ax = plots.difference(cover, stego, number, Figure().subplots())
    assert f"frame {number}" in plots.frame(cover, number, Figure().subplots()).get_title(loc="center")
    assert "0.0% of" not in ax.get_title()
