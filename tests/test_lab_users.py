"""The experiment on users: how a figure is found, what the report makes of it, and the model on paper."""

from __future__ import annotations

import copy
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
from lab_made import made, results
from test_lab_plots import fits
from test_lab_report import lines

from vidstega.errors import InputError
from vidstega.lab import plots, users
from vidstega.lab.report import render
from vidstega.lab.users import USERS, Level, UsersFile, load_users
from vidstega.lab.verdicts import Case, choices, verdict

MIB = 1 << 20


def make_level(count: int, p95: float, **changes: Any) -> Level:
    """So many users who all got their result, on two cores that were busy for nine tenths of the time."""
    values: dict[str, Any] = {
        "users": count,
        "outcomes": {"done": count},
        "p50_s": p95 / 2,
        "p95_s": p95,
        "p99_s": p95,
        "wall_s": p95,
        "per_minute": 60 * count / p95,
        "peak_bytes": 500 * MIB,
        "read_back": count,
        "core_s": 1.5 * p95,
        "client_core_s": 0.3 * p95,
        "bytes_up": 10**7 * count,
        "bytes_down": 3 * 10**7 * count,
    }
    return Level(**values | changes)


def failing(count: int) -> Level:
    nothing = dict.fromkeys(("p50_s", "p95_s", "p99_s"))
    how = {"outcomes": {"failed": count}, "wall_s": 1.0, "core_s": 1.0, "errors": ("out of memory",)}
    return make_level(count, 20, **how, **nothing)


@pytest.fixture
def measured() -> dict[str, Any]:
    """As experiments/users.py writes it: a second a job, so 60 are carried; `current` runs out of memory."""
    splice = [make_level(count, count / 2) for count in (1, 2, 4, 8, 16, 32, 60, 64)]
    current = [make_level(1, 20), failing(2)]
    place = {"resolution": "1440p"}
    stamp = {name: made()[name] for name in ("machine", "versions", "commit", "code")}
    crowd = make_level(100, 20, outcomes={"done": 90, "refused": 10}, read_back=90, refusals=47)
    data = {
        "schema": "vidstega.users/2",
        "stamp": stamp,
        "created": "2026-01-01T00:00:00+00:00",
        "budget_bytes": 4 << 30,
        "limit_s": 30.0,
        "workers": 2,
        "frames": 100,
        "payload_bytes": 1000,
        "storage_mb_s": 400.0,
        "bounds": {"users": 256, "seconds": 180, "level_s": 60},
        "jobs": [place | {"memory_bytes": 230 * MIB, "read_bytes": 12 * 10**7, "written_bytes": 3 * 10**7}],
        "carried": [
            place | {"arm": "splice", "users": 60, "ended": "slow"},
            place | {"arm": "current", "users": 1, "ended": "failed"},
        ],
        "levels": [place | {"arm": "splice"} | one.model_dump() for one in splice]
        + [place | {"arm": "current"} | one.model_dump() for one in current],
        "crowd": {"resolution": "480p", "queue": 64, "tries": 3} | crowd.model_dump(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(data))
    return plain


def parsed(data: dict[str, Any]) -> UsersFile:
    return UsersFile.model_validate_json(json.dumps(data))


@cache
def pages(text: str) -> tuple[str, ...]:
    return render(results(made()), UsersFile.model_validate_json(text) if text else None)


def told(data: dict[str, Any] | None) -> str:
    return pages(json.dumps(data) if data else "")[0]


def details(data: dict[str, Any]) -> str:
    return pages(json.dumps(data))[1]


# -- levels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [0, 1, 2, 3, 7, 19, 60, 131, 200])
def test_the_climb_finds_what_is_carried(capacity: int) -> None:
    tried: list[int] = []

    def run(count: int) -> Level:
        tried.append(count)
        return make_level(count, 30 * count / (capacity + 0.5))

    levels = users.climb(run, most=200, seconds=100)
    found = users.carried(levels)
    assert found <= capacity and capacity - found <= max(1, found // 10)
    assert len(tried) == len(set(tried)) <= 13 and max(tried) <= min(200, max(1, 2 * capacity))
    assert users.ended(levels, 200) == ("most" if capacity == 200 else "slow")


def test_the_climb_is_bounded_in_time_and_knows_failures() -> None:
    levels = users.climb(lambda count: make_level(count, 1), most=99, seconds=0)
    assert [one.users for one in levels] == [1] and users.ended(levels, 99) == "seconds"
    levels = users.climb(lambda n: failing(n) if n > 5 else make_level(n, 1), most=99, seconds=9)
    assert (users.carried(levels), users.ended(levels, 99)) == (5, "failed")


def test_late_is_not_carried() -> None:
    assert not make_level(3, 29, outcomes={"done": 2, "late": 1}).carried
    assert make_level(3, 30).carried and not make_level(3, 30.1).carried


def test_rows_are_json() -> None:
    assert json.loads(failing(2).model_dump_json())["p95_s"] is None
    assert users.summary(3, [], 1.0, []).p50_s is None


def test_processes_under_a_budget(tmp_path: Path) -> None:
    def short(user: int) -> list[str]:
        return [sys.executable, "-c", ""]

    def large(user: int) -> list[str]:
        return [sys.executable, "-c", "import time; data = bytearray(64 << 20); time.sleep(60)"]

    one = users.processes(short, 2, budget_bytes=1 << 30, seconds=30, cwd=tmp_path)
    assert one.outcomes == {"done": 2} and one.core_s > 0
    one = users.processes(large, 3, budget_bytes=100 * MIB, seconds=50, cwd=tmp_path)
    assert one.outcomes == {"failed": 3} and one.errors == ("out of memory",) and not one.carried
    assert one.peak_bytes > 100 * MIB


# -- the file --------------------------------------------------------------------------------------------


def test_the_file_is_checked_whole(measured: dict[str, Any], tmp_path: Path) -> None:
    assert load_users(tmp_path) is None
    (tmp_path / USERS).write_text(json.dumps(measured))
    assert load_users(tmp_path) == parsed(measured)
    for spoilt, says in (
        (json.dumps(measured)[:500], "is not JSON"),
        (json.dumps(measured | {"limit_s": float("nan")}), "limit_s = nan"),
        (json.dumps(measured | {"schema": "1"}), "schema = '1'; input should be 'vidstega.users/2'"),
    ):
        (tmp_path / USERS).write_text(spoilt)
        with pytest.raises(InputError, match=r"measure again with experiments/users\.py") as caught:
            load_users(tmp_path)
        assert says in str(caught.value) and "\n" not in str(caught.value)


# -- the report ------------------------------------------------------------------------------------------


def test_without_measurement_the_report_does_not_speak_of_users() -> None:
    text = told(None)
    assert "How many users" not in text and "users at once |" not in text
    assert "A larger run would add" in text and "how many users at once" in text


def test_users_stand_in_the_table_of_resolutions(measured: dict[str, Any]) -> None:
    text = told(measured)
    assert lines(text, "| 1440p | high risk", "| 2-3 / 1 / **60** |")
    assert "One machine carries 60 users at once instead of 1." in text
    assert lines(text, "| 1440p | 1 | 60 | 15.0 | 30.0 | 120 |")
    assert "Measured on another machine" not in text
    other = copy.deepcopy(measured)
    other["stamp"]["machine"] |= {"cpu": "another cpu"}
    assert "**Measured on another machine (another cpu).**" in told(other)


def test_users_are_told_with_what_ended_them(measured: dict[str, Any]) -> None:
    text = details(measured)
    assert lines(
        text, "| 1440p | `splice` | 60 | 64: p95 32.0 s | 15.0 | 30.0 | 30.0 | 120 | 500 |", "60 of 60"
    )
    assert lines(text, "| 1440p | `current` | 1 | 2: 2 failed (out of memory) |", "not here")
    assert "2 cores, commit abc" in text and "has 4 GiB" in text


def test_a_bound_is_not_a_limit(measured: dict[str, Any]) -> None:
    measured["carried"][0] |= {"users": 64, "ended": "most"}
    assert lines(details(measured), "| 1440p | `splice` | 64+ | nothing tried |")
    assert "one machine carries 64+ at 1440p, 50 are asked for" in told(measured)


def test_full_scale_follows_the_users(measured: dict[str, Any]) -> None:
    some = results(made())
    assert choices(Case(some, parsed(measured)))[-1].answer is False
    measured["carried"][0]["users"] = 32
    assert choices(Case(some, parsed(measured)))[-1].answer is True
    assert "full scale" not in [one.option.name for one in choices(Case(some))]


def test_past_capacity_is_judged(measured: dict[str, Any]) -> None:
    said = "rate limits keep the server up"
    some = results(made())
    assert verdict(some, parsed(measured))[said].holds
    assert "90 done, 10 refused, 0 lost. 47 answers were 429 or 503, 90 results were read back" in details(
        measured
    )
    for change in ({"outcomes": {"done": 99, "lost": 1}}, {"peak_bytes": 5 << 30}, {"read_back": 89}):
        worse = measured | {"crowd": measured["crowd"] | change}
        assert verdict(some, parsed(worse))[said].verdict == "does not hold"
    assert said not in verdict(some, parsed(measured | {"crowd": None}))


def test_the_capacity_model(measured: dict[str, Any]) -> None:
    """0.75 core-seconds a job on cores busy for 90 %: 36 jobs a worker in 30 s."""
    cost = parsed(measured).cost("1440p")
    assert cost is not None and cost.core_s == 0.75 and cost.busy == pytest.approx(0.9)
    assert [users.need(n, cost).workers for n in (1, 36, 50, 100)] == [1, 1, 2, 3]
    text = details(measured)
    assert lines(text, "| 1440p | 50 | 2 | 460 | 16.7 | 50.0 | 317 | storage | 79% |")
    assert lines(text, "| 1440p | 100 | 3 | 690 | 33.3 | 100 | 633 | storage | 158% |")
    assert lines(details(measured | {"storage_mb_s": 4000.0}), "| 1440p | 100 | 3 |", "| download | 80% |")
    assert "50 at 1440p need 2 cores and 460 MiB. 100 at 1440p need 3 cores and 690 MiB." in told(measured)


def test_the_model_is_checked_against_levels_it_was_not_made_from(measured: dict[str, Any]) -> None:
    (row,) = lines(details(measured), "| 1440p | 32 | 0.75 | 0.15 | 90% |")
    assert row.endswith("| 120 | 120 | 1.00 | 60 | 60 |")
    measured["levels"] = [one for one in measured["levels"] if one["users"] in (1, 2, 60)]
    assert len(lines(details(measured), "| 1440p | 2 | 0.75 |")) == 1
    few = [one for one in measured["levels"] if one["users"] == 60]
    assert "Checked:" not in details(measured | {"levels": few})


def test_what_lacks_in_the_file_is_not_in_the_report(measured: dict[str, Any]) -> None:
    assert "Capacity model" not in details(measured | {"jobs": []})
    assert not lines(details(measured | {"carried": []}), "64: p95")
    measured["carried"][0]["users"] = 0
    measured["levels"] = [one for one in measured["levels"] if one["users"] == 64]
    assert lines(details(measured), "| 1440p | `splice` | 0 | 64: p95 32.0 s |")


# -- the figure ------------------------------------------------------------------------------------------


def test_nothing_is_cut_off_and_axes_say_their_units(measured: dict[str, Any]) -> None:
    figure = plots.draw_users(parsed(measured))
    assert fits(figure)
    left, right = figure.axes
    assert re.search(r"\(.+\)", left.get_ylabel())
    assert re.search(r"\(.+\)", right.get_xlabel()) and "(s)" in right.get_ylabel()
    assert [bar.get_height() for bar in left.patches] == [60, 1]
    assert list(right.lines[0].get_ydata()) == [count / 2 for count in (1, 2, 4, 8, 16, 32, 60, 64)]
