"""Every verdict follows the numbers, and what was not measured has none."""

from __future__ import annotations

import copy
import math
from string import Formatter
from typing import Any

import pytest

pytest.importorskip("pandas")
from lab_made import CENTRE, changed, made, results, without

from vidstega.lab.arms import ARMS
from vidstega.lab.results import DERIVED
from vidstega.lab.schema import Row
from vidstega.lab.verdicts import (
    Case,
    choices,
    judge,
    judge_all,
    recommended,
    verdict,
)

OF_THE_CASE = {"users", "crowd_failed", "longest_s", "memory_rise"}
"""Columns that `Case.value` knows besides those of the results."""


def case(data: dict[str, Any]) -> Case:
    return Case(results(data))


def goals(data: dict[str, Any]) -> list[bool | None]:
    one = case(data)
    found = [judge(one, goal) for goal in one.claims.goals]
    return [None if one is None else one.holds for one in found]


def test_every_claim_and_goal_asks_for_what_exists() -> None:
    claims = case(made()).claims
    known = {*Row.model_fields, *DERIVED, *OF_THE_CASE}
    for check in (*claims.claims, *claims.goals, *(one for way in claims.options for one in way.checks)):
        assert {check.arm or "splice", check.against or "current"} <= set(ARMS)
        assert {check.column, check.limit or check.column} <= known
        told = {name.partition(".")[0] for _, name, *_ in Formatter().parse(check.shows) if name}
        assert told <= known | {"crowd", "ratio"} and ("ratio" not in told or check.against)


def test_all_goals_are_reached_and_each_flips_with_its_figure() -> None:
    data = copy.deepcopy(made())
    for row in data["rows"]:
        if row["arm"] == "whole":
            row["memory_peak_mb"] = 150.0
    assert goals(data) == [True] * 12
    stages = {"probe": 0.0, "decode": 4.5}
    for cell, arm, values, which in (
        ("1440p/100/1KB", "splice", {"total_time": 2.1}, {0, 2, 3}),
        ("1440p/300/1KB", "splice", {"total_time": 2.6}, {1, 4, 5}),
        ("1440p/300/1KB", "splice", {"memory_peak_mb": 200.0}, {7}),
        ("1440p/100/1KB", "current", {"memory_peak_mb": 200.0}, {6}),
        (CENTRE, "whole", {"memory_peak_mb": 200.0}, {8}),
        (CENTRE, "whole", {"total_time": 4.5, "stages": stages}, {9}),
        ("1440p/300/100KB", "whole", {"memory_peak_mb": 190.0}, {10}),
        ("1440p/300/100KB", "splice", {"memory_peak_mb": 190.0}, {11}),
    ):
        found = goals(changed(data, cell, arm, **values))
        assert {k for k, holds in enumerate(found) if holds is False} == which, (cell, arm)


def test_what_was_not_asked_for_is_no_goal_and_no_claim() -> None:
    small = made(["480p/100/1KB", "720p/100/1KB"])
    small["config"] |= {"centre": None, "layout": "product"}
    assert goals(small) == [None] * 12
    said = verdict(results(small))
    assert set(said) == {
        "streaming in batches of 10 frames",
        "eight workers embed",
        "FFmpeg instead of OpenCV",
        "replacing only the frames needed",
    }
    assert not verdict(results(without(small, "current", "current+streaming", "current+parallel")))


def test_claims_are_tested_with_their_figures() -> None:
    said = verdict(results(made()))
    memory = said["whole videos in memory: 1440p"]
    assert memory.holds and memory.measured == "1,100 MiB for frames, 1,150 with imports"
    time = said["100 frames of 1440p take minutes"]
    assert not time.holds and time.verdict == "5.45 times too high" and time.marked.startswith("**")
    assert said["streaming in batches of 10 frames"].holds
    assert said["eight workers embed"].verdict == "does not hold"
    assert said["embedding in sequence is the bottleneck"].verdict == "does not hold: the codec is"
    assert said["target: memory at 1440p"].holds
    assert said["target: longest video at 1440p"].measured == "any length below 4,000 MiB"
    slow = changed(made(), CENTRE, "current", embed_time=19.0)
    assert verdict(results(slow))["embedding in sequence is the bottleneck"].holds
    large = changed(made(), CENTRE, "splice", memory_increase_mb=200.0)
    assert verdict(results(large))["target: memory at 1440p"].verdict == "not reached"
    more = changed(made(), CENTRE, "current+streaming", memory_peak_mb=900.0)
    assert verdict(results(more))["streaming in batches of 10 frames"].verdict == "does not hold"
    high = changed(made(), CENTRE, "current", memory_increase_mb=4000.0)
    assert verdict(results(high))["whole videos in memory: 1440p"].verdict == "3.99 times too low"


@pytest.mark.parametrize(
    ("mb", "word"), [(499, "safe"), (500, "monitor"), (2000, "high risk"), (4000, "critical")]
)
def test_memory_is_graded_by_the_published_thresholds(mb: float, word: str) -> None:
    assert case(made()).claims.grade(mb) == word


def test_what_is_recommended_follows_from_the_figures() -> None:
    found = recommended(case(made()))
    assert found is not None and found.option.name == "quick wins" and found.option.cost == "$500 to $1,000"
    light = copy.deepcopy(made())
    for row in light["rows"]:
        if row["arm"] == "current":
            row["memory_peak_mb"] = 90.0
    found = recommended(case(light))
    assert found is not None and found.option.name == "do nothing"
    slow = recommended(case(changed(made(), CENTRE, "splice", total_time=70.0)))
    assert slow is not None and slow.option.name == "full scale"
    assert recommended(case({**made(), "rows": []})) is None
    assert [one.option.name for one in choices(case(made()))] == ["do nothing", "quick wins"]


def test_without_lengths_nothing_is_recommended() -> None:
    short = made([CENTRE, "1440p/100/1KB"])
    assert recommended(case(short)) is None
    assert choices(case(short)) == []


def test_the_longest_video_follows_the_slope() -> None:
    one = case(made())
    cell, small = one.cell(CENTRE), one.cell("480p/100")
    assert cell is not None and small is not None
    assert one.longest_s(cell, "current", 4000) == pytest.approx((4000 - 50) / 11 / 30)
    assert one.longest_s(cell, "splice", 4000) == math.inf
    assert one.longest_s(cell, "splice", 100) == 0
    expected = (4000 - 50) / (11 * 854 * 480 / (2560 * 1440)) / 30
    assert one.longest_s(small, "current", 4000) == pytest.approx(expected)


def test_our_way_is_the_first_of_the_claims_that_was_measured() -> None:
    assert case(made()).arm == "splice" and case(made()).old
    assert case(without(made(), "splice")).arm == "whole"
    assert not case(without(made(), "current")).old
    rest = case(without(made(), "splice"))
    fixes = [one.check.arm for one in judge_all(rest, rest.claims.claims) if one.check.topic == "fix"]
    assert fixes == ["current+streaming", "current+parallel", "whole"]
