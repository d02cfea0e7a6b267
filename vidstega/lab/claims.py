"""What the study published and what this project set itself, typed: ``data/claims.toml``."""

from __future__ import annotations

import json
from functools import cache

from vidstega.lab.matrix import DATA, ArmName, read_toml
from vidstega.lab.model import Model, parse


class Thresholds(Model):
    """By these the study grades: a word, and below which figure it holds."""

    memory: dict[str, float]
    time: dict[str, float]

    @property
    def critical_mb(self) -> float:
        """From here on memory is critical."""
        return max(self.memory.values())

    def memory_grade(self, mb: float) -> str:
        """The study's word for so much memory."""
        return next((word for word, below in self.memory.items() if mb < below), "critical")

    def time_grade(self, seconds: float) -> str:
        """The study's word for such a time."""
        return next((word for word, below in self.time.items() if seconds < below), "slow")


class Rules(Model):
    """By these verdicts are given; the file says what each means."""

    near: float
    helps: float
    worth_a_worker: float
    longest_video_s: float
    users: int
    full_scale_users: int
    full_scale_most: int
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
    """A test of `vidstega.lab.verdicts`: where, of which arm and column, with which value; `also` is told."""

    test: str
    cell: str = ""
    arm: ArmName = "splice"
    against: ArmName = "current"
    column: str = ""
    value: float = 0.0
    unit: str = ""
    also: str = ""


class Claim(Check):
    """What the study said, with its figure."""

    said: str
    figure: str
    topic: str = ""


class Goal(Check):
    """A figure that this project set itself."""

    name: str


class Option(Model):
    """A way on, and what the study says it costs."""

    name: str
    cost: str
    question: str


class Claims(Model):
    """All of the file."""

    source: str
    default: tuple[ArmName, ...]
    thresholds: Thresholds
    rules: Rules
    study: tuple[Study, ...]
    claims: tuple[Claim, ...]
    goals: tuple[Goal, ...]
    options: tuple[Option, ...]


@cache
def load_claims() -> Claims:
    """What the package ships."""
    path = DATA / "claims.toml"
    return parse(Claims, json.dumps(read_toml(path)), path.name)
