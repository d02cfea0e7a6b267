"""What the one-screen report says: tables and figures, each left out where nothing was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from vidstega.lab.arms import ARMS, OURS
from vidstega.lab.results import Results
from vidstega.lab.schema import Planned
from vidstega.lab.text import Table, amount, bytes_, frames, plain
from vidstega.lab.users import need
from vidstega.lab.verdicts import (
    OLD,
    Case,
    Finding,
    choices,
    fixes,
    judge,
    recommended,
    worth_workers,
)

MOST_FAILURES = 8


def context(case: Case) -> dict[str, Any]:
    """Everything that the template asks for."""
    return {
        "headline": headline(case),
        "estimates": estimates(case),
        "support": support(case),
        "claims": claims(case),
        "costs": costs(case),
        "users": users(case),
        "choices": choices(case),
        "recommended": recommended(case),
        "advice": list(advice(case)),
        "failures": failures(case.results),
        "left_out": left_out(case.results),
        "more": ", ".join(more(case)),
        "flat": flat(case),
    }


# -- the verdict ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Headline:
    """The figures of the first sentence."""

    hidden: str
    where: str
    time: str
    memory: str
    old_time: str
    old_memory: str
    users: str
    old_users: str


def headline(case: Case) -> Headline | None:
    """At the place where options are weighed; None if nothing of ours succeeded there."""
    place, arm = case.place, case.arm
    time, memory = (case.value(place, arm, name) for name in ("total_time", "memory_peak_mb"))
    if time is None or memory is None:
        return None
    old = [case.value(place, OLD, name) for name in ("total_time", "memory_peak_mb")]
    first, second = (plain(value) for value in old)
    carried = [case.carried(name, place.resolution) for name in (arm, OLD)]
    where = f"{frames(place.frames)} of {place.resolution}"
    if case.results.own:
        where = f"{place.id.rpartition('/')[0]} ({where})"
    return Headline(amount(place.payload), where, plain(time), plain(memory), first, second, *carried)


def flat(case: Case) -> bool | None:
    """Whether memory grows with length, or None."""
    place, arm = case.place, case.arm
    line = case.results.slope(place, arm) if arm else None
    return None if line is None else bool(line.flat)


def estimates(case: Case) -> dict[str, Any]:
    """What became of the study's estimates and fixes."""
    by_topic: dict[str, Finding | None] = {"memory": None, "time": None}
    for claim in case.claims.claims:
        found = judge(case, claim) if claim.topic in ("memory", "time") else None
        if found is not None:
            by_topic[claim.topic] = found
    found_fixes = fixes(case).values()
    helping = [claim.said for claim, one in found_fixes if one.holds]
    return {**by_topic, "helping": helping, "useless": [c.said for c, one in found_fixes if not one.holds]}


# -- resolutions ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Support:
    """The table of resolutions, and what its cells hold."""

    table: Table
    legend: str


def support(case: Case) -> Support | None:
    """A row a resolution: status, memory, time, users, growth, each claimed / old / ours."""
    groups: dict[str, list[Planned]] = {}
    for cell in case.results.along("resolution"):
        groups.setdefault(cell.resolution, []).append(cell)
    groups = {name: cells for name, cells in groups.items() if _support_row(case, cells, False)}
    studied = any(case.study(cells[0]) for cells in groups.values())
    rows = [_support_row(case, cells, studied) for cells in groups.values()]
    if not rows:
        return None
    same = len({(cell.frames, cell.payload) for cells in groups.values() for cell in cells}) == 1
    middle = case.results.centre
    first = f"{frames(middle.frames)}, {amount(middle.payload)}" if same else amount(middle.payload)
    head = [first, "videos", "status", "memory, MiB", "time, s", "users at once", "file grows"]
    parts = [
        "claimed by the study" + ("" if _as_studied(case, groups.values()) else ", scaled to the length")
    ]
    parts = [*(parts if studied else ()), *(["the present way, measured"] if case.old else ())]
    return Support(Table(head, rows), " / ".join([*parts, "**vidstega**"]))


def _as_studied(case: Case, groups: Iterable[list[Planned]]) -> bool:
    pairs = [(cell, case.study(cell)) for cells in groups for cell in cells]
    return all(cell.frames == study.frames for cell, study in pairs if study)


def _support_row(case: Case, cells: list[Planned], studied: bool) -> list[str]:
    study, resolution, arm = case.study(cells[0]), cells[0].resolution, case.arm
    scale = median(cell.frames for cell in cells) / study.frames if study else 1.0

    def mid(name: str, column: str) -> float | None:
        known = [value for cell in cells if (value := case.value(cell, name, column)) is not None]
        return median(known) if known else None

    memory, time = (mid(arm or "", name) for name in ("memory_peak_mb", "total_time"))
    lengths = sorted({cell.frames for cell in cells})
    count = f"{len(cells)} of {frames(lengths[0], lengths[-1])}" if case.results.own else ""
    old, failed = mid(OLD, "memory_peak_mb"), _any_failed(case, cells)
    if memory is None and old is None and not failed:
        return []
    status = "failed" if memory is None and failed else ""
    status = case.claims.thresholds.memory_grade(memory) if memory is not None else status
    claimed = [study.memory_mb * scale, study.time_s * scale] if study else [None, None]
    return [
        resolution,
        count,
        " → ".join([*([study.status] if study else ()), *([f"**{status}**"] if status else ())]),
        _beside(case, studied, claimed[0], old, memory),
        _beside(case, studied, claimed[1], mid(OLD, "total_time"), time),
        _users_beside(case, study.users if study else "", resolution),
        _beside(case, False, None, mid(OLD, "growth_ratio"), mid(arm or "", "growth_ratio"), "x"),
    ]


def _any_failed(case: Case, cells: list[Planned]) -> bool:
    ids = {cell.id for cell in cells}
    return any(row.cell in ids and row.arm == case.arm for row in case.results.failed)


def _beside(
    case: Case, studied: bool, claimed: float | None, old: float | None, ours: float | None, unit: str = ""
) -> str:
    """Claimed / old / **ours**: a dash where others have a figure."""
    values = [*([claimed] if studied else ()), *([old] if case.old else ())]
    texts = [f"{plain(value)}{unit}" if value is not None else "-" for value in values]
    return " / ".join([*texts, f"**{plain(ours)}{unit}**" if ours is not None else "-"])


def _users_beside(case: Case, claimed: str, resolution: str) -> str:
    ours, old = (case.carried(name, resolution) for name in (case.arm, OLD))
    if not ours and not old:
        return ""
    return " / ".join([claimed or "-", old or "-", f"**{ours}**" if ours else "-"])


# -- claims, costs, users -------------------------------------------------------------------------------


def claims(case: Case) -> Table:
    """What the study said, what was measured, and whether it holds."""
    pairs = [(claim, judge(case, claim)) for claim in case.claims.claims]
    rows = [(claim.said, claim.figure, one.measured, one.marked) for claim, one in pairs if one]
    return Table(["it said", "its figure", "measured", "verdict"], rows)


def costs(case: Case) -> Table | None:
    """Time, memory and growth of each of vidstega's ways, by payload; the physical limits below."""
    cells = [one for one in case.results.along("payload") if one.payload != "capacity"][:3]
    arms = [arm for arm in OURS if arm in case.results.arms and not ARMS[arm].alone]
    rows = [_cost_row(case, arm, cells) for arm in arms]
    rows = [row for row in rows if any(row[1:-1])]
    limits = [case.value(case.results.centre, arm, "total_time") for arm in ("copy", "floor")]
    if rows and all(value is not None for value in limits):
        text = f"{plain(limits[0])} s / {plain(limits[1])} s"
        at = [text if cell is case.results.centre else "" for cell in cells]
        rows.append(["physical limits: copy / decode and code", *at, "", ""])
    middle = case.results.centre
    head = [f"{middle.resolution}, {frames(middle.frames)}", *(amount(cell.payload) for cell in cells)]
    return Table([*head, "PSNR of touched frames, dB", "found by"], rows) if rows else None


def _cost_row(case: Case, arm: str, cells: list[Planned]) -> list[str]:
    noise = [case.value(cell, arm, "psnr_db") for cell in cells]
    known = " / ".join(f"{value:.0f}" for value in noise if value is not None)
    mode = next((row.mode for cell in cells for row in case.results.good(cell.id, arm)), "")
    return [f"`{arm}` ({mode})", *(_cost(case, cell, arm) for cell in cells), known, "not measured yet"]


def _cost(case: Case, cell: Planned, arm: str) -> str:
    names = ("total_time", "memory_peak_mb", "growth_bytes")
    time, memory, growth = (case.value(cell, arm, name) for name in names)
    if time is None or memory is None or growth is None:
        return ""
    return f"{plain(time)} s, {plain(memory)} MiB, {'+' if growth >= 0 else ''}{bytes_(growth)}"


def users(case: Case) -> dict[str, Any] | None:
    """How many users at once; None if nobody was let in, or these are your own videos."""
    data = case.users
    if data is None or case.results.own:
        return None
    rows = []
    for place in dict.fromkeys(one.resolution for one in data.carried):
        top = data.top("splice", place)
        waits = [plain(top.p50_s), plain(top.p95_s), plain(top.per_minute)] if top else [""] * 3
        rows.append([place, case.carried(OLD, place), case.carried("splice", place), *waits])
    head = ["resolution", "present way", "vidstega", "median wait, s", "95 % within, s", "results a minute"]
    rules = case.claims.rules
    cost = data.cost(rules.full_scale_resolution)
    needs = [need(n, cost, data.limit_s) for n in (rules.full_scale_users, rules.full_scale_most) if cost]
    return {"table": Table(head, rows), "data": data, "needs": needs}


def advice(case: Case) -> Iterable[str]:
    """Which arm is first to have a checked result, and whether workers pay."""
    centre = case.results.centre
    arms = [arm for arm in case.results.arms if ARMS[arm].kind != "limit"]
    known = [(value, arm) for arm in arms if (value := case.value(centre, arm, "checked_s")) is not None]
    if len(known) > 1:
        best, arm = min(known)
        yield f"A result that is known to be good comes first from `{arm}`: {plain(best)} s at {centre.id}."
    for arm in case.results.arms:
        found = worth_workers(case, arm)
        if found is not None:
            workers = case.value(centre, arm, "workers") or 0
            word = "pay" if found[1] else "do not pay"
            yield f"{workers:.0f} workers of `{arm}` {word}: efficiency {found[0]:.2f}."


# -- what failed, what a larger run would add -----------------------------------------------------------


def failures(results: Results) -> list[str]:
    """One line each, the first few."""
    failed = sorted(results.failed, key=lambda row: (row.cell, row.arm, row.repeat))
    lines = [f"{row.cell} `{row.arm}`: {' '.join((row.error or 'no message').split())}" for row in failed]
    rest = len(lines) - MOST_FAILURES
    return [*lines[:MOST_FAILURES], *([f"and {rest} more, see details.md"] if rest > 0 else ())]


def left_out(results: Results) -> list[str]:
    """Arms by the reason for which they were left out."""
    reasons: dict[str, list[str]] = {}
    for one in sorted(results.skipped, key=lambda one: (one.cell, one.arm)):
        reasons.setdefault(one.reason, []).append(f"{one.cell} `{one.arm}`")
    lines = []
    for reason, places in reasons.items():
        rest = f" and {len(places) - 3} more" if len(places) > 3 else ""
        lines.append(f"{', '.join(places[:3])}{rest}: {reason}")
    return lines[:MOST_FAILURES]


def more(case: Case) -> Iterable[str]:
    """What these results cannot say."""
    results = case.results
    if not case.old:
        yield "the study's present way beside it (the arms `current*`)"
    if results.slopes.empty:
        yield "memory against length"
    if len({cell.resolution for cell in results.cells}) < 3:
        yield "other resolutions"
    if len({cell.payload for cell in results.cells}) < 2:
        yield "other messages"
    if case.users is None and not results.own:
        yield "how many users at once (`experiments/users.py`)"
