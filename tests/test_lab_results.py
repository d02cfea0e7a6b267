"""Questions to results: medians, ratios within a repeat, slopes; only what was read back and equal counts."""

from __future__ import annotations

import pytest

pytest.importorskip("pandas")
from lab_made import CENTRE, STUDY, changed, made, results

import vidstega.lab as lab
from vidstega.lab.results import DERIVED, Measure, medians, ratios, slopes, unit


def test_the_frame_has_one_row_a_repeat_in_the_order_of_cells_arms_and_repeats() -> None:
    data = made()
    frame = results({**data, "rows": data["rows"][::-1]}).frame
    assert frame.equals(results(data).frame)
    assert len(frame) == 96
    some = frame[frame.cell == CENTRE]
    assert tuple(some.arm.unique()) == STUDY
    assert list(some.repeat[:3]) == [0, 1, 2]
    assert not {"stages", "timeline", "video_info"} & set(frame.columns)
    assert {"decode_s", "verify_s", "cover", *DERIVED} <= set(frame.columns)


def test_derived_columns() -> None:
    row = results(made()).frame.query("cell == @CENTRE and arm == 'whole' and repeat == 1").iloc[0]
    assert row.work_s == pytest.approx(0.7 * 6.06)
    assert row.io_time == pytest.approx(0.5 * 6.06)
    assert row.checked_s == row.total_time
    assert (row.growth_bytes, row.growth_ratio) == (10**6, 2)
    assert row.vs_floor == pytest.approx(1.5) and row.work_vs_floor == pytest.approx(0.7 * 1.5)
    assert row.frames_per_s == pytest.approx(100 / 6.06)
    frame = results(made()).frame.query("cell == @CENTRE")
    old = frame[frame.arm == "current"].iloc[0]
    assert old.checked_s == pytest.approx(1.5 * old.total_time)
    assert frame[frame.arm == "whole+parallel"].speedup.tolist() == pytest.approx([1.5] * 3)
    assert frame[frame.arm == "whole+parallel"].efficiency.tolist() == pytest.approx([0.75] * 3)
    assert frame[frame.arm == "whole"].speedup.isna().all()


def test_medians_leave_out_what_failed() -> None:
    data = made()
    for row in data["rows"]:
        if (row["cell"], row["arm"], row["repeat"]) == (CENTRE, "whole", 0):
            row.update(success=False, error="no", total_time=None)
    table = medians(results(data).frame, ["total_time"])
    assert table.total_time[CENTRE, "whole"] == pytest.approx(6 * 1.015)
    assert results(data).value(CENTRE, "whole", "total_time") == pytest.approx(6 * 1.015)
    assert results(data).value(CENTRE, "nothing", "total_time") is None
    assert len(results(data).good(CENTRE, "whole")) == 2 and len(results(data).failed) == 1


def test_ratios_are_taken_within_a_repeat() -> None:
    frame = results(made()).frame
    series = ratios(frame, "splice", "current", "total_time")
    assert series[CENTRE].tolist() == pytest.approx([40, 40, 40])
    assert results(made()).ratio(CENTRE, "splice", "current", "total_time") == Measure(
        pytest.approx(40), pytest.approx(40), pytest.approx(40), 3
    )
    assert results(made()).ratio("nothing", "splice", "current", "total_time") is None


def test_slopes_are_those_of_the_rows() -> None:
    table = slopes(results(made()).frame)
    line = table.loc[("1440p", "100KB", "current")]
    assert line.slope == pytest.approx(11) and line.base == pytest.approx(50) and not line.flat
    assert (line.shortest, line.longest) == (30, 300) and line.r2 == pytest.approx(1)
    assert table.loc[("1440p", "100KB", "splice")].flat
    assert ("480p", "100KB", "current") not in table.index


def test_where_one_length_was_measured_the_slope_is_the_centres_scaled_by_pixels() -> None:
    some = results(made())
    cell = some.cell("480p/100/100KB")
    assert cell is not None
    assert some.slope(cell, "current").slope == pytest.approx(11 * 854 * 480 / (2560 * 1440))
    assert some.slope(cell, "nothing") is None


def test_axes_go_through_the_centre() -> None:
    some = results(made())
    assert some.centre.id == CENTRE
    assert [cell.frames for cell in some.along("frames")] == [30, 100, 300]
    assert [cell.payload for cell in some.along("payload")] == ["1KB", "100KB", "capacity"]
    assert [c.resolution for c in some.along("resolution")] == ["480p", "720p", "1080p", "1440p", "2160p"]


def test_without_a_centre_it_is_the_largest_cell_with_the_most_good_runs() -> None:
    data = made(["480p/100/1KB", "720p/100/1KB"])
    data["config"] |= {"centre": None, "layout": "product"}
    assert results(data).centre.id == "720p/100/1KB"
    failed = changed(data, "720p/100/1KB", "splice", success=False)
    assert results(failed).centre.id == "480p/100/1KB"


def test_units() -> None:
    assert [unit(name) for name in ("total_time", "decode_s", "growth_ratio", "memory_peak_mb")] == [
        "s",
        "s",
        "times",
        "MiB",
    ]


def test_no_rows_at_all() -> None:
    some = results({**made(), "rows": []})
    assert some.frame.empty and some.slopes.empty
    assert some.value(CENTRE, "splice", "total_time") is None
    assert "0 of 96 runs" in repr(some)


def test_the_lab_has_two_dozen_names_at_most_and_loads_none_before_it_is_used() -> None:
    assert len(lab.__all__) <= 24
    assert all(getattr(lab, name) is not None for name in lab.__all__)
    with pytest.raises(AttributeError, match="it has ARMS,"):
        _ = lab.nothing
