"""``users.json``, typed once: how many users at once a machine carried, and what it took."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from vidstega.lab.model import Model, field, figure, load_beside
from vidstega.lab.schema import Stamp

SCHEMA = "vidstega.users/2"
USERS = "users.json"
LIMIT_S = 30.0
"""Users are carried while 95 of 100 have their result so many seconds after they began to upload."""


class Level(Model):
    """What so many users at once got."""

    users: int = field("at once", "users")
    outcomes: dict[str, int] = field("how many were done, refused, failed, late or lost", "users")
    p50_s: float | None = figure("median time to a result", "s")
    p95_s: float | None = figure("95th percentile", "s")
    p99_s: float | None = figure("99th percentile", "s")
    wall_s: float = field("of the whole level", "s")
    per_minute: float = field("results", "1/min")
    peak_bytes: int = field("of the server with all its jobs, or of all processes", "bytes")
    read_back: int = field("results that a fresh reader found right", default=0)
    refusals: int = field("answers 429 and 503, those before a result included", default=0)
    core_s: float = field("core-seconds of server and jobs, clients left out", "s", default=0.0)
    client_core_s: float = field("core-seconds of the clients, which share the machine", "s", default=0.0)
    bytes_up: int = field("uploaded", "bytes", default=0)
    bytes_down: int = field("downloaded", "bytes", default=0)
    errors: tuple[str, ...] = field("at most five", default=())

    @property
    def carried(self) -> bool:
        """Whether all came through in time."""
        return set(self.outcomes) == {"done"} and self.p95_s is not None and self.p95_s <= LIMIT_S


class Measured(Level):
    """A level of an arm at a resolution."""

    arm: str = field("splice, or current: one process a user")
    resolution: str = field("as in the stress results")


class Carried(Model):
    """The most users that were carried, and why no more."""

    arm: str = field("which")
    resolution: str = field("where")
    users: int = field("at once", "users")
    ended: Literal["slow", "failed", "most", "seconds"] = field("too slow, failures, or a bound")

    @property
    def text(self) -> str:
        """The number, as far as it is known."""
        return f"{self.users}+" if self.ended in ("most", "seconds") else str(self.users)


class Work(Model):
    """What one job takes."""

    resolution: str = field("where")
    memory_bytes: int = field("predicted", "bytes")
    read_bytes: int = field("measured", "bytes")
    written_bytes: int = field("measured", "bytes")


class Crowd(Level):
    """Past capacity, with all limits in force."""

    resolution: str = field("where")
    queue: int = field("places to wait")
    tries: int = field("of each user")

    @property
    def lost(self) -> int:
        """Users with neither a result nor an honest refusal."""
        return self.users - sum(self.outcomes.get(name, 0) for name in ("done", "refused"))


class Bounds(Model):
    """Where measuring stopped."""

    users: int = field("never more", "users")
    seconds: float = field("for each resolution and arm", "s")
    level_s: float = field("a user gives up", "s")


class UsersFile(Model):
    """The whole file."""

    schema_: Literal["vidstega.users/2"] = Field(alias="schema", description="of the file")
    stamp: Stamp = field("who measured")
    created: str = field("UTC, ISO 8601")
    budget_bytes: int = field("memory for everything", "bytes")
    limit_s: float = field("within which users are carried", "s")
    workers: int = field("jobs at a time")
    frames: int = field("of the cover", "frames")
    payload_bytes: int = field("of each user", "bytes")
    bounds: Bounds = field("where measuring stopped")
    storage_mb_s: float = field("written and synced", "MB/s")
    jobs: tuple[Work, ...] = field("by resolution")
    carried: tuple[Carried, ...] = field("by arm and resolution")
    levels: tuple[Measured, ...] = field("all that were run")
    crowd: Crowd | None = field("past capacity, with limits in force", default=None)

    def most(self, arm: str, resolution: str) -> Carried | None:
        """The most users that an arm carried at a resolution."""
        wanted = (arm, resolution)
        return next((one for one in self.carried if (one.arm, one.resolution) == wanted), None)

    def of(self, arm: str, resolution: str) -> list[Measured]:
        """Levels of an arm at a resolution, fewest users first."""
        rows = [one for one in self.levels if (one.arm, one.resolution) == (arm, resolution)]
        return sorted(rows, key=lambda one: one.users)

    def top(self, arm: str, resolution: str) -> Measured | None:
        """The level with the most users that were carried."""
        most = self.most(arm, resolution)
        return next((one for one in self.of(arm, resolution) if most and one.users == most.users), None)

    def cost(self, resolution: str, below: float = math.inf) -> Cost | None:
        """What a job takes, by the largest level that was carried, or the largest of fewer users."""
        top = self.top("splice", resolution)
        rows = [one for one in self.of("splice", resolution) if top and one.users <= top.users]
        rows = [one for one in rows if one.users < below]
        job = next((one for one in self.jobs if one.resolution == resolution), None)
        return Cost.of(rows[-1], job, self.stamp.machine.cores) if rows and job else None


@dataclass(frozen=True)
class Cost:
    """What one job takes, measured at so many users at once; a service does not pay for its clients.

    Seconds are of a core, `busy` is the share of the cores' time that was used, and what is stored travels
    as often as it is read and written.
    """

    users: int
    core_s: float
    client_core_s: float
    busy: float
    memory_bytes: int
    bytes_up: int
    bytes_down: int
    storage_bytes: int

    @classmethod
    def of(cls, level: Level, job: Work, cores: int) -> Cost:
        """The mean over a level's jobs."""
        done = max(1, level.outcomes.get("done", 0))
        up, down = level.bytes_up // done, level.bytes_down // done
        return cls(
            users=level.users,
            core_s=level.core_s / done,
            client_core_s=level.client_core_s / done,
            busy=(level.core_s + level.client_core_s) / (cores * level.wall_s),
            memory_bytes=job.memory_bytes,
            bytes_up=up,
            bytes_down=down,
            storage_bytes=up + job.read_bytes + job.written_bytes + down,
        )

    def per_minute(self, cores: int) -> float:
        """Results a minute of so many cores, clients on them as well."""
        return 60 * self.busy * cores / (self.core_s + self.client_core_s)


@dataclass(frozen=True)
class Need:
    """What it takes that so many users who come at once all have a result in time: a worker is a core.

    Rates are over the whole time. MB is 10^6 bytes.
    """

    users: int
    within_s: float
    workers: int
    memory_bytes: int
    upload_mb_s: float
    download_mb_s: float
    storage_mb_s: float


def need(users: int, cost: Cost, within_s: float = LIMIT_S) -> Need:
    """The capacity model: a worker is a core, and every rate is what must be moved within the time."""
    workers = max(1, math.ceil(users * cost.core_s / (within_s * cost.busy)))
    moved = (cost.bytes_up, cost.bytes_down, cost.storage_bytes)
    up, down, storage = (users * size / within_s / 1e6 for size in moved)
    return Need(users, within_s, workers, workers * cost.memory_bytes, up, down, storage)


def load_users(folder: str | os.PathLike[str]) -> UsersFile | None:
    """What was measured of users at once; None if nothing was, InputError in one line if it is torn."""
    return load_beside(UsersFile, Path(folder) / USERS, "experiments/users.py")
