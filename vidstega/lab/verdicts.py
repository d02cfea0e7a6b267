"""What follows from the results: claims, goals and options judged by the rows of ``data/claims.toml``.

A check may ask for a column of `Results.frame` or one of `Case.value`'s own; it has no finding where it asks
for what was not measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from vidstega.lab.matrix import DATA, ArmName, read_toml
from vidstega.lab.model import Model, parse
from vidstega.lab.results import Results
from vidstega.lab.schema import Planned
from vidstega.lab.text import plain, span, times
from vidstega.lab.users import UsersFile

OLD = "current"
"""The study's present system."""


# -- what the study published and what this project set itself --------------------------------------------


class Rules(Model):
    """By these verdicts are given; the file says what each means."""

    near: float
    helps: float
    worth_a_worker: float
    full_scale_users: tuple[int, ...]
    full_scale_resolution: str
    link_mb_s: float


class Study(Model):
    """A row of the study's resolution support matrix."""

    resolution: str
    frames: int
    memory_mb: float
    time_s: float
    users: str
    status: str


class Check(Model):
    """A figure and what it is set against; the file says how."""

    column: str
    rule: Literal["near", "helps", "at_least", "at_most"]
    value: float = 0.0
    least: float | None = None
    limit: str = ""
    cell: str = ""
    arm: ArmName | None = None
    against: ArmName | None = None
    words: tuple[str, str] = ("reached", "not reached")
    shows: str = "{ratio}"
    said: str = ""
    figure: str = ""
    topic: str = ""
    optional: bool = False


class Option(Model):
    """A way on, what the study says it costs, and when it is the one to take."""

    name: str
    cost: str
    question: str
    checks: tuple[Check, ...]


class Claims(Model):
    """All of the file."""

    source: str
    default: tuple[ArmName, ...]
    memory: dict[str, float]
    rules: Rules
    study: tuple[Study, ...]
    claims: tuple[Check, ...]
    goals: tuple[Check, ...]
    options: tuple[Option, ...]

    @property
    def critical_mb(self) -> float:
        """From here on memory is critical."""
        return max(self.memory.values())

    def grade(self, mb: float) -> str:
        """The study's word for so much memory."""
        return next((word for word, below in self.memory.items() if mb < below), "critical")


# -- what became of it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What was measured, and what that makes of a check."""

    check: Check
    measured: str
    verdict: str
    holds: bool

    @property
    def marked(self) -> str:
        """The verdict, bold where it is against us or the claim."""
        return self.verdict if self.holds else f"**{self.verdict}**"


@dataclass(frozen=True)
class Choice:
    """One of the study's ways on: whether its question is answered with yes."""

    option: Option
    answer: bool
    figures: str


@dataclass(frozen=True)
class Case:
    """Everything that a verdict may look at."""

    results: Results
    users: UsersFile | None = None

    @cached_property
    def claims(self) -> Claims:
        """What the package ships."""
        path = DATA / "claims.toml"
        return parse(Claims, json.dumps(read_toml(path)), path.name)

    @property
    def arm(self) -> str | None:
        """vidstega's way: the first of the claims' that was measured."""
        return next((arm for arm in self.claims.default if arm in self._measured), None)

    @property
    def old(self) -> bool:
        """Whether the study's way was measured, too."""
        return OLD in self._measured

    @property
    def studied(self) -> bool:
        """Whether the study tells of any of these resolutions."""
        return any(self.study(cell) for cell in self.results.along("resolution"))

    @property
    def _measured(self) -> set[str]:
        return {row.arm for row in self.results.experiment.rows if row.success}

    @property
    def place(self) -> Planned:
        """Where options are weighed: the largest resolution of the study, or the centre."""
        found = self.cell("{0.resolution}/{0.frames}".format(self.claims.study[-1]))
        return found if found is not None and not self.results.own else self.results.centre

    def cell(self, name: str) -> Planned | None:
        """The cell of this name; of "1440p/100", the one with the centre's payload, or else another."""
        cells = [one for one in self.results.cells if name in (one.id, one.id.rpartition("/")[0])]
        return min(cells, key=lambda one: one.payload != self.results.centre.payload, default=None)

    def value(self, cell: Planned, arm: str | None, column: str) -> float | None:
        """A median, or what follows from more than a row: users, crowd_failed, longest_s, memory_rise."""
        if column == "crowd_failed":
            return self._crowd_failed()
        if arm is None:
            return None
        if column == "users":
            most = self.users and self.users.most(arm, cell.resolution)
            return most.users if most and not self.results.own else None
        if column == "longest_s":
            return self.longest_s(cell, arm, self.claims.critical_mb)
        if column == "memory_rise":
            line = self.results.slope(cell, arm)
            return None if line is None else float(line.rise)
        return self.results.value(cell.id, arm, column)

    def text(self, cell: Planned, arm: str | None, column: str) -> str:
        """The same as it is told; nothing if it was not measured."""
        value = self.value(cell, arm, column)
        if value is None:
            return ""
        if column == "users":
            most = self.users and self.users.most(arm or "", cell.resolution)
            return most.text if most else ""
        return span(value) if column == "longest_s" else plain(value)

    def study(self, cell: Planned) -> Study | None:
        """The study's row on this resolution."""
        return next((one for one in self.claims.study if one.resolution == cell.resolution), None)

    def longest_s(self, cell: Planned, arm: str, limit_mib: float) -> float | None:
        """Seconds of video that stay below so much memory; infinite if memory does not grow."""
        peak, line = self.value(cell, arm, "memory_peak_mb"), self.results.slope(cell, arm)
        if peak is None or line is None:
            return None
        if line.flat:
            return math.inf if peak <= limit_mib else 0.0
        fps = self.results.experiment.covers[cell.cover].fps
        return float(max(0.0, (cell.frames + (limit_mib - peak) / line.slope) / fps))

    def _crowd_failed(self) -> float | None:
        """Users past capacity who lost something, and one more if the server passed its budget."""
        if self.users is None or self.users.crowd is None or self.results.own:
            return None
        one = self.users.crowd
        unread = one.outcomes.get("done", 0) - one.read_back
        return one.lost + unread + (one.peak_bytes > self.users.budget_bytes)


def verdict(results: Results, users: UsersFile | None = None) -> dict[str, Finding]:
    """What became of each of the study's statements that these results can be held against."""
    case = Case(results, users)
    return {found.check.said: found for found in judge_all(case, case.claims.claims)}


def judge_all(case: Case, checks: Sequence[Check]) -> list[Finding]:
    """The findings of the checks that ask for what was measured."""
    return [found for check in checks if (found := judge(case, check))]


def judge(case: Case, check: Check, place: Planned | None = None) -> Finding | None:
    """The finding of a check, at a place if it names no cell; None if it was not measured."""
    cell = case.cell(check.cell) if check.cell else place or case.results.centre
    if cell is None:
        return None
    arm = check.arm or case.arm or ""
    ratio = case.results.ratio(cell.id, arm, check.against, check.column) if check.against else None
    value = (ratio and ratio.mid) if check.against else case.value(cell, arm, check.column)
    limit = case.value(cell, arm, check.limit) if check.limit else check.value
    if value is None or limit is None:
        return None
    crowd = case.users and case.users.crowd
    texts = _Texts(case=case, cell=cell, arm=arm, ratio=times(ratio), crowd=crowd)
    return Finding(check, check.shows.format_map(texts), *_ruled(check, value, limit, case.claims))


class _Texts(dict[str, Any]):
    """What a check's `shows` may name: any column, too."""

    def __missing__(self, column: str) -> str:
        return str(self["case"].text(self["cell"], self["arm"], column))


def _ruled(check: Check, value: float, limit: float, claims: Claims) -> tuple[str, bool]:
    """The words for a value beside its limit, and whether they are good ones."""
    if check.rule == "near":
        if abs(value - limit) <= claims.rules.near * limit:
            return "holds", True
        off = max(value, limit) / min(value, limit) if value else math.inf
        return f"{plain(off)} times too {'high' if value < limit else 'low'}", False
    if check.rule == "helps":
        helps = value >= (check.least or claims.rules.helps)
        return "holds" if value >= limit else "partly" if helps else "does not hold", helps
    holds = value >= limit if check.rule == "at_least" else value <= limit
    return check.words[not holds], holds


def choices(case: Case) -> list[Choice]:
    """The ways on about which everything that is not optional was measured."""
    found = []
    for option in case.claims.options:
        pairs = [(check, judge(case, check, case.place)) for check in option.checks]
        known = [one for _, one in pairs if one]
        if all(one or check.optional for check, one in pairs):
            figures = ", ".join(one.measured for one in known)
            found.append(Choice(option, all(one.holds for one in known), figures))
    return found


def recommended(case: Case) -> Choice | None:
    """The first way that is enough; full scale, if vidstega was measured and is not; None if it was not."""
    known = {one.option.name: one for one in choices(case)}
    first, second, last = case.claims.options
    for option in (first, second):
        if option.name in known and known[option.name].answer:
            return known[option.name]
    return Choice(last, True, known[second.name].figures) if second.name in known else None
