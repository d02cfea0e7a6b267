"""Jobs on disk: a row in SQLite and a folder for each. Whatever happens, both can be read again.

Keys are never in the database, whose log would keep them: a key is a file of its own in the job's folder,
readable by this user alone, and gone with the job's end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import sqlite3
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vidstega.errors import OutputError

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
_ID = re.compile(r"[A-Za-z0-9_-]{32}")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, operation TEXT NOT NULL,
    state TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL, attempts INTEGER NOT NULL,
    memory INTEGER NOT NULL, disk INTEGER NOT NULL, request TEXT NOT NULL, outcome TEXT NOT NULL)
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row. `request` is what the worker is told, `outcome` what came of it; `disk` is reserved bytes."""

    id: str
    operation: str
    memory: int
    disk: int
    request: dict[str, Any]
    state: str = QUEUED
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    attempts: int = 0
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in (DONE, FAILED)


_COLUMNS = tuple(f.name for f in fields(Job))


class Store:
    """The data folder of one server."""

    def __init__(self, data: Path) -> None:
        self._jobs = data / "jobs"
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._jobs.mkdir(mode=0o700, exist_ok=True)
            self._lock = (data / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (data / "jobs.sqlite").touch(mode=0o600)
        except BlockingIOError:
            raise OutputError(f"{data} is in use by another server; give another --data") from None
        except OSError as error:
            raise OutputError(f"{data} cannot be used: {error.strerror}") from None
        self._data = data
        self._db = sqlite3.connect(data / "jobs.sqlite", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        """Give the folder up."""
        self._db.close()
        self._lock.close()

    # -- rows

    def add(self, job: Job) -> None:
        """A new row."""
        row = _to_row(job)
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self._db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", list(row.values()))

    def update(self, job: Job, **changes: Any) -> Job:
        """Change a row, and give the job as it is now."""
        changed = replace(job, **changes)
        row = _to_row(changed)
        sets = ", ".join(f"{name} = ?" for name in row)
        self._db.execute(f"UPDATE jobs SET {sets} WHERE id = ?", [*row.values(), job.id])
        return changed

    def get(self, id: str) -> Job | None:
        """The job, or None if there is none of this id."""
        if not _ID.fullmatch(id):
            return None
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", [id]).fetchone()
        return None if row is None else _from_row(row)

    def list(self, *states: str) -> list[Job]:
        """Jobs in these states (all without), in the order they came."""
        marks = ", ".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        rows = self._db.execute(f"SELECT * FROM jobs {where} ORDER BY number", states)
        return [_from_row(row) for row in rows]

    def delete(self, job: Job) -> None:
        """The row and all its files."""
        self.drop_folder(job.id)
        self._db.execute("DELETE FROM jobs WHERE id = ?", [job.id])

    def disk_bytes(self) -> int:
        """Bytes reserved by all jobs."""
        return int(self._db.execute("SELECT coalesce(sum(disk), 0) FROM jobs").fetchone()[0])

    def free_bytes(self) -> int:
        """Bytes the disk has left."""
        return shutil.disk_usage(self._data).free

    # -- files

    def new_folder(self) -> str:
        """The id of a job to be, and its empty folder."""
        id = secrets.token_urlsafe(24)
        self.folder(id).mkdir(mode=0o700)
        return id

    def folder(self, id: str) -> Path:
        """Where a job's files are."""
        return self._jobs / id

    def drop_folder(self, id: str) -> None:
        """Remove all files of a job, or of an upload that never became one."""
        self.erase_key(id)
        shutil.rmtree(self.folder(id), ignore_errors=True)

    def write_key(self, id: str, key: bytes) -> None:
        """Keep a key while its job waits and runs."""
        file = os.open(self.folder(id) / "key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if os.write(file, key) != len(key):
                raise OSError(28, "No space left on device")
        finally:
            os.close(file)

    def erase_key(self, id: str) -> None:
        """Overwrite and remove a key file, if there is one."""
        path = self.folder(id) / "key"
        with contextlib.suppress(OSError):
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()

    def keep_only(self, id: str, name: str | None) -> None:
        """Remove a job's files but the one of this name, the key first."""
        self.erase_key(id)
        for path in self.folder(id).glob("*"):
            if path.name != name:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """After a crash: remove folders without a row, and what ended jobs left beside their results."""
        jobs = {job.id: job for job in self.list()}
        for folder in self._jobs.iterdir():
            job = jobs.get(folder.name)
            if job is None:
                self.drop_folder(folder.name)
            elif job.finished:
                self.keep_only(job.id, job.outcome.get("file"))


def _to_row(job: Job) -> dict[str, Any]:
    return asdict(job) | {"request": json.dumps(job.request), "outcome": json.dumps(job.outcome)}


def _from_row(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in _COLUMNS}
    return Job(**values | {name: json.loads(values[name]) for name in ("request", "outcome")})
