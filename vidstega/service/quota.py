"""Disk that may be used: what jobs have on it, and what uploads will."""

from __future__ import annotations

from vidstega.service.refused import Refused
from vidstega.service.settings import MIB
from vidstega.service.store import Store

_MARGIN_BYTES = 64 * MIB  # of the disk, never given away


class Quota:
    """The most bytes that all jobs and uploads may have together."""

    def __init__(self, most: int, store: Store) -> None:
        self._most, self._store = most, store
        self._uploads: dict[str, int] = {}

    def reserve(self, id: str, size: int, patience: int) -> None:
        """Set bytes aside for an upload; Refused, with `patience` seconds to wait, if there are none."""
        self.check(size, size - self._uploads.get(id, 0), patience)
        self._uploads[id] = size

    def release(self, id: str) -> None:
        """Forget an upload: it has ended, or is a job now."""
        self._uploads.pop(id, None)

    def check(self, size: int, more: int, patience: int) -> None:
        """Refused if something of `size` bytes, `more` of them new, does not fit."""
        if size > self._most:
            text = f"the upload is larger than the {self._most:,} bytes there are for all"
            raise Refused(413, text, limit="disk")
        if self.reserved_bytes() + more > self._most or more > self._store.free_bytes() - _MARGIN_BYTES:
            text = "the server's disk is full; try again when results have expired"
            raise Refused(503, text, limit="disk", retry_after=max(60, patience))

    def reserved_bytes(self) -> int:
        """Bytes of all jobs and uploads."""
        return self._store.disk_bytes() + sum(self._uploads.values())
