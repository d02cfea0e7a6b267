"""A video file from outside, by PyAV alone: its packets."""

from __future__ import annotations

import hashlib
import os
from itertools import pairwise
from typing import Any

import av


def packets(path: str | os.PathLike[str]) -> Any:
    """All packets of a file as a DataFrame, in the file's order: stream, video, time, size, key, digest.

    `video` says whether a packet belongs to the stream with the pictures, `time` is in seconds.
    """
    import pandas

    rows = []
    with av.open(str(path)) as source:
        best = source.streams.best("video")
        for packet in source.demux():
            if packet.size:
                at = None if packet.pts is None or packet.time_base is None else packet.pts * packet.time_base
                pictures = best is not None and packet.stream_index == best.index
                digest = hashlib.blake2b(bytes(packet), digest_size=16).hexdigest()
                time = None if at is None else float(at)
                rows.append((packet.stream_index, pictures, time, packet.size, packet.is_keyframe, digest))
    return pandas.DataFrame(rows, columns=["stream", "video", "time", "size", "key", "digest"])


def pictures(path: str | os.PathLike[str]) -> Any:
    """The video packets in order of display, a row a frame."""
    rows = packets(path)
    return rows[rows.video].sort_values("time", kind="stable", ignore_index=True)


def replaced(cover: str | os.PathLike[str], stego: str | os.PathLike[str]) -> Any:
    """Packets of the stego video in order of display, with `new` where the cover has no such packet."""
    before, after = pictures(cover), pictures(stego)
    return after.assign(new=~after.digest.isin(before.digest))


def gop_frames(path: str | os.PathLike[str]) -> int:
    """Frames between two key frames, at most."""
    rows = packets(path)
    rows = rows[rows.video].reset_index(drop=True)
    starts = [*rows.index[rows.key], len(rows)]
    return max((after - before for before, after in pairwise(starts)), default=0)
