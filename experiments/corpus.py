"""Run a whole folder of clips through vidstega and print what came out, a row per clip and spread.

For every row the stego file is written, verified frame by frame, extracted, decoded with 1, 2 and 4 threads,
decoded by the `ffmpeg` program (another reader, often another version) and compared with the cover there,
and remuxed by `ffmpeg -c copy` into other containers and extracted again.

    python experiments/corpus.py FOLDER [--spreads fewest 0.05 all] [--only PATTERN] [--jobs N]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import vidstega
from vidstega import carriers
from vidstega.carriers.samples.plan import Stretch
from vidstega.errors import InputError, UnsupportedError
from vidstega.media.decode import decode_span, frame_digest
from vidstega.media.rewrite import piece_of
from vidstega.media.scan import scan as scan_file
from vidstega.media.source import Scan
from vidstega.results import EmbedResult
from vidstega.seal import Key

KEY = "corpus"
REMUXES = (".mp4", ".mov", ".mkv", ".ts")
COLUMNS = (
    "clip",
    "spread",
    "mode",
    "carry",
    "frames",
    "growth",
    "embed",
    "extract",
    "threads",
    "ffmpeg",
    "remux",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spreads", nargs="+", default=["fewest", "0.05", "all"])
    parser.add_argument("--only", default="*", help="pattern of file names")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    failures = 0
    for clip in sorted(p for p in arguments.folder.glob(arguments.only) if p.is_file() and p.suffix != ".md"):
        for spread in arguments.spreads:
            with tempfile.TemporaryDirectory() as folder:
                row, ok = try_clip(clip, spread, arguments.jobs, Path(folder))
            failures += not ok
            print("| " + " | ".join((clip.name, spread, *row)) + " |", flush=True)
    print(f"\n{failures} failed" if failures else "\nall passed")
    return 1 if failures else 0


def try_clip(clip: Path, spread: str, jobs: int, folder: Path) -> tuple[tuple[str, ...], bool]:
    """One row of the table, and whether all of it held."""
    try:
        payload = a_payload(clip, spread)
        started = time.perf_counter()
        result = embed(clip, folder, payload, spread, jobs)
        embedded = time.perf_counter()
        same = vidstega.extract(result.stego, key=KEY, n_jobs=jobs) == payload
        extracted = time.perf_counter()
        checks = (
            threads_agree(result.stego),
            ffmpeg_agrees(clip, result.stego),
            remuxes(result.stego, payload),
        )
    except vidstega.VidstegaError as error:
        return (f"**{type(error).__name__}: {error}**", *[""] * 8), False
    marks = tuple("skipped" if check is None else "ok" if check else "**differs**" for check in checks)
    growth = f"{result.bytes_after - result.bytes_before:+,}"
    row = (
        result.mode,
        str(result.carrying),
        str(result.frames),
        growth,
        f"{embedded - started:.2f} s",
        f"{extracted - embedded:.2f} s" if same else "**differs**",
        *marks,
    )
    return row, same and False not in checks


def a_payload(clip: Path, spread: str) -> bytes:
    """1 KB, or for a number as much as a fifth of the frames take."""
    size = 1000
    if spread not in ("fewest", "all"):
        room = vidstega.capacity(clip, method="lsb").rows[0]
        size = max(1, int(float(spread) * room.payload_bytes / 5))
    return np.random.default_rng([size, 1]).bytes(size)


def embed(clip: Path, folder: Path, payload: bytes, spread: str, jobs: int) -> EmbedResult:
    """Into the cover's own container if that can hold the result, else into Matroska."""
    number = spread if spread in ("fewest", "all") else float(spread)
    options = {"key": KEY, "method": "lsb", "spread": number, "verify": "full", "n_jobs": jobs}
    suffix = clip.suffix if clip.suffix in (".mp4", ".mov", ".mkv", ".webm", ".ts", ".flv") else ".mkv"
    try:
        return vidstega.embed(clip, folder / f"stego{suffix}", payload, **options)
    except UnsupportedError:
        return vidstega.embed(clip, folder / "stego.mkv", payload, **options)


def threads_agree(stego: Path) -> bool:
    """Whether all frames decode alike with 1, 2 and 4 threads, and from every place decoding can start."""
    scan = scan_file(stego)
    digests = []
    for threads in (1, 2, 4):
        whole = decode_span(scan.source, 0, scan.packets, scan.pts, threads)
        digests.append([frame_digest(frame) for frame in whole])
    for stretch in stretches_of(scan)[:3]:
        sought = [frame_digest(frame) for frame in piece_of(scan, stretch.span).as_written()]
        start = int(np.searchsorted(scan.pts, stretch.span.pts[0]))
        digests[0][start : start + len(sought)] = sought
    return digests[0] == digests[1] == digests[2]


def stretches_of(scan: Scan) -> tuple[Stretch, ...]:
    """Where the message is that `embed` below has put in."""
    found: tuple[Stretch, ...] = carriers.get("lsb").locate(scan, Key(KEY)).stretches
    return found


def ffmpeg_agrees(cover: Path, stego: Path) -> bool | None:
    """Whether the `ffmpeg` program sees the cover's frames, but for the ones that carry."""
    if shutil.which("ffmpeg") is None:
        return None
    before, after = scan_file(cover), scan_file(stego)
    carrying = np.zeros(len(after.pts), bool)
    for stretch in stretches_of(after):
        carrying[np.searchsorted(after.pts, stretch.span.pts[: stretch.carrying])] = True
    theirs, ours = frame_hashes(cover, before.index), frame_hashes(stego, after.index)
    if len(theirs) != len(ours) or len(ours) != len(carrying):
        return False
    return all(a == b for a, b, carries in zip(theirs, ours, carrying, strict=True) if not carries)


def frame_hashes(path: Path, index: int) -> list[str]:
    """MD5 of each frame as the `ffmpeg` program decodes it."""
    command = ["ffmpeg", "-v", "quiet", "-noautorotate", "-i", str(path), "-map", f"0:{index}"]
    run = subprocess.run(
        [*command, "-vsync", "passthrough", "-f", "framemd5", "-"], capture_output=True, text=True
    )
    return [line.split(",")[-1].strip() for line in run.stdout.splitlines() if not line.startswith("#")]


def remuxes(stego: Path, payload: bytes) -> bool | None:
    """Whether the payload survives `ffmpeg -c copy` into every container that takes the streams."""
    if shutil.which("ffmpeg") is None:
        return None
    index = scan_file(stego).index
    for suffix in REMUXES:
        copy = stego.with_name(f"remux{suffix}")
        command = ["ffmpeg", "-v", "quiet", "-i", str(stego), "-map", f"0:{index}", "-c", "copy", str(copy)]
        if subprocess.run(command).returncode:
            continue
        try:
            if vidstega.extract(copy, key=KEY) != payload:
                return False
        except InputError:  # a container that took the packets, but not as a video
            continue
        finally:
            copy.unlink()
    return True


if __name__ == "__main__":
    sys.exit(main())
