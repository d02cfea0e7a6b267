"""Arms that carry nothing: what decoding and coding every frame takes, and what copying a file takes."""

from __future__ import annotations

import os
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

from vidstega.lab.arms.base import MIB, Arm, Clock, Did, Different, Job, Task


def floor(job: Job) -> Did:
    """What `whole` does, with nothing to carry and no check: its segments, its codec, its one thread."""
    from vidstega.carriers import get
    from vidstega.carriers.base import Wish
    from vidstega.media.mux import container_of
    from vidstega.media.rewrite import piece_of, rewrite
    from vidstega.media.scan import scan as scan_file
    from vidstega.pool import Pool, Work
    from vidstega.progress import Progress

    clock, stego = Clock(), Path(job.stego)
    scan = scan_file(job.cover)
    clock.lap("probe")
    plan: Any = get("lsb").plan(scan, Wish(64, "all", container_of(stego)))
    clock.lap("plan")
    with tempfile.TemporaryDirectory(prefix=".floor-", dir=stego.parent) as folder:
        target = Path(folder) / f"floor{stego.suffix}"
        pieces = [piece_of(scan, stretch.span) for stretch in plan.stretches]
        work = Work(Pool(1), Path(folder), Progress(False), digest=False)
        done = rewrite(scan, target, pieces, plan.recipe, work)
        target.replace(stego)
    why = "every frame decoded and coded again as in `whole`, nothing embedded"
    return Did({**clock.seconds, **done.seconds}, plan.frames, plan.frames, "limit", why)


def copy(job: Job) -> Did:
    """Every packet of every stream from one file into another."""
    import av

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
    import numpy as np

    import vidstega

    pairs = zip_longest(vidstega.frames(job.cover), vidstega.frames(job.stego))
    for number, (before, after) in enumerate(pairs):
        if before is None or after is None or not all(map(np.array_equal, before.planes, after.planes)):
            raise Different(f"frame {number} is not the cover's")
    return "every frame"


def read_every_packet(job: Job) -> str:
    """The packets of each stream are the cover's, byte for byte, and in their order."""
    from vidstega.lab.clip import packets

    before, after = packets(job.cover), packets(job.stego)
    for stream in sorted({*before.stream, *after.stream}):
        digests = [list(one.digest[one.stream == stream]) for one in (before, after)]
        if digests[0] != digests[1]:
            raise Different(f"packets of stream {stream} are not the cover's")
    return "packets"


def _needs_floor(task: Task) -> tuple[float, float]:
    import vidstega

    try:
        told = vidstega.estimate(task.cover, 0, method="lsb", spread="all")
    except vidstega.VidstegaError:
        return 0.0, 0.0
    return told.memory_bytes, told.disk_bytes


FLOOR = Arm(
    name="floor",
    kind="limit",
    about="decode and code again losslessly with the codec, segments and thread of `whole`",
    hide=floor,
    read=read_every_frame,
    needs=_needs_floor,
    look={"color": "#000000", "marker": "_", "linestyle": ":"},
    guess_s=2.0,
    modules=("vidstega",),
)
COPY = Arm(
    name="copy",
    kind="limit",
    about="copy every packet: no tool that writes a video can be faster",
    hide=copy,
    read=read_every_packet,
    needs=lambda task: (150 * MIB, 2 * task.bytes),
    look={"color": "#999999", "marker": "x", "linestyle": ":"},
    guess_s=0.1,
    modules=("av", "vidstega"),
)
