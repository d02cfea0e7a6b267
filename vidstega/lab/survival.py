"""What survives what: messages hidden in several ways, sent through channels, read back."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Literal

import pandas as pd
from pydantic import Field

import vidstega
from vidstega import carriers, channels
from vidstega.carriers import Carrier
from vidstega.errors import CapacityError, UnsupportedError
from vidstega.lab.model import Model, field, figure, load_beside
from vidstega.lab.schema import Stamp
from vidstega.lab.stamp import now, stamp
from vidstega.pool import Pool
from vidstega.progress import Progress, Report
from vidstega.results import EmbedResult

SURVIVAL = "survival.json"
_SCHEMA: Literal["vidstega.survival/1"] = "vidstega.survival/1"


class Survived(Model):
    """One way to hide in one channel."""

    way: str = field("method and what was asked of it")
    payload_bytes: int = field("of each message, random", "bytes")
    channel: str = field("as in `vidstega.channels`")
    tried: int = field("keys; 0 if the message was refused", "keys")
    exact: int = field("of them that gave the message back", "keys")
    psnr_db: float | None = figure("luma PSNR of what was added, where the method tells, median", "dB")
    margin: float | None = figure("information over what is needed, where the method tells, median")
    growth_bytes: float | None = figure("of the file, median", "bytes")


class SurvivalFile(Model):
    """The whole file."""

    schema_: Literal["vidstega.survival/1"] = Field(alias="schema", description="of the file")
    stamp: Stamp = field("who measured")
    created: str = field("UTC, ISO 8601")
    cover: str = field("size, rate and length of the cover")
    rows: tuple[Survived, ...] = field("a way and a channel each")

    @property
    def ways(self) -> list[tuple[str, int]]:
        """Ways and bytes of payload, in their order."""
        return list(dict.fromkeys((row.way, row.payload_bytes) for row in self.rows))

    @property
    def alike(self) -> dict[str, list[Survived]]:
        """What came back, a row a way, by the names of the channels it was the same for."""
        groups: dict[tuple[tuple[int, int], ...], list[str]] = {}
        for name in dict.fromkeys(row.channel for row in self.rows):
            groups.setdefault(tuple((row.tried, row.exact) for row in self._of(name)), []).append(name)
        return {", ".join(names): self._of(names[0]) for names in groups.values()}

    def _of(self, channel: str) -> list[Survived]:
        return [row for row in self.rows if row.channel == channel]

    @property
    def frame(self) -> pd.DataFrame:
        """A row a way and channel."""
        return pd.DataFrame([row.model_dump() for row in self.rows])


def measure_survival(
    cover: str | os.PathLike[str],
    ways: Sequence[tuple[str | Carrier, int]],
    *,
    through: str | Sequence[str] | None = None,
    keys: int = 1,
    n_jobs: int = 1,
    progress: bool | Report | None = None,
) -> SurvivalFile:
    """Hide messages in a cover, send them through channels, and count those that come back.

    Parameters
    ----------
    cover : path of a video, best of ten seconds or more
    ways : method and bytes of payload each, such as ``(Robust(psnr_db=48), 256)``
    through : names of channels, all by default
    keys : how often each way is tried, each time with another key and message
    n_jobs : workers, of the kind that joblib was told of; one takes a way and a key
    """
    names = [channel.name for channel in channels.chosen(through)]
    info = vidstega.probe(cover)
    calls = [
        (_try, os.fspath(cover), how, size, names, number) for how, size in ways for number in range(keys)
    ]
    tried = Pool(n_jobs).counted(calls, Progress(progress), "survive", "key")
    rows: list[Survived] = []
    for how, size in ways:
        rows += _counted(how, size, names, [one for one in islice(tried, keys) if one is not None])
    told = f"{info.width}x{info.height}, {info.frames} frames, {info.duration_s:.1f} s"
    return SurvivalFile(schema=_SCHEMA, stamp=stamp(), created=now(), cover=told, rows=tuple(rows))


def _try(
    cover: str, how: str | Carrier, size: int, names: list[str], number: int
) -> tuple[EmbedResult, set[str]] | None:
    """A message under a key of its own, and the channels it came back from; None if it was refused."""
    key, payload = f"key {number}", random.Random(f"{size} {number}").randbytes(size)
    with tempfile.TemporaryDirectory(prefix="survival-") as folder:
        stego = Path(folder) / f"stego{Path(cover).suffix}"
        try:
            done = vidstega.embed(cover, stego, payload, key=key, method=how, progress=False)
        except (CapacityError, UnsupportedError):
            return None
        told = vidstega.survive(stego, key=key, method=how, through=names, progress=False)
    return done, {row.channel for row in told.rows if row.exact}


def _counted(
    how: str | Carrier, size: int, names: list[str], tried: Sequence[tuple[EmbedResult, set[str]]]
) -> Iterator[Survived]:
    done = [result for result, _ in tried]
    for name in names:
        yield Survived(
            way=_name(how),
            payload_bytes=size,
            channel=name,
            tried=len(done),
            exact=sum(name in exact for _, exact in tried),
            psnr_db=_middle(done, "psnr_db"),
            margin=_middle(done, "margin"),
            growth_bytes=median(one.bytes_after - one.bytes_before for one in done) if done else None,
        )


def _name(how: str | Carrier) -> str:
    carrier = carriers.get(how)
    asked, usual = getattr(carrier, "psnr_db", None), getattr(carrier, "survive", "")
    return f"{carrier.method}, {asked:g} dB" if asked else f"{carrier.method}, {usual}".rstrip(", ")


def _middle(done: Sequence[EmbedResult], name: str) -> float | None:
    found = [one.measured[name] for one in done if name in one.measured]
    return median(found) if found else None


def load_survival(folder: str | os.PathLike[str]) -> SurvivalFile | None:
    """What was measured; None if nothing was, InputError in one line if it is torn."""
    return load_beside(SurvivalFile, Path(folder) / SURVIVAL, "experiments/survival.py")
