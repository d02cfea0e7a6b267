"""Both sides of every claim about cost in one run, printed as ratios.

Each arm is a fresh process that imports first and is then measured from outside: seconds by its own clock,
memory as the peak PSS of its tree above the import baseline. Arms take turns, so that a noisy machine hits
all of them; a ratio is the median over the rounds. The plain arms below use PyAV alone and none of vidstega.

    python experiments/floor.py [--size 2560x1440] [--seconds 60] [--rounds 3] [--quick] [--out FILE.md]

With the defaults it takes some 25 minutes and 15 GB of disk, most of it for a ten-minute cover.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

KEY = "floor"
FPS = 30
Arm = dict[str, Any]


# -- the plain arms, in the worker ----------------------------------------------------------------------


LOSSLESS = {"preset": "ultrafast", "qp": "0", "x264-params": "keyint=60:min-keyint=60:bframes=0:threads=1"}


def plain_transcode(cover: str, out: str, options: dict[str, str] = LOSSLESS) -> None:
    """Decode, code by x264, copy the sound: what any tool must do at least, with one thread each."""
    import av

    with av.open(cover) as source, av.open(out, "w") as output:
        video = source.streams.video[0]
        video.thread_type, video.codec_context.thread_count = "NONE", 1
        coded = output.add_stream("libx264", rate=video.average_rate)
        context = coded.codec_context
        context.width, context.height, context.pix_fmt = video.width, video.height, video.pix_fmt
        context.time_base = coded.time_base = video.time_base
        context.thread_count = 1
        context.options = dict(options)
        copies = {s.index: output.add_stream_from_template(s) for s in source.streams.audio}
        for packet in source.demux():
            if packet.stream_index in copies:
                if packet.size:
                    packet.stream = copies[packet.stream_index]
                    output.mux(packet)
                continue
            for frame in packet.decode():
                frame.pict_type = 0
                output.mux(coded.encode(frame))
        output.mux(coded.encode(None))


def plain_decode(path: str, stop_s: float = math.inf) -> None:
    """Decode every frame, or those before `stop_s`, with one thread and drop it."""
    import av

    with av.open(path) as source:
        video = source.streams.video[0]
        video.thread_type, video.codec_context.thread_count = "NONE", 1
        for frame in source.decode(video):
            if frame.time >= stop_s:
                break


def plain_copy(cover: str, out: str) -> None:
    """Copy every packet."""
    import av

    with av.open(cover) as source, av.open(out, "w") as output:
        streams = {s.index: output.add_stream_from_template(s, opaque=True) for s in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    fd = os.open(out, os.O_RDWR)
    os.fsync(fd)
    os.close(fd)


def plain_write(out: str, size: int) -> None:
    """Write so many bytes and see them to the disk."""
    block = bytes(1 << 20)
    with Path(out).open("wb") as file:
        for _ in range(0, size, len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def gop_decode(cover: str, threads: int) -> None:
    """Decode the shortest group of pictures, as often as a plan for one frame would."""
    import numpy as np

    from vidstega.media.decode import decode_span
    from vidstega.media.scan import scan as scan_file
    from vidstega.media.source import IDR

    scan = scan_file(cover)
    keys = [*np.flatnonzero(scan.packets["flags"] & IDR).tolist(), len(scan.packets)]
    start, stop = min(pairwise(keys), key=lambda gop: gop[1] - gop[0])
    rows = scan.packets[start:stop]
    for _ in decode_span(scan.source, start, rows, np.sort(rows["pts"]), threads):
        pass


def carrying_decode(stego: str) -> None:
    """Decode the frames that carry and nothing else."""
    from vidstega import carriers
    from vidstega.media.decode import decode_span
    from vidstega.media.scan import scan as scan_file
    from vidstega.seal import Key

    scan = scan_file(stego)
    for stretch in carriers.get("lsb").locate(scan, Key(KEY)).stretches:
        span = stretch.span
        for _ in decode_span(scan.source, span.first, scan.packets[span.first : span.stop], span.pts):
            pass


def vidstega_embed(cover: str, out: str, size: int, **options: Any) -> Arm:
    """`vidstega.embed` of `size` random bytes."""
    import numpy as np

    import vidstega

    payload = np.random.default_rng([size, 0]).bytes(size)
    options = {"method": "lsb", "progress": False, **options}
    result = vidstega.embed(cover, out, payload, key=KEY, **options)
    return {"stages": result.seconds, "mode": result.mode, "carrying": result.carrying}


def vidstega_parts(cover: str, size: int, n_jobs: int) -> None:
    """The parts of `spread="all"` alone, each coded into a file of its own, without mux or check."""
    import io

    import numpy as np

    from vidstega import carriers, seal
    from vidstega.carriers.base import Wish
    from vidstega.carriers.samples.bands import Bands
    from vidstega.carriers.samples.layout import Layout
    from vidstega.carriers.samples.tasks import CarryIn
    from vidstega.media.rewrite import piece_of, write_piece
    from vidstega.media.scan import scan as scan_file
    from vidstega.pool import Pool

    scan, carrier = scan_file(cover), carriers.get("lsb")
    bands, keys = Bands(carrier.how, scan.size, scan.depth), seal.Key(KEY).at(bytes(16))
    data = io.BytesIO(np.random.default_rng([size, 0]).bytes(size))
    with tempfile.TemporaryDirectory(dir=Path(cover).parent) as folder:
        sealed = seal.seal(data, Path(folder) / "payload", keys)
        plan = carrier.plan(scan, Wish(sealed.stream_bytes, "all", "mp4"))
        layout = Layout("lsb", plan.frame_bytes, plan.runs, plan.carrying, sealed.stream_bytes)
        calls = []
        for stretch in plan.stretches:
            piece = piece_of(scan, stretch.span, CarryIn(bands, layout, sealed, stretch))
            calls.append((write_piece, piece, plan.recipe, Path(folder) / str(stretch.span.index)))
        for written in Pool(n_jobs).in_order(calls):
            written.path.unlink()


def vidstega_extract(stego: str, size: int, n_jobs: int = 1) -> None:
    """`vidstega.extract`, compared with what went in."""
    import numpy as np

    import vidstega

    if vidstega.extract(stego, key=KEY, n_jobs=n_jobs) != np.random.default_rng([size, 0]).bytes(size):
        raise AssertionError("another payload came back")


def work(arms: dict[str, Any]) -> None:
    """Answer jobs until the input ends."""
    import vidstega  # noqa: F401  what importing costs is no part of any arm

    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        started, cpu = time.perf_counter(), time.process_time()
        try:
            said = arms[job["arm"]](**job["arguments"]) or {}
            seconds = {"wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
            print(json.dumps({**said, **seconds}), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


# -- measuring ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """One arm, one round."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    said: Arm


def measure(arm: str, arguments: Arm, module: str = "experiments.floor") -> Taken:
    """Run an arm in a fresh process; what it writes is gone before."""
    from vidstega.lab.runner.process import Worker

    if "out" in arguments:
        Path(arguments["out"]).unlink(missing_ok=True)
    os.sync()
    with Worker(module, ["--worker"]) as worker:
        reply, seen = worker.run({"arm": arm, "arguments": arguments}, timeout_s=3600)
    return Taken(reply["wall_s"], reply["cpu_s"], seen["memory_increase_mb"], reply)


def rounds(
    arms: dict[str, tuple[str, Arm]], count: int, module: str = "experiments.floor"
) -> dict[str, list[Taken]]:
    """Every arm `count` times, taking turns."""
    taken: dict[str, list[Taken]] = {name: [] for name in arms}
    for _ in range(count):
        for name, (arm, arguments) in arms.items():
            taken[name].append(measure(arm, arguments, module))
    return taken


class Table:
    """Prints rows as they come and keeps them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def head(self, title: str) -> None:
        self.say(
            f"\n## {title}\n\n| what | measured | against | ratio (each round) | goal |"
            "\n|---|---|---|---|---|"
        )

    def ratio(self, what: str, ours: Iterable[float], theirs: Iterable[float], goal: str, unit: str) -> None:
        ours, theirs = list(ours), list(theirs)
        each = [a / b if b else float("inf") for a, b in zip(ours, theirs, strict=True)]
        spread = ", ".join(f"{r:.2f}" for r in each)
        self.say(
            f"| {what} | {median(ours):.2f} {unit} | {median(theirs):.2f} {unit} "
            f"| **{median(each):.2f}** ({spread}) | {goal} |"
        )


def walls(taken: list[Taken]) -> list[float]:
    return [one.wall_s for one in taken]


def peaks(taken: list[Taken]) -> list[float]:
    return [one.peak_mib for one in taken]


def frame_mib(size: tuple[int, int]) -> float:
    return size[0] * size[1] * 1.5 / 2**20


# -- the claims -----------------------------------------------------------------------------------------


def whole_against_floor(table: Table, folder: Path, size: tuple[int, int], frames: int, count: int) -> None:
    cover = make_cover(folder, size, frames)
    out = str(folder / "out.mp4")
    embed = {"cover": cover, "out": out, "size": 100_000, "spread": "all"}
    taken = rounds(
        {
            "floor": ("plain_transcode", {"cover": cover, "out": out}),
            "whole": ("vidstega_embed", {**embed, "verify": False}),
            "whole, verified": ("vidstega_embed", embed),
        },
        count,
    )
    vidstega_embed(cover, str(folder / "whole.mp4"), 100_000, spread="all", overwrite=True)
    decode = rounds({"decode": ("plain_decode", {"path": str(folder / "whole.mp4")})}, count)["decode"]
    floor = walls(taken["floor"])
    both = [a + b for a, b in zip(floor, walls(decode), strict=True)]
    table.head(f'spread="all", {frames} frames of {size[0]}x{size[1]}, one worker')
    table.ratio("embed, not verified / floor", walls(taken["whole"]), floor, "<= 1.10", "s")
    table.ratio("embed, verified / floor + decode", walls(taken["whole, verified"]), both, "<= 1.10", "s")
    allowed = [peak + 2 * frame_mib(size) for peak in peaks(taken["floor"])]
    table.ratio("peak memory / floor's + 2 frames", peaks(taken["whole"]), allowed, "<= 1.00", "MiB")
    table.ratio("peak memory / 105 MB", peaks(taken["whole"]), [100.1] * count, "<= 1.00, stretch", "MiB")


def splice_against_copy(table: Table, folder: Path, size: tuple[int, int], seconds: int, count: int) -> None:
    cover = make_cover(folder, size, seconds * FPS)
    long = repeat(cover, folder / "long.mp4", 10)
    out, longer = str(folder / "out.mp4"), str(folder / "out-long.mp4")
    names = {
        "copy": ("plain_copy", {"cover": cover, "out": out}),
        "1 KB": ("vidstega_embed", {"cover": cover, "out": out, "size": 1000}),
        "1 KB, 2 workers": ("vidstega_embed", {"cover": cover, "out": out, "size": 1000, "n_jobs": 2}),
        "gop": ("gop_decode", {"cover": cover, "threads": 1}),
        "1 MB": ("vidstega_embed", {"cover": cover, "out": out, "size": 1_000_000}),
        "long copy": ("plain_copy", {"cover": long, "out": longer}),
        "long 1 MB": ("vidstega_embed", {"cover": long, "out": longer, "size": 1_000_000}),
    }
    taken = rounds(names, count)
    transcode = (
        rounds({"transcode": ("plain_transcode", {"cover": cover, "out": out})}, 1)["transcode"] * count
    )
    table.head(f'spread="fewest", {seconds} s of {size[0]}x{size[1]}, a key frame every 2 s')
    copy, megabyte = walls(taken["copy"]), walls(taken["1 MB"])
    table.ratio("full lossless transcode / embed 1 MB", walls(transcode), megabyte, ">= 20", "s")
    table.ratio("embed 1 MB / stream copy", megabyte, copy, "", "s")
    bound = [g + 2 * c for g, c in zip(walls(taken["gop"]), copy, strict=True)]
    table.ratio("embed 1 KB / one GOP's decode + two copies", walls(taken["1 KB"]), bound, "<= 1.00", "s")
    table.ratio("the same, lead-in by 2 threads", walls(taken["1 KB, 2 workers"]), bound, "<= 1.00", "s")
    added = [a - b for a, b in zip(walls(taken["long 1 MB"]), megabyte, strict=True)]
    copying = [a - b for a, b in zip(walls(taken["long copy"]), copy, strict=True)]
    table.ratio(
        "time the other 9 minutes add / two copies of them", added, [2 * c for c in copying], "<= 1.00", "s"
    )
    table.ratio(
        "peak memory, 10 minutes / 1 minute", peaks(taken["long 1 MB"]), peaks(taken["1 MB"]), "1", "MiB"
    )
    Path(long).unlink()
    stego = str(folder / "stego.mp4")
    vidstega_embed(cover, stego, 5_000_000, overwrite=True)
    taken = rounds(
        {
            "decode": ("carrying_decode", {"stego": stego}),
            "extract": ("vidstega_extract", {"stego": stego, "size": 5_000_000}),
        },
        count,
    )
    table.ratio(
        "extract 5 MB / decoding what carries", walls(taken["extract"]), walls(taken["decode"]), "", "s"
    )


def memory_against_length(table: Table, folder: Path, size: tuple[int, int], count: int) -> None:
    table.head(f"memory against length, {size[0]}x{size[1]}")
    for spread in ("fewest", "all"):
        arms = {}
        for frames in (100, 1000):
            cover = make_cover(folder, size, frames)
            arguments = {"cover": cover, "out": str(folder / "out.mp4"), "size": 100_000, "spread": spread}
            arms[str(frames)] = ("vidstega_embed", arguments)
        taken = rounds(arms, count)
        table.ratio(
            f"peak, 1000 frames / 100, {spread}", peaks(taken["1000"]), peaks(taken["100"]), "1", "MiB"
        )


def scaling(table: Table, folder: Path, size: tuple[int, int], count: int) -> None:
    cover = make_cover(folder, size, 600, gop_s=1.0)
    arguments = {"cover": cover, "out": str(folder / "out.mp4"), "size": 100_000, "spread": "all"}
    arms: dict[str, tuple[str, Arm]] = {}
    for n in (1, 2):
        arms[f"parts {n}"] = ("vidstega_parts", {"cover": cover, "size": 100_000, "n_jobs": n})
        arms[f"embed {n}"] = ("vidstega_embed", {**arguments, "n_jobs": n})
    taken = rounds(arms, count)
    table.head(f"workers, 600 frames of {size[0]}x{size[1]} in 20 GOPs")
    table.ratio("the parts, 1 worker / 2", walls(taken["parts 1"]), walls(taken["parts 2"]), ">= 1.7", "s")
    table.ratio("end to end, verified, 1 / 2", walls(taken["embed 1"]), walls(taken["embed 2"]), "", "s")


def make_cover(folder: Path, size: tuple[int, int], frames: int, gop_s: float = 2.0) -> str:
    """A synthetic cover with sound, made once."""
    from vidstega.lab.covers import synth

    path = folder / f"cover-{size[0]}x{size[1]}-{frames}-{gop_s}.mp4"
    if not path.exists():
        synth.make_cover(path, width=size[0], height=size[1], frames=frames, fps=FPS, gop_s=gop_s)
    return str(path)


def repeat(cover: str, out: Path, times: int) -> str:
    """The cover several times over, its packets copied."""
    import av

    with av.open(cover) as first, av.open(str(out), "w") as output:
        streams = {s.index: output.add_stream_from_template(s, opaque=True) for s in first.streams}
        length = 0.1 + max(float((s.duration or 0) * (s.time_base or 0)) for s in first.streams)
        for turn in range(times):
            with av.open(cover) as source:
                for packet in source.demux():
                    if packet.size and packet.pts is not None and packet.dts is not None:
                        shift = round(turn * length / packet.time_base)
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = streams[packet.stream_index]
                        output.mux(packet)
    return str(out)


CLAIMS: dict[str, Callable[[Table, Path, tuple[int, int], int, int], None]] = {
    "whole": lambda table, folder, size, seconds, count: whole_against_floor(
        table, folder, size, min(300, seconds * FPS), count
    ),
    "splice": splice_against_copy,
    "memory": lambda table, folder, size, seconds, count: memory_against_length(table, folder, size, 1),
    "workers": lambda table, folder, size, seconds, count: scaling(table, folder, size, count),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--size", default="2560x1440")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="854x480, 20 s, one round")
    parser.add_argument("--claims", nargs="+", choices=CLAIMS, default=list(CLAIMS))
    parser.add_argument("--folder", type=Path, help="keep covers here for the next time")
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    arguments = parser.parse_args()
    if arguments.worker:
        work(globals())
        return
    size, seconds, count = arguments.size, arguments.seconds, arguments.rounds
    if arguments.quick:
        size, seconds, count = "854x480", 20, 1
    width, height = map(int, size.split("x"))
    table = Table()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for claim in arguments.claims:
            CLAIMS[claim](table, folder, (width, height), seconds, count)
    if arguments.out:
        arguments.out.write_text("\n".join(table.lines) + "\n")


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    main()
