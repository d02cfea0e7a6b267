"""The tables of the one-screen report, each left out where nothing was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from vidstega.lab.arms import ARMS
from vidstega.lab.schema import Planned
from vidstega.lab.text import amount, bytes_, frames, markdown, plain
from vidstega.lab.users import need
from vidstega.lab.verdicts import OLD, Case, choices, judge_all, recommended

MOST_LINES = 8


def context(case: Case) -> dict[str, Any]:
    """What the template asks for besides the case itself."""
    results = case.results
    failed = sorted(results.failed, key=lambda row: (row.cell, row.arm, row.repeat))
    return {
        "support": markdown(list(_support(case))),
        "scaled": any(s.frames != cell.frames for cell in results.along("resolution") if (s := case.study(cell))),
        "studied": any(case.study(cell) for cell in results.along("resolution")),
        "claims": judge_all(case, case.claims.claims),
        "costs": markdown(list(_costs(case))),
        "users": markdown(list(_users(case))) if case.users and not results.own else "",
        "needs": list(_needs(case)),
        "choices": choices(case),
        "recommended": recommended(case),
        "first": _first(case),
        "failures": [
            *(f"{row.cell} `{row.arm}`: {_line(row.error or 'no message')}" for row in failed[:MOST_LINES]),
            *([f"and {len(failed) - MOST_LINES} more, see details.md"] if len(failed) > MOST_LINES else ()),
        ],
        "left_out": _left_out(case)[:MOST_LINES],
        "more": ", ".join(_more(case)),
    }


def _line(text: str) -> str:
    return " ".join(text.split())


def _support(case: Case) -> Iterable[dict[str, str]]:
    """A row a resolution: status, memory, time, users, growth, each claimed / old / ours."""
    cells = case.results.along("resolution")
    alike = len({cell.frames for cell in cells}) == 1
    what = amount(case.results.centre.payload)
    for resolution in dict.fromkeys(cell.resolution for cell in cells):
        group = [cell for cell in cells if cell.resolution == resolution]
        ids, study = {cell.id for cell in group}, case.study(group[0])
        failed = any(row.cell in ids and row.arm == case.arm for row in case.results.failed)
        ours = _median(case, group, case.arm, "memory_peak_mb")
        if ours is None and not failed and _median(case, group, OLD, "memory_peak_mb") is None:
            continue
        lengths = [cell.frames for cell in group]
        scale = median(lengths) / study.frames if study else 0
        status = case.claims.grade(ours) if ours is not None else "failed" if failed else ""
        words = [study.status if study else "", f"**{status}**" if status else ""]
        users = [case.text(group[0], arm, "users") for arm in (OLD, case.arm)]
        yield {
            (f"{frames(*lengths[:1])}, {what}" if alike else what): resolution,
            "videos": f"{len(group)} of {frames(min(lengths), max(lengths))}" if case.results.own else "",
            "status": " → ".join(filter(None, words)),
            "memory, MiB": _beside(case, group, "memory_peak_mb", study and study.memory_mb * scale),
            "time, s": _beside(case, group, "total_time", study and study.time_s * scale),
            "users at once": _slashed([study.users if study else "", users[0]], users[1]) if any(users) else "",
            "file grows": _beside(case, group, "growth_ratio", unit="x", claims=False),
        }


def _median(case: Case, cells: Sequence[Planned], arm: str | None, column: str) -> float | None:
    known = [value for cell in cells if (value := case.value(cell, arm, column)) is not None]
    return median(known) if known else None


def _beside(
    case: Case,
    cells: Sequence[Planned],
    column: str,
    claimed: float | None = None,
    unit: str = "",
    claims: bool = True,
) -> str:
    """Claimed / old / **ours**, where the table has them at all."""
    old, ours = (_median(case, cells, arm, column) for arm in (OLD, case.arm))
    studied = claims and any(case.study(cell) for cell in case.results.along("resolution"))
    values = [*([claimed] if studied else ()), *([old] if case.old else ())]
    return _slashed(
        ["" if value is None else f"{plain(value)}{unit}" for value in values],
        "" if ours is None else f"{plain(ours)}{unit}",
    )


def _slashed(others: Sequence[str], ours: str) -> str:
    return " / ".join([*(text or "-" for text in others), f"**{ours}**" if ours else "-"])


def _costs(case: Case) -> Iterable[dict[str, str]]:
    """Time, memory and growth of each of vidstega's ways, by payload; the physical limits below."""
    middle = case.results.centre
    cells = [cell for cell in case.results.along("payload") if cell.payload != "capacity"][:3]
    head, any_row = f"{middle.resolution}, {frames(middle.frames)}", False
    for arm in case.results.arms:
        row = {amount(cell.payload): _cost(case, cell, arm) for cell in cells}
        if ARMS[arm].kind == "vidstega" and not ARMS[arm].alone and any(row.values()):
            any_row = True
            noise = [case.value(cell, arm, "psnr_db") for cell in cells]
            yield {
                head: f"`{arm}` ({next(row.mode for c in cells for row in case.results.good(c.id, arm))})",
                **row,
                "PSNR of touched frames, dB": " / ".join(f"{db:.0f}" for db in noise if db is not None),
                "found by": "not measured yet",
            }
    limits = [case.text(middle, arm, "total_time") for arm in ("copy", "floor")]
    if any_row and all(limits):
        text = " / ".join(f"{limit} s" for limit in limits)
        yield {head: "physical limits: copy / decode and code", amount(middle.payload): text}


def _cost(case: Case, cell: Planned, arm: str) -> str:
    growth = case.value(cell, arm, "growth_bytes")
    time, memory = (case.text(cell, arm, name) for name in ("total_time", "memory_peak_mb"))
    return "" if growth is None else f"{time} s, {memory} MiB, {'+' * (growth >= 0)}{bytes_(growth)}"


def _users(case: Case) -> Iterable[dict[str, Any]]:
    assert case.users is not None
    for place in dict.fromkeys(one.resolution for one in case.users.carried):
        most = {arm: case.users.most(arm, place) for arm in (OLD, "splice")}
        top = case.users.top("splice", place)
        yield {
            "resolution": place,
            "present way": (one := most[OLD]) and one.text,
            "vidstega": (one := most["splice"]) and one.text,
            "median wait, s": top and top.p50_s,
            "95 % within, s": top and top.p95_s,
            "results a minute": top and top.per_minute,
        }


def _needs(case: Case) -> Iterable[Any]:
    cost = case.users and case.users.cost(case.claims.rules.full_scale_resolution)
    if case.users and cost:
        yield from (need(n, cost, case.users.limit_s) for n in case.claims.rules.full_scale_users)


def _first(case: Case) -> str:
    """The arm that is first to have a result that is known to be good, if there are several."""
    centre = case.results.centre
    arms = [arm for arm in case.results.arms if ARMS[arm].kind != "limit"]
    known = [(value, arm) for arm in arms if (value := case.value(centre, arm, "checked_s")) is not None]
    return min(known)[1] if len(known) > 1 else ""


def _left_out(case: Case) -> list[str]:
    """Arms by the reason for which they were left out."""
    reasons: dict[str, list[str]] = {}
    for one in sorted(case.results.skipped, key=lambda one: (one.cell, one.arm)):
        reasons.setdefault(one.reason, []).append(f"{one.cell} `{one.arm}`")
    rest = {reason: f" and {len(places) - 3} more" * (len(places) > 3) for reason, places in reasons.items()}
    return [f"{', '.join(places[:3])}{rest[reason]}: {reason}" for reason, places in reasons.items()]


def _more(case: Case) -> Iterable[str]:
    """What these results cannot say."""
    cells = case.results.cells
    if not case.old:
        yield "the study's present way beside it (the arms `current*`)"
    if case.results.slopes.empty:
        yield "memory against length"
    if len({cell.resolution for cell in cells}) < 3:
        yield "other resolutions"
    if len({cell.payload for cell in cells}) < 2:
        yield "other messages"
    if case.users is None and not case.results.own:
        yield "how many users at once (`experiments/users.py`)"
