"""What follows from the results: claims tested, goals judged, options weighed, by the rules in claims.toml.

A test looks at the results and returns a finding, or None where it asks for what was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vidstega.lab.claims import Check, Claim, Claims, Option, Study, load_claims
from vidstega.lab.results import Results
from vidstega.lab.schema import Planned
from vidstega.lab.text import plain, span, times
from vidstega.lab.users import UsersFile

OLD = "current"
"""The study's present system."""


@dataclass(frozen=True)
class Finding:
    """What was measured, and what that makes of a claim."""

    measured: str
    verdict: str
    holds: bool = True

    @property
    def marked(self) -> str:
        """The verdict, bold where it is against us or the claim."""
        return self.verdict if self.holds else f"**{self.verdict}**"


@dataclass(frozen=True)
class Case:
    """Everything that a verdict may look at."""

    results: Results
    users: UsersFile | None
    claims: Claims

    @property
    def arm(self) -> str | None:
        """vidstega's way: the first of the claims' that was measured."""
        measured = {row.arm for row in self.results.experiment.rows if row.success}
        return next((arm for arm in self.claims.default if arm in measured), None)

    @property
    def old(self) -> bool:
        """Whether the study's way was measured, too."""
        return any(row.success and row.arm == OLD for row in self.results.experiment.rows)

    @property
    def place(self) -> Planned:
        """Where options are weighed: the largest resolution of the study, or the centre."""
        found = self.cell("{0.resolution}/{0.frames}".format(self.claims.study[-1]))
        return found if found is not None and not self.results.own else self.results.centre

    def cell(self, name: str) -> Planned | None:
        """The cell of this name; of "1440p/100", the one with the centre's payload, or else another."""
        middle = self.results.centre
        if not name:
            return middle
        cells = [one for one in self.results.cells if one.id == name or one.id.rpartition("/")[0] == name]
        return min(cells, key=lambda one: one.payload != middle.payload, default=None)

    def value(self, cell: Planned | None, arm: str | None, column: str) -> float | None:
        """A median, or None."""
        return self.results.value(cell.id, arm, column) if cell and arm else None

    def study(self, cell: Planned) -> Study | None:
        """The study's row on this resolution."""
        return next((one for one in self.claims.study if one.resolution == cell.resolution), None)

    def carried(self, arm: str | None, resolution: str) -> str:
        """The most users at once, or nothing; your own videos were not given to users."""
        most = self.users and self.users.most(arm or "", resolution)
        return most.text if most and not self.results.own else ""

    def longest_s(self, cell: Planned | None, arm: str | None, limit_mib: float) -> float | None:
        """Seconds of video that stay below so much memory; infinite if memory does not grow."""
        peak = self.value(cell, arm, "memory_peak_mb")
        line = self.results.slope(cell, arm) if cell and arm else None
        if cell is None or peak is None or line is None:
            return None
        if line.flat:
            return math.inf if peak <= limit_mib else 0.0
        fps = self.results.experiment.covers[cell.cover].fps
        return float(max(0.0, (cell.frames + (limit_mib - peak) / line.slope) / fps))


def make_case(results: Results, users: UsersFile | None = None) -> Case:
    """Results beside the claims that the package ships."""
    return Case(results, users, load_claims())


def verdict(results: Results, users: UsersFile | None = None) -> dict[str, Finding]:
    """What became of each of the study's statements that these results can be held against."""
    case = make_case(results, users)
    return {claim.said: found for claim in case.claims.claims if (found := judge(case, claim)) is not None}


def judge(case: Case, check: Check) -> Finding | None:
    """The finding of a check's test; None if it asks for what was not measured."""
    return TESTS[check.test](case, check)


# -- tests ----------------------------------------------------------------------------------------------


def _near(case: Case, check: Check) -> Finding | None:
    value = case.value(case.cell(check.cell), check.arm, check.column)
    if value is None:
        return None
    text, near = _figure(case, check, value), case.claims.rules.near
    if abs(value - check.value) <= near * check.value:
        return Finding(text, "holds")
    if value < check.value:
        return Finding(text, f"{plain(check.value / value)} times too high", False)
    return Finding(text, f"{plain(value / check.value)} times too low", False)


def _figure(case: Case, check: Check, value: float) -> str:
    text = f"{plain(value)} {check.unit}".rstrip()
    whole = case.value(case.cell(check.cell), check.arm, check.also) if check.also else None
    return text if whole is None else f"{text}, {plain(whole)} with imports"


def _bottleneck(case: Case, check: Check) -> Finding | None:
    cell = case.cell(check.cell)
    names = {"embedding": "embed_time", "reading": "read_time", "writing": "write_time"}
    found = {name: case.value(cell, check.arm, column) for name, column in names.items()}
    total = case.value(cell, check.arm, "total_time")
    known = {name: value for name, value in found.items() if value is not None}
    if total is None or not known:
        return None
    rest = ", ".join(f"{plain(known[name])} s {name}" for name in ("reading", "writing"))
    text = f"{plain(known['embedding'])} of {plain(total)} s; {rest}"
    worst = max(known, key=lambda name: known[name])
    return (
        Finding(text, "holds")
        if worst == "embedding"
        else Finding(text, f"does not hold: {worst} takes most", False)
    )


def _less(case: Case, check: Check) -> Finding | None:
    ratio = _ratio_of(case, check)
    if ratio is None:
        return None
    saved = 1 - 1 / ratio.mid
    text = f"{saved:.0%} less" if saved > 0 else f"{-saved:.0%} more"
    return Finding(text, *_degree(saved, check.value, check.value / 3))


def _faster(case: Case, check: Check) -> Finding | None:
    ratio = _ratio_of(case, check)
    if ratio is None:
        return None
    return Finding(times(ratio), *_degree(ratio.mid, check.value, case.claims.rules.helps))


def _degree(value: float, claimed: float, least: float) -> tuple[str, bool]:
    if value >= claimed:
        return "holds", True
    return ("partly", True) if value >= least else ("does not hold", False)


def _ratio_of(case: Case, check: Check) -> Any:
    cell = case.cell(check.cell)
    return cell and case.results.ratio(cell.id, check.arm, check.against, check.column)


def _at_most(case: Case, check: Check) -> Finding | None:
    value = case.value(case.cell(check.cell), check.arm, check.column)
    if value is None:
        return None
    return _reached(_figure(case, check, value), value <= check.value)


def _reached(text: str, holds: bool) -> Finding:
    return Finding(text, "reached" if holds else "not reached", holds)


def _longest(case: Case, check: Check) -> Finding | None:
    limit = case.claims.thresholds.critical_mb
    found = case.longest_s(case.cell(check.cell), check.arm, limit)
    return None if found is None else _reached(f"{span(found)} below {limit:,.0f} MiB", found >= check.value)


def _users(case: Case, check: Check) -> tuple[int, str] | None:
    resolution = check.cell.partition("/")[0]
    most = case.users and case.users.most(check.arm, resolution)
    return (most.users, most.text) if most and not case.results.own else None


def _users_near(case: Case, check: Check) -> Finding | None:
    found = _users(case, check)
    if found is None:
        return None
    near = abs(found[0] - check.value) <= max(1.0, case.claims.rules.near * check.value)
    return Finding(found[1], "holds" if near else "does not hold", near)


def _users_at_least(case: Case, check: Check) -> Finding | None:
    found = _users(case, check)
    return None if found is None else _reached(found[1], found[0] >= check.value)


def _crowd(case: Case, check: Check) -> Finding | None:
    one = case.users and case.users.crowd
    if not one or not case.users or case.results.own:
        return None
    text = f"{one.users} at once at {one.resolution}: {one.lost} lost, {one.refusals} answers 429 or 503"
    whole = one.read_back == one.outcomes.get("done", 0) and one.peak_bytes <= case.users.budget_bytes
    holds = whole and not one.lost
    return Finding(text, "holds" if holds else "does not hold", holds)


def _ratio(case: Case, check: Check) -> Finding | None:
    ratio = _ratio_of(case, check)
    return None if ratio is None else _reached(times(ratio), ratio.mid >= check.value)


def _bound(case: Case, check: Check) -> Finding | None:
    """Whether it takes no longer than decoding one group of pictures and copying the file twice."""
    cell = case.cell(check.cell)
    took = case.value(cell, check.arm, check.column)
    decode, copy = case.value(cell, "floor", "decode_s"), case.value(cell, "copy", "total_time")
    if cell is None or took is None or decode is None or copy is None:
        return None
    gop = case.results.experiment.covers[cell.cover].gop_frames
    bound = decode / cell.frames * gop + 2 * copy
    return _reached(f"{plain(took)} s against {plain(bound)} s", took <= bound)


def _flat(case: Case, check: Check) -> Finding | None:
    cell = case.cell(check.cell)
    key = (cell.resolution, cell.payload, check.arm) if cell else None
    if key not in case.results.slopes.index:
        return None
    line = case.results.slopes.loc[key]
    over = f"over {line.shortest:.0f} to {line.longest:.0f} frames"
    return _reached(f"{per_hundred(line.slope)} {over}", bool(line.flat))


def per_hundred(slope: float) -> str:
    """MiB a frame as MiB per 100 frames."""
    return f"{round(100 * slope, 1) + 0.0:+,.1f} MiB per 100 frames"


TESTS: Mapping[str, Callable[[Case, Check], Finding | None]] = {
    "near": _near,
    "bottleneck": _bottleneck,
    "less": _less,
    "faster": _faster,
    "at_most": _at_most,
    "longest": _longest,
    "users_near": _users_near,
    "users_at_least": _users_at_least,
    "crowd": _crowd,
    "ratio": _ratio,
    "bound": _bound,
    "flat": _flat,
}


# -- what to do -----------------------------------------------------------------------------------------


def enough(case: Case, arm: str | None) -> tuple[bool | None, str]:
    """Whether an arm meets the rule for going on with it, and the figures of that; None if unmeasured."""
    place, limits, rules = case.place, case.claims.thresholds, case.claims.rules
    memory, time = (case.value(place, arm, name) for name in ("memory_peak_mb", "total_time"))
    longest = case.longest_s(place, arm, limits.critical_mb)
    if memory is None or time is None or longest is None:
        return None, ""
    grades = limits.memory_grade(memory), limits.time_grade(time)
    long = longest >= rules.longest_video_s
    checks = [grades[0] == "safe", grades[1] in ("excellent", "good"), long]
    figures = [
        f"{plain(memory)} MiB is {grades[0]}",
        f"{plain(time)} s is {grades[1]}",
        f"videos of {span(longest)}",
    ]
    most = case.users and case.users.most(arm or "", place.resolution)
    if most and not case.results.own:
        checks.append(most.users >= rules.users)
        figures.append(f"{most.text} users")
    return all(checks), ", ".join(figures)


def full_scale(case: Case) -> tuple[bool | None, str]:
    """Whether one machine is too little for the users of the study's last phase."""
    rules = case.claims.rules
    most = case.users and case.users.most(case.arm or "", rules.full_scale_resolution)
    if not most or case.results.own:
        return None, ""
    asked = f"{rules.full_scale_users} are asked for"
    text = f"one machine carries {most.text} at {rules.full_scale_resolution}, {asked}"
    return most.users < rules.full_scale_users, text


@dataclass(frozen=True)
class Choice:
    """One of the study's ways on: whether its question is answered with yes."""

    option: Option
    answer: bool
    figures: str


def choices(case: Case) -> list[Choice]:
    """The ways on about which something was measured."""
    found = (enough(case, OLD), enough(case, case.arm), full_scale(case))
    pairs = zip(case.claims.options, found, strict=True)
    return [Choice(option, answer, figures) for option, (answer, figures) in pairs if answer is not None]


def recommended(case: Case) -> Choice | None:
    """Nothing, if the old way is enough; else quick wins, if vidstega is; else full scale."""
    by_name = {one.option.name: one for one in choices(case)}
    for name in ("do nothing", "quick wins"):
        if name in by_name and by_name[name].answer:
            return by_name[name]
    if "quick wins" not in by_name:
        return None
    return Choice(case.claims.options[-1], True, by_name["quick wins"].figures)


def worth_workers(case: Case, arm: str) -> tuple[float, bool] | None:
    """Efficiency of a parallel arm at the centre, and whether its workers are worth it."""
    found = case.value(case.results.centre, arm, "efficiency")
    return None if found is None else (found, found >= case.claims.rules.worth_a_worker)


def fixes(case: Case) -> dict[str, tuple[Claim, Finding]]:
    """The study's fixes that were measured, by the arm that does them."""
    found = {claim: judge(case, claim) for claim in case.claims.claims if claim.topic == "fix"}
    return {claim.arm: (claim, one) for claim, one in found.items() if one is not None}
