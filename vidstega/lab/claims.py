"""What the study published and what this project set itself, typed: ``data/claims.toml``."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal

from vidstega.lab.matrix import DATA, ArmName, read_toml
from vidstega.lab.model import Model, parse


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


@cache
def load_claims() -> Claims:
    """What the package ships."""
    path = DATA / "claims.toml"
    return parse(Claims, json.dumps(read_toml(path)), path.name)
