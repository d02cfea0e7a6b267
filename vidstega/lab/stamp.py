"""Who measured: machine, versions, commit. What makes two results comparable, and what does not."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import av
import psutil

from vidstega.lab.measure import memory_metric

_PACKAGES = (
    "vidstega", "av", "numpy", "joblib", "cryptography", "opencv-python", "opencv-python-headless",
    "opencv-contrib-python", "memory-profiler", "psutil",
)  # fmt: skip
_PACKAGE = Path(__file__).parents[1]
_NOT_MEASURED = {"cli.py", "report.py", "plots.py", "users.py", "service"}


def stamp() -> dict[str, Any]:
    """Machine, versions and commit, ready for JSON."""
    return {"machine": machine(), "versions": versions(), "commit": commit(), "code": code_digest()}


def machine() -> dict[str, Any]:
    """CPU, cores, RAM and operating system."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "ram_mib": round(psutil.virtual_memory().total / (1 << 20)),
        "os": platform.platform(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """Python, the packages that matter, and FFmpeg's libraries as PyAV has them."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    libraries = {name: ".".join(map(str, parts)) for name, parts in av.library_versions.items()}
    return found | {name: libraries[name] for name in ("libavcodec", "libavformat", "libswscale")}


def commit() -> str | None:
    """Git commit of the code that measures, with "+changes" if it differs from that; None outside git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_PACKAGE), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def code_digest() -> str:
    """Of all code that is measured or measures; rows of other code are never mixed with these."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = path.relative_to(_PACKAGE).parts
        if not _NOT_MEASURED.intersection(parts):
            digest.update("/".join(parts).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def now() -> str:
    """Time of day in UTC, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def memory_note(interval_ms: int) -> dict[str, Any]:
    """How memory was measured."""
    return {
        "metric": memory_metric(),
        "unit": "MiB, sum over the process tree",
        "tool": f"memory_profiler {metadata.version('memory-profiler')}, sampled from another process",
        "least_interval_ms": interval_ms,
    }
