"""The one exception by which the service says no."""

from __future__ import annotations


class Refused(Exception):
    """An answer other than the one that was asked for: a status, one sentence, and when to try again."""

    def __init__(self, status: int, text: str, *, limit: str = "", retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.limit, self.retry_after = status, text, limit, retry_after
