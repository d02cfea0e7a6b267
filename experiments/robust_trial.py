"""Try the core of `robust` on real clips: embed, code again, read with key and file alone.

python experiments/robust_trial.py CLIP --bytes 32 --db 56 --channels crf28,480p --keys 3
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidstega import channels
from vidstega.carriers.robust.grid import Picture, active_picture
from vidstega.carriers.robust.levels import LEVELS, Level, level_for, step_of
from vidstega.carriers.robust.read import Reader, Reading, grids
from vidstega.carriers.robust.write import Levels, Message, Segment
from vidstega.coding.ira import class_bytes, class_for
from vidstega.seal.short import TAG_BYTES, packed, seal, short_keys
from vidstega.video import planes


@dataclass
class Clip:
    path: Path

    def __post_init__(self) -> None:
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            self.size = stream.codec_context.width, stream.codec_context.height
            self.rate = stream.average_rate or Fraction(25)
            self.time_base = stream.time_base
            self.pix_fmt = stream.codec_context.pix_fmt
            self.depth = stream.codec_context.format.components[0].bits
            self.full = self.pix_fmt.startswith("yuvj") or stream.codec_context.color_range == 2
            self.aspect = float(stream.codec_context.sample_aspect_ratio or 1) or 1.0
        times = sorted(p.pts for p in self._packets() if p.pts is not None)
        self.times = [float((t - times[0]) * self.time_base) for t in times]
        self.frame_s = float(np.median(np.diff(self.times))) if len(times) > 1 else 0.04
        self.ends = [*self.times[1:], self.times[-1] + self.frame_s]
        self.duration_s = self.ends[-1]

    def _packets(self) -> Iterator[Any]:
        with av.open(str(self.path)) as container:
            packets = container.demux(container.streams.video[0])
            yield from (packet for packet in packets if packet.size and not packet.is_discard)

    def frames(self) -> Iterator[tuple[Any, float, float]]:
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            yield from zip(container.decode(stream), self.times, self.ends, strict=False)

    def picture(self) -> Picture:
        every = max(1, len(self.times) // 8)
        black = 16 << (self.depth - 8)
        return active_picture(
            (planes(f)[0].copy() for i, (f, _, _) in enumerate(self.frames()) if i % every == 0), black
        )


def encode(cover: Clip, out: Path, change: Any, crf: float = 17, preset: str = "medium") -> None:
    with av.open(str(out), "w") as container:
        stream: Any = container.add_stream("libx264", rate=cover.rate)
        stream.width, stream.height = cover.size
        stream.pix_fmt = cover.pix_fmt
        stream.time_base = stream.codec_context.time_base = cover.time_base
        stream.codec_context.thread_count = 1
        stream.options = {"crf": str(crf), "preset": preset}
        for frame, start, end in cover.frames():
            frame.make_writable()
            change(planes(frame)[0], start, end)
            frame.pict_type = 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def psnr(a: Clip, b: Clip) -> float:
    total, count = 0.0, 0
    for (x, *_), (y, *_) in zip(a.frames(), b.frames(), strict=False):
        p, q = planes(x)[0], planes(y)[0]
        total += float(np.square(p.astype(np.int32) - q).sum())
        count += p.size
    return float(10 * np.log10(((1 << a.depth) - 1) ** 2 * count / max(total, 1e-9)))


def embed(
    cover: Clip, out: Path, message: bytes, key: str, db: float, level: Level | None = None, **lossy: Any
) -> dict[str, Any]:
    keys = short_keys(key)
    size = class_bytes(class_for(TAG_BYTES + len(packed(message))))
    sealed = seal(keys, message, size)
    picture = cover.picture()
    level = level or level_for(size, picture, cover.duration_s, cover.frame_s)
    grid = level.grid(picture, cover.aspect)
    slot_s = level.slot_s(cover.frame_s)
    slots = int(np.ceil(cover.duration_s / slot_s - 1e-6))
    laid_out = Message(keys.carrier, level, grid.shape, sealed)
    levels = Levels(cover.depth, cover.full)
    segment = Segment(grid, laid_out, step_of(db), slot_s, range(slots), levels, more=False)
    t0 = time.perf_counter()
    for frame, start, end in cover.frames():
        segment.project(planes(frame)[0], start, end)
    t1 = time.perf_counter()
    squares, count, in_add = 0.0, 0, 0.0

    def change(plane: Any, start: float, end: float) -> None:
        nonlocal squares, count, in_add
        before = plane.copy()
        t = time.perf_counter()
        segment.add(plane, start, end)
        in_add += time.perf_counter() - t
        squares += float(np.square(plane.astype(np.int32) - before).sum())
        count += plane.size

    encode(cover, out, change, **lossy)
    top = (1 << cover.depth) - 1
    return {
        "level": str(level),
        "sealed": size,
        "psnr": float(10 * np.log10(top**2 * count / max(squares, 1e-9))),
        "project_s": t1 - t0,
        "add_s": in_add,
        "encode_s": time.perf_counter() - t1,
        "bytes": out.stat().st_size,
    }


def read(path: Path, key: str, deep: bool = False, whole: bool = True) -> tuple[Reading, float]:
    keys = short_keys(key)
    clip = Clip(path)
    t = time.perf_counter()
    full, active = Picture(*clip.size), clip.picture()
    pictures = [full] if active == full else [active, full]
    reader = Reader(keys, grids(pictures, clip.aspect, deep), clip.depth, deep)
    for frame, start, end in clip.frames():
        reader.add(planes(frame)[0], start, end)
        if reader.hopeless or (reader.message is not None and not whole):
            break
    return reader.finish(), time.perf_counter() - t


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("--bytes", type=int, default=32)
    parser.add_argument("--db", type=float, default=56)
    parser.add_argument("--level", type=int)
    parser.add_argument("--channels", default="")
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("/tmp/robust"))
    parser.add_argument("--deep", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    cover = Clip(args.clip)
    for number in range(args.keys):
        key = f"key {number}"
        message = np.random.default_rng([number, args.bytes]).bytes(args.bytes)
        stego = args.out / f"{args.clip.stem}_{args.bytes}_{args.db}_{number}.mp4"
        told = embed(
            cover, stego, message, key, args.db, LEVELS[args.level] if args.level is not None else None
        )
        print(
            stego.name, {k: round(v, 2) if isinstance(v, float) else v for k, v in told.items()}, flush=True
        )
        names = ["", *filter(None, args.channels.split(","))]
        for name in names:
            there = stego
            if name:
                there = args.out / f"{stego.stem}_{name}.mkv"
                channels.named(name).run(stego, there)
            found, seconds = read(there, key, args.deep)
            verdict = "exact" if found.message == message else "lost" if found.message is None else "WRONG"
            size = f"{there.stat().st_size:,} bytes"
            print(
                f"  {name or 'stego':14} {verdict:5} m {found.margin:5.2f} cos {found.cosine:.2f} "
                f"{seconds:5.2f} s {size}, {found.lock}",
                flush=True,
            )
            if name:
                there.unlink()


if __name__ == "__main__":
    main()
