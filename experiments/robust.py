"""What `robust` costs: each side of every claim in one run, in fresh processes that take turns, as ratios.

    python experiments/robust.py VIDEO [--rounds 3] [--lengths 1 2 4] [--out FILE.md]

VIDEO is best ten seconds of natural 1080p; its lengths are that many copies of it, joined. The other side is
what PyAV alone takes to code the same frames by x264 at the same settings, with one thread; seconds are of
the processor, as other programs may run. With ten seconds of 1080p a round takes some four minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from experiments import floor
from experiments.floor import KEY, Arm, Table, Taken, peaks, plain_decode, plain_transcode

X264 = {"preset": "medium", "crf": "17", "x264-params": "bframes=0:threads=1"}
MESSAGE = bytes(range(32))
_PSNR_DB = 48
_ALLOWED_MIB = 60


def plain_x264(cover: str, out: str) -> Arm:
    """The same encode without a message."""
    plain_transcode(cover, out, X264)
    return {"bytes": Path(out).stat().st_size}


def embed(cover: str, out: str, psnr_db: float | None = None) -> Arm:
    """`vidstega.embed`, not read back; its trials of strengths apart from the rest."""
    import vidstega
    from vidstega.carriers import Robust

    how = Robust(psnr_db=psnr_db)
    done = vidstega.embed(cover, out, MESSAGE, key=KEY, method=how, verify=False, progress=False)
    return {"bytes": done.bytes_after, "tried_s": done.seconds.get("plan", 0.0)}


def read(stego: str) -> Arm:
    """Reading until the message opens, twice, as kernels are loaded the first time; seconds of video seen."""
    from vidstega.carriers.robust import files
    from vidstega.media.scan import scan
    from vidstega.seal import Key

    for _ in range(2):
        begin = time.process_time()
        found = files.read(scan(stego), Key(KEY), "")
        if found.message != MESSAGE:
            raise AssertionError("another message came back, or none")
    return {"seen_s": found.seen_s, "warm_s": time.process_time() - begin}


def refuse(stego: str, deep: bool) -> None:
    """Reading with a wrong key to the bitter end."""
    import vidstega
    from vidstega.errors import PayloadError

    try:
        vidstega.extract(stego, key="wrong", method="robust", deep=deep, progress=False)
    except PayloadError:
        return
    raise AssertionError("a wrong key gave bytes")


def cpu(taken: list[Taken]) -> list[float]:
    """Seconds of the processor."""
    return [one.cpu_s for one in taken]


def said(taken: list[Taken], name: str) -> list[float]:
    """A figure that an arm gave."""
    return [one.said[name] for one in taken]


def costs(table: Table, cover: str, folder: Path, count: int) -> None:
    """Time, memory and size of writing; time of reading, with the key and with another."""
    plain, out, stego = (str(folder / name) for name in ("plain.mp4", "out.mp4", "stego.mp4"))
    embed(cover, stego, _PSNR_DB)
    seen_s = read(stego)["seen_s"]
    arms: dict[str, tuple[str, Arm]] = {
        "x264": ("plain_x264", {"cover": cover, "out": plain}),
        "48 dB": ("embed", {"cover": cover, "out": out, "psnr_db": _PSNR_DB}),
        "default": ("embed", {"cover": cover, "out": out}),
        "part": ("plain_decode", {"path": stego, "stop_s": seen_s}),
        "whole": ("plain_decode", {"path": stego}),
        "read": ("read", {"stego": stego}),
        "wrong": ("refuse", {"stego": stego, "deep": False}),
        "wrong, deep": ("refuse", {"stego": stego, "deep": True}),
    }
    got = floor.rounds(arms, count, "experiments.robust")
    table.head(f"{Path(cover).name}, 32 bytes, one worker; a message opens after {seen_s:.1f} s of video")
    table.ratio("embed at 48 dB / x264", cpu(got["48 dB"]), cpu(got["x264"]), "<= 1.35", "s")
    table.ratio("embed by default / x264", cpu(got["default"]), cpu(got["x264"]), "", "s")
    tried = said(got["default"], "tried_s")
    rest = [one.wall_s - s for one, s in zip(got["default"], tried, strict=True)]
    table.ratio("the same but for trials, wall clock", rest, floor.walls(got["x264"]), "<= 1.35", "s")
    read_s = said(got["read"], "warm_s")
    table.ratio("extract / decode until it opens", read_s, cpu(got["part"]), "<= 1.50", "s")
    for name in ("wrong", "wrong, deep"):
        table.ratio(f"{name} key / decode of all", cpu(got[name]), cpu(got["whole"]), "<= 2.00", "s")
    allowed = [peak + _ALLOWED_MIB for peak in peaks(got["x264"])]
    table.ratio("peak memory / x264's + 60 MiB", peaks(got["48 dB"]), allowed, "<= 1.00", "MiB")
    mb = [[size / 1e6 for size in said(got[name], "bytes")] for name in ("48 dB", "x264")]
    table.ratio("file at 48 dB / x264's", *mb, "<= 1.30", "MB")


def lengths(table: Table, cover: str, folder: Path, times: list[int]) -> None:
    """Peak memory against the length of the video."""
    arms: dict[str, tuple[str, Arm]] = {}
    for n in times:
        joined = floor.repeat(cover, folder / f"{n}.mp4", n)
        arguments = {"cover": joined, "out": str(folder / "out.mp4"), "psnr_db": _PSNR_DB}
        arms[str(n)] = "embed", arguments
    got = floor.rounds(arms, 1, "experiments.robust")
    table.head("peak memory against length, at 48 dB")
    for n in times[1:]:
        table.ratio(f"{n} copies / {times[0]}", peaks(got[str(n)]), peaks(got[str(times[0])]), "1", "MiB")


ARMS: dict[str, Any] = {one.__name__: one for one in (plain_x264, plain_decode, embed, read, refuse)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cover", metavar="VIDEO", nargs="?", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    arguments = parser.parse_args()
    if arguments.worker:
        floor.work(ARMS)
        return
    if arguments.cover is None:
        parser.error("give a video")
    cover, table, out = str(arguments.cover.resolve()), Table(), arguments.out and arguments.out.resolve()
    os.chdir(Path(__file__).resolve().parent.parent)  # where workers find this module
    with tempfile.TemporaryDirectory() as folder:
        costs(table, cover, Path(folder), arguments.rounds)
        lengths(table, cover, Path(folder), arguments.lengths)
    if out:
        out.write_text("\n".join(table.lines) + "\n")


if __name__ == "__main__":
    main()
