"""Progress of long work: a bar on a terminal or in a notebook, a callback, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

Report = Callable[[str, int, int], None]
"""Called with the stage's name, what is done of it and what there is in all."""

T = TypeVar("T")


class Progress:
    """Where progress goes: None shows bars where there is a terminal, a bool forces, a callable is told."""

    def __init__(self, to: bool | Report | None = None) -> None:
        self._report = to if callable(to) else None
        self._disable = None if to is None else not to or callable(to)

    @contextmanager
    def stage(self, name: str, total: int, unit: str = "frame") -> Iterator[Callable[[int], None]]:
        """Give a function that is called with how much more is done."""
        done = 0
        with self._bar(total=total, desc=name, unit=unit, leave=False) as bar:

            def advance(more: int) -> None:
                nonlocal done
                done += more
                if bar is not None:
                    bar.update(more)
                if self._report is not None:
                    self._report(name, min(done, total), total)

            yield advance

    def _bar(self, **options: Any) -> AbstractContextManager[Any]:
        if self._disable:
            return nullcontext()
        from tqdm.auto import tqdm  # takes a while to import, which is spared where nobody looks

        bar: AbstractContextManager[Any] = tqdm(disable=self._disable, **options)
        return bar

    def over(self, items: Iterable[T], name: str, total: int) -> Iterator[T]:
        """The items, each counted when it is asked for."""
        with self.stage(name, total) as advance:
            for item in items:
                advance(1)
                yield item
