"""Who measured: machine, versions, commit."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

import av
import psutil

from vidstega.lab.schema import Machine, Stamp

_PACKAGES = (
    *("vidstega", "av", "numpy", "joblib", "cryptography", "memory-profiler", "psutil"),
    *("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
)
_PACKAGE = Path(__file__).parents[1]
_MEASURING = ("lab/arms/", "lab/runner/", "lab/covers/", "lab/quality.py")


def stamp() -> Stamp:
    """Machine, versions and commit."""
    ram = round(psutil.virtual_memory().total / (1 << 20))
    machine = Machine(cpu=_cpu_name(), cores=os.cpu_count() or 1, ram_mib=ram, os=platform.platform())
    return Stamp(machine=machine, versions=_versions(), commit=_commit(), code=code_digest())


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r"^model name\s*: *(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return found[1].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    libraries = ("libavcodec", "libavformat", "libswscale")
    return found | {name: ".".join(map(str, av.library_versions[name])) for name in libraries}


def _commit() -> str | None:
    """Of the code that measures, with "+changes" if it differs from that; None outside git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + "+changes" * bool(_git("status", "--porcelain", "--untracked-files=no", "--", "."))
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_PACKAGE), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def code_digest() -> str:
    """Of all code that is measured or measures; rows of other code are never mixed with these."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = path.relative_to(_PACKAGE).as_posix()
        core = not name.startswith(("lab/", "service/")) and name != "cli.py"
        if core or name.startswith(_MEASURING):
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def now() -> str:
    """Time of day in UTC, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
