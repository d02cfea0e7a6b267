"""What a server is told when it starts."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from vidstega.errors import ParameterError
from vidstega.pool import cores

MIB = 1 << 20
SERVER_BYTES = 160 * MIB
"""Set aside for the server itself: its process, the template its workers are forked from, uploads."""
PROBE_BYTES = 64 * MIB
"""Set aside for each probe of an upload that may run at a time."""
MAX_KEY_BYTES = 4096
MAX_FIELD_BYTES = 64
_MOST_PORT = 65535

_UNITS = {"": 1, "K": 1 << 10, "M": MIB, "G": 1 << 30, "T": 1 << 40}


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of a server. Sizes are in bytes, times in seconds, rates in the words of `limits`.

    Parameters
    ----------
    data : folder for uploads, results and the job store; this server's alone
    memory_budget : most that the server and all its jobs may take together
    workers : jobs that run at a time, normally one a core
    scheduler : address of a Dask scheduler that runs the tasks of all jobs, over shared storage
    queue : jobs that may wait, those that are being uploaded included
    most_upload, most_payload : largest video and payload taken
    disk_quota : most that all jobs together may have on disk
    keep : how long a result can be fetched
    job_timeout, upload_timeout, idle_timeout : longest job, upload, and pause in an upload
    rate_embed, rate_extract, rate_work : per client; "" is no limit
    rate_address : per address over all API keys nobody vouched for, so that inventing keys gains little
    rate_storage : storage URL of `limits`
    api_keys : the keys that are known; others are refused. None lets clients name themselves
    trust_proxy : addresses of proxies whose X-Forwarded-For is believed
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    memory_budget: int = field(default_factory=_half_of_memory)
    workers: int = field(default_factory=cores)
    scheduler: str | None = None
    queue: int = 100
    most_upload: int = 2 << 30
    most_payload: int = 256 * MIB
    disk_quota: int = 20 << 30
    keep: float = 3600
    job_timeout: float = 900
    upload_timeout: float = 1800
    idle_timeout: float = 30
    probe_timeout: float = 60
    rate_embed: str = "5 per minute"
    rate_extract: str = "5 per minute"
    rate_work: str = "20 per minute; 100 per hour"
    rate_address: str = "300 per minute; 3000 per hour"
    rate_storage: str = "memory://"
    api_keys: frozenset[str] | None = field(default=None, repr=False)
    trust_proxy: str | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "queue", "most_upload", "most_payload", "disk_quota", "keep", "job_timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise ParameterError(f"{name}={getattr(self, name)} must be a number more than 0")
        if not 0 <= self.port <= _MOST_PORT:
            raise ParameterError(f"port={self.port} must be 1 to {_MOST_PORT}, or 0 for any free one")
        if not self.host:
            raise ParameterError("host='' is no address; give 127.0.0.1, or 0.0.0.0 for all there are")
        least = SERVER_BYTES + self.probes * PROBE_BYTES + 128 * MIB
        if self.memory_budget < least:
            raise ParameterError(
                f"a memory budget of {self.memory_budget / MIB:,.0f} MiB is too small for {self.workers} "
                f"workers; give {least / MIB:,.0f}M or more"
            )

    @property
    def probes(self) -> int:
        """Uploads that are looked into at a time."""
        return self.workers

    @property
    def job_memory(self) -> int:
        """Bytes of the budget that jobs may have."""
        return self.memory_budget - SERVER_BYTES - self.probes * PROBE_BYTES


def parse_size(text: str) -> int:
    """Bytes of "4G", "512M", "1.5GiB" or a plain number.

    Examples
    --------
    >>> parse_size("4G")
    4294967296
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ParameterError(f"{text!r} is no size; write it like 512M or 4G")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def read_api_keys(path: Path) -> frozenset[str]:
    """Known API keys, a line each; empty lines and # comments are skipped."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        raise ParameterError(f"the API keys in {path} cannot be read") from None
    keys = frozenset(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ParameterError(f"{path} holds no API key; write one a line")
    return keys
