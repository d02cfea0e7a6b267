"""Arms that carry nothing: what decoding and coding every frame takes, and what copying a file takes."""

from __future__ import annotations

import os
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np

import vidstega
from vidstega.carriers import get
from vidstega.carriers.base import Wish
from vidstega.clock import Clock
from vidstega.files import private_folder
from vidstega.lab.arms.base import MIB, Arm, Did, Different, Job
from vidstega.lab.arms.ours import estimate
from vidstega.media.mux import container_of
from vidstega.media.rewrite import piece_of, rewrite
from vidstega.media.scan import scan
from vidstega.pool import Pool, Work
from vidstega.progress import Progress


def floor(job: Job) -> Did:
    """What `whole` does, with nothing to carry and no check: its segments, its codec, its one thread."""
    clock, stego = Clock(), Path(job.stego)
    cover = scan(job.cover)
    clock.lap("probe")
    plan: Any = get("lsb").plan(cover, Wish(64, "all", container_of(stego)))
    clock.lap("plan")
    with private_folder(stego.parent) as folder:
        target = folder / stego.name
        pieces = [piece_of(cover, stretch.span) for stretch in plan.stretches]
        done = rewrite(
            cover, target, pieces, plan.recipe, Work(Pool(1), folder, Progress(False), digest=False)
        )
        target.replace(stego)
    why = "every frame decoded and coded again as in `whole`, nothing embedded"
    return Did({**clock.seconds, **done.seconds}, plan.frames, plan.frames, "limit", why)


def copy(job: Job) -> Did:
    """Every packet of every stream from one file into another."""
    clock, frames = Clock(), 0
    with av.open(job.cover) as source, av.open(job.stego, "w") as output:
        streams = {s.index: output.add_stream_from_template(s, opaque=True) for s in source.streams}
        video = source.streams.best("video")
        for packet in source.demux():
            if packet.size:
                frames += video is not None and packet.stream_index == video.index
                packet.stream = streams[packet.stream_index]
                output.mux_one(packet)
    with Path(job.stego).open("rb+") as file:
        os.fsync(file.fileno())
    clock.lap("mux")
    return Did(clock.seconds, frames, 0, "limit", "every packet copied")


def read_every_frame(job: Job) -> str:
    """Every plane of every frame is the cover's."""
    pairs = zip_longest(vidstega.frames(job.cover), vidstega.frames(job.stego))
    for number, (before, after) in enumerate(pairs):
        if before is None or after is None or not all(map(np.array_equal, before.planes, after.planes)):
            raise Different(f"frame {number} is not the cover's")
    return "every frame"


def read_every_packet(job: Job) -> str:
    """The packets of each stream are the cover's, byte for byte, and in their order."""
    from vidstega.lab.clip import packets

    before, after = (packets(path).groupby("stream").digest.agg(tuple) for path in (job.cover, job.stego))
    if not before.equals(after):
        raise Different("packets are not the cover's")
    return "packets"


FLOOR = Arm(
    name="floor",
    kind="limit",
    look={"color": "#000000", "marker": "_", "linestyle": ":"},
    hide=floor,
    read=read_every_frame,
    needs=lambda job: estimate(job, 0, method="lsb", spread="all"),
)
COPY = Arm(
    name="copy",
    kind="limit",
    look={"color": "#999999", "marker": "x", "linestyle": ":"},
    hide=copy,
    read=read_every_packet,
    needs=lambda job: (150 * MIB, 2 * Path(job.cover).stat().st_size),
)
