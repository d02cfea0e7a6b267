"""What of a message comes back after a video was coded again, tried channel by channel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidstega import channels, files
from vidstega.carriers import How
from vidstega.engine import extract
from vidstega.errors import PayloadError
from vidstega.progress import Progress, Report


@dataclass(frozen=True)
class Survived:
    """One channel that was tried.

    Parameters
    ----------
    exact : whether the payload came back as it is in the stego
    bytes : size of the video after the channel
    command : what does the same with the `ffmpeg` program
    """

    channel: str
    exact: bool
    bytes: int
    command: str


@dataclass(frozen=True, repr=False)
class Survival:
    """What a stego survives, a row a channel."""

    stego: Path
    payload_bytes: int
    rows: tuple[Survived, ...]

    def __repr__(self) -> str:
        lines = [
            f"{row.channel:<12}{'exact' if row.exact else 'lost':<8}{row.bytes:>14,}" for row in self.rows
        ]
        return "\n".join([f"{self.stego}: {self.payload_bytes:,} bytes of payload", *lines])


def survive(
    stego: str | os.PathLike[str],
    *,
    key: str | bytes,
    method: How | None = None,
    through: str | Sequence[str] | None = None,
    progress: bool | Report | None = None,
) -> Survival:
    """Send a stego through channels and try to read it after each.

    Parameters
    ----------
    stego : path of a video that carries
    key, method : as for `extract`
    through : names of channels, all by default (see `vidstega.channels`)

    Raises
    ------
    PayloadError
        If nothing can be read before any channel.
    """
    tried = channels.chosen(through)
    source = files.video_at(stego)
    payload, rows = extract(source, key=key, method=method, progress=False), []
    with files.private_folder(None) as folder:
        for channel in Progress(progress).over(tried, "survive", len(tried)):
            there = folder / f"{channel.name}.mkv"
            channel.run(source, there)
            exact = _comes_back(there, payload, key, method)
            rows.append(
                Survived(channel.name, exact, there.stat().st_size, channel.command(source, "OUT.mkv"))
            )
            there.unlink()
    return Survival(source, len(payload), tuple(rows))


def _comes_back(path: Path, payload: bytes, key: str | bytes, method: How | None) -> bool:
    try:
        return extract(path, key=key, method=method, progress=False) == payload
    except PayloadError:
        return False
