"""The tables of the one-screen report, each left out where nothing was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from statistics import median
from typing import Any

from vidstega.lab.arms import ARMS
from vidstega.lab.schema import Planned
from vidstega.lab.text import amount, frames, markdown, plain
from vidstega.lab.users import need
from vidstega.lab.verdicts import OLD, Case, choices, judge_all, recommended

MOST_LINES = 8


def context(case: Case) -> dict[str, Any]:
    """What the template asks for besides the case itself."""
    results, users = case.results, None if case.results.own else case.users
    failed = sorted(results.failed, key=lambda row: (row.cell, row.arm, row.repeat))
    lines = [f"{row.cell} `{row.arm}`: {' '.join((row.error or 'no message').split())}" for row in failed]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more, see details.md"]
    rules = case.claims.rules
    cost = users.cost(rules.full_scale_resolution) if users else None
    payloads = [cell for cell in results.along("payload") if cell.payload != "capacity"][:3]
    return {
        "support": markdown(list(_support(case))),
        "scaled": any(
            s.frames != cell.frames for cell in results.along("resolution") if (s := case.study(cell))
        ),
        "claims": judge_all(case, case.claims.claims),
        "payloads": payloads,
        "costed": _costed(case, payloads),
        "places": dict.fromkeys(one.resolution for one in users.carried) if users else (),
        "needs": [need(n, cost, users.limit_s) for n in rules.full_scale_users] if users and cost else [],
        "choices": choices(case),
        "recommended": recommended(case),
        "first": _first(case),
        "failures": lines,
        "left_out": _left_out(case)[:MOST_LINES],
        "more": ", ".join(_more(case)),
    }


def _support(case: Case) -> Iterable[dict[str, str]]:
    """A row a resolution: status, memory, time, users, growth, each claimed / old / **ours**."""
    cells, what = case.results.along("resolution"), amount(case.results.centre.payload)
    if len({cell.frames for cell in cells}) == 1:
        what = f"{frames(cells[0].frames)}, {what}"
    groups = {cell.resolution: [one for one in cells if one.resolution == cell.resolution] for cell in cells}
    for resolution, group in groups.items():
        ids, lengths = {cell.id for cell in group}, sorted(cell.frames for cell in group)
        failed = any(row.cell in ids and row.arm == case.arm for row in case.results.failed)
        ours, study = _median(case, group, case.arm, "memory_peak_mb"), case.study(group[0])
        if ours is None and not failed and _median(case, group, OLD, "memory_peak_mb") is None:
            continue
        status = case.claims.grade(ours) if ours is not None else "failed" if failed else ""
        told = partial(_told, case, group, scale=median(lengths) / study.frames if study else 1)
        old_users, users = (case.text(group[0], arm, "users") for arm in (OLD, case.arm))
        claimed = [study.users if study else "", old_users]
        yield {
            what: resolution,
            "videos": f"{len(group)} of {frames(lengths[0], lengths[-1])}" if case.results.own else "",
            "status": " → ".join(
                [*([study.status] if study else ()), *([f"**{status}**"] if status else ())]
            ),
            "memory, MiB": told("memory_peak_mb", study.memory_mb if study else None),
            "time, s": told("total_time", study.time_s if study else None),
            "users at once": _slashed(claimed, users) if old_users or users else "",
            "file grows": told("growth_ratio", unit="x"),
        }


def _median(case: Case, cells: Sequence[Planned], arm: str | None, column: str) -> float | None:
    known = [value for cell in cells if (value := case.value(cell, arm, column)) is not None]
    return median(known) if known else None


def _told(
    case: Case, cells: Any, column: str, claimed: float | None = None, *, unit: str = "", scale: float
) -> str:
    old, ours = (_median(case, cells, arm, column) for arm in (OLD, case.arm))
    others = [claimed and claimed * scale] if case.studied and not unit else []
    others += [old] if case.old else []
    first, last = [plain(value) + unit * (value is not None) for value in others], plain(ours)
    return _slashed(first, last and last + unit)


def _slashed(others: Sequence[str], ours: str) -> str:
    return " / ".join([*(text or "-" for text in others), f"**{ours}**" if ours else "-"])


def _costed(case: Case, cells: Sequence[Planned]) -> dict[str, str | None]:
    """Each of vidstega's ways that was measured at one of these cells, with its mode."""
    pairs = [(arm, row) for arm in case.results.arms for c in cells for row in case.results.good(c.id, arm)]
    return {arm: row.mode for arm, row in pairs if ARMS[arm].kind == "vidstega" and not ARMS[arm].alone}


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
