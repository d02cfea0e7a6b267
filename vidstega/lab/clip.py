"""A video file from outside, by PyAV alone: its packets."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import av

Path = str | os.PathLike[str]


def packets(path: Path) -> Any:
    """All packets of a file as a DataFrame, in the file's order: stream, video, time, size, key, digest.

    `video` says whether a packet belongs to the stream with the pictures, `time` is in seconds.
    """
    import pandas

    rows = []
    with av.open(str(path)) as source:
        best = source.streams.best("video")
        for packet in source.demux():
            if packet.size:
                pts, base = packet.pts, packet.time_base
                time = None if pts is None or base is None else float(pts * base)
                pictures = best is not None and packet.stream_index == best.index
                digest = hashlib.blake2b(bytes(packet), digest_size=16).hexdigest()
                rows.append((packet.stream_index, pictures, time, packet.size, packet.is_keyframe, digest))
    return pandas.DataFrame(rows, columns=["stream", "video", "time", "size", "key", "digest"])


def pictures(path: Path) -> Any:
    """The video packets in order of display, a row a frame."""
    return packets(path).query("video").sort_values("time", kind="stable", ignore_index=True)


def replaced(cover: Path, stego: Path) -> Any:
    """Packets of the stego video in order of display, with `new` where the cover has no such packet."""
    before, after = pictures(cover), pictures(stego)
    return after.assign(new=~after.digest.isin(before.digest))


def gop_frames(path: Path) -> int:
    """Frames between two key frames, at most."""
    rows = packets(path).query("video")
    return int(rows.key.cumsum().value_counts().max()) if len(rows) else 0
