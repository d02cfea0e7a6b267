"""Mutated video files through probe, embed, extract and verify: nothing may crash, hang or be lost unsaid.

    python experiments/fuzz_files.py --cases 10000 --clips ../shared/clips
    python experiments/fuzz_files.py --file results/local/fuzz/case-123.mp4

Each case is a number: with the seed it says which source is mutated and how (bits flipped, cut, spliced with
another; in headers, in packets), and it is the same again as long as the sources in the working folder are.
Cases run in child processes with a memory and a time limit, many to a child. What went wrong is printed, with
the case's file kept; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gc
import json
import queue
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

import vidstega
from vidstega.errors import InputError, OutputError, PayloadError, VerificationError, VidstegaError
from vidstega.media.census import is_doubtful, take_census
from vidstega.media.decode import frame_digest
from vidstega.media.open import best_video, solid
from vidstega.media.scan import scan
from vidstega.progress import Progress
from vidstega.seal import keys

KEY, HIDDEN = "correct horse", bytes(range(256)) * 2
EXTENSIONS = (".mp4", ".mov", ".mkv", ".ts")
HEADERS = (
    *(b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf stbl stsd avc1 avcC hvcC esds".split()),
    *(b"stts ctts stss stsz stsc stco co64 moof traf trun tfdt udta meta".split()),
    *(
        b"\x1a\x45\xdf\xa3",
        b"\x16\x54\xae\x6b",
        b"\x1f\x43\xb6\x75",
        b"\x15\x49\xa9\x66",
        b"\x1c\x53\xbb\x6b",
    ),
    *(
        b"RIFF",
        b"avih",
        b"strh",
        b"idx1",
        b"FLV",
        b"\x47\x40",
        b"\0\0\0\1\x67",
        b"\0\0\0\1\x68",
        b"\0\0\1\xb3",
    ),
)
"""Where headers are: boxes, EBML elements, chunks, tables and parameter sets."""
CASES_PER_CHILD = 100
GOOD, REFUSED = "carried", "refused"


# -- sources --------------------------------------------------------------------------------------------

MADE_UP = (
    ("a.mp4", "libx264", {"g": "6", "bf": "2"}),
    ("b.mp4", "libx264", {"g": "4", "bf": "0", "x264-params": "slices=2"}),
    ("c.mkv", "libx264", {"g": "6", "bf": "2"}),
    ("d.ts", "libx264", {"g": "6", "bf": "2"}),
    ("e.mov", "mpeg4", {"g": "5"}),
    ("f.webm", "libvpx-vp9", {"g": "5", "cpu-used": "8", "deadline": "realtime"}),
    ("g.ts", "mpeg2video", {"g": "5", "bf": "1"}),
    ("h.mp4", "libx265", {"x265-params": "log-level=none:keyint=6"}),
    ("i.flv", "libx264", {"g": "6", "bf": "0"}),
    ("j.avi", "mpeg4", {"g": "5"}),
)


def make_sources(folder: Path, clips: Path | None, largest: int) -> list[Path]:
    """Small made-up videos, stego files of some of them, and clips; those that are there stay as they are."""
    made = folder / "sources"
    made.mkdir(parents=True, exist_ok=True)
    for number, (name, codec, options) in enumerate(MADE_UP):
        if not (made / name).exists():
            make_video(made / f"new-{name}", codec, options, number)
            (made / f"new-{name}").replace(made / name)
    for name in ("a.mp4", "c.mkv", "d.ts", "f.webm"):
        if not (stego := made / f"stego-{name}").exists():
            vidstega.embed(made / name, stego, HIDDEN, key=KEY, progress=False)
    given = [] if clips is None else [p for p in clips.glob("**/*.*") if p.suffix not in (".md", ".txt")]
    return sorted(made.iterdir()) + sorted(p for p in given if 0 < p.stat().st_size <= largest)


def make_video(path: Path, codec: str, options: dict[str, str], seed: int) -> None:
    """A moving pattern with a little noise and a tone beside it: 16 frames of 160x128."""
    rng = np.random.default_rng([seed, 1])
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 160, 128, "yuv420p"
        sound = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000)
        for index in range(16):
            luma = np.add.outer(np.arange(128), np.arange(160)) + 5 * index + rng.integers(0, 9, (128, 160))
            planes = np.concatenate([luma % 220 + 16, np.full((64, 160), 128)]).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
            tone = np.sin(np.arange(1920) / 20).astype(np.float32).reshape(1, -1)
            heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            heard.rate, heard.pts = 48000, 1920 * index
            container.mux(sound.encode(heard))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


# -- mutations ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One mutated file and what is done with it."""

    number: int
    source: str
    how: tuple[str, ...]
    data: bytes
    extension: str
    spread: str


def make_case(seed: int, number: int, sources: list[Path]) -> Case:
    """The case of a number: nothing but the seed and the sources decide it."""
    rng = random.Random(f"{seed}-{number}")
    source, other = rng.choice(sources), rng.choice(sources)
    data, how = bytearray(source.read_bytes()), []
    for _ in range(rng.choice((1, 1, 2, 3))):
        mutate = rng.choice(MUTATIONS)
        mutate(rng, data, other)
        how.append(mutate.__name__)
    extension = rng.choice((source.suffix.removeprefix("stego-"), rng.choice(EXTENSIONS)))
    extension = extension if extension in (*EXTENSIONS, ".webm", ".flv") else ".mkv"
    return Case(
        number, source.name, tuple(how), bytes(data), extension, rng.choice(("fewest", "fewest", "all"))
    )


def flip_bits(rng: random.Random, data: bytearray, _: Path) -> None:
    """A few bits anywhere, which is in packets mostly."""
    for _ in range(rng.choice((1, 2, 8, 64))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_in_header(rng: random.Random, data: bytearray, _: Path) -> None:
    for _ in range(rng.choice((1, 1, 3))):
        at = header(rng, data) + int(rng.expovariate(1 / 24))
        if at < len(data):
            data[at] ^= 1 << rng.randrange(8)


def set_number(rng: random.Random, data: bytearray, _: Path) -> None:
    """A number in a header becomes an extreme one."""
    at, size = header(rng, data) + 4 * rng.randrange(-1, 12), rng.choice((1, 2, 4, 4, 8))
    value = rng.choice((0, 1, 2, (1 << 8 * size - 1) - 1, (1 << 8 * size) - 1, rng.getrandbits(8 * size)))
    if at >= 0 and at + size <= len(data):
        data[at : at + size] = value.to_bytes(size, "big")


def overwrite(rng: random.Random, data: bytearray, _: Path) -> None:
    at, size = rng.randrange(len(data) + 1), int(rng.expovariate(1 / 200)) + 1
    fill = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    data[at : at + size] = fill[: max(0, len(data) - at)]


def cut_end(rng: random.Random, data: bytearray, _: Path) -> None:
    del data[rng.randrange(len(data) + 1) :]


def cut_out(rng: random.Random, data: bytearray, _: Path) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + int(rng.expovariate(1 / 500)) + 1]


def repeat(rng: random.Random, data: bytearray, _: Path) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[at : at + int(rng.expovariate(1 / 2000)) + 1]


def splice_in(rng: random.Random, data: bytearray, other: Path) -> None:
    """A piece of another file in the place of as much, or between."""
    piece = other.read_bytes()
    start, at = rng.randrange(len(piece) + 1), rng.randrange(len(data) + 1)
    piece = piece[start : start + int(rng.expovariate(1 / 3000)) + 1]
    data[at : at + len(piece) * rng.randrange(2)] = piece


def splice_behind(rng: random.Random, data: bytearray, other: Path) -> None:
    """The beginning of one file, then the end of another."""
    piece = other.read_bytes()
    del data[rng.randrange(len(data) + 1) :]
    data += piece[rng.randrange(len(piece) + 1) :]


def join(rng: random.Random, data: bytearray, other: Path) -> None:
    data += other.read_bytes()


MUTATIONS = (
    *(flip_bits, flip_bits, flip_in_header, flip_in_header, set_number, set_number, overwrite),
    *(cut_end, cut_out, repeat, splice_in, splice_behind, join),
)


def header(rng: random.Random, data: bytearray) -> int:
    """The place of a header, chosen among all that are there."""
    mark = rng.choice([mark for mark in HEADERS if mark in data] or [b""])
    places, at = [], data.find(mark)
    while at >= 0 and len(places) < 64 and mark:
        places.append(at)
        at = data.find(mark, at + 1)
    return rng.choice(places or [0])


# -- trying ---------------------------------------------------------------------------------------------


class Lost(Exception):
    """Something was written that is not what was promised."""


def try_file(path: Path, extension: str, spread: str) -> str:
    """All that a user may do with a file; how it went, or an exception that is none of vidstega's own."""
    with contextlib.suppress(InputError, PayloadError, OutputError, VidstegaError):
        if (found := vidstega.extract(path, key=KEY)) != HIDDEN:
            raise Lost(f"extraction gave {len(found)} other bytes")
    try:
        vidstega.probe(path)
        payload, stego = HIDDEN + path.name.encode(), path.with_name(f"stego{extension}")
        vidstega.embed(path, stego, payload, key="k", spread=spread, progress=False)
    except VidstegaError as error:
        if "\n" in str(error):
            raise Lost(f"an error of several lines: {error}") from None
        return f"{REFUSED}: {type(error).__name__}"
    try:
        if vidstega.extract(stego, key="k") != payload:
            raise Lost("the payload that was embedded comes back as another")
        return f"{GOOD}: {verified(path, stego)}"
    except VidstegaError as error:
        raise Lost(f"embedded and verified, but then: {type(error).__name__}: {error}") from None


def verified(path: Path, stego: Path) -> str:
    """The mode, once every frame is compared; of a damaged source those that no damage is near."""
    try:
        return vidstega.verify(path, stego, key="k", full=True, progress=False).mode
    except (InputError, VerificationError):
        result = vidstega.verify(path, stego, key="k", progress=False)
    before, after = sound_frames(path), sound_frames(stego)
    differ = [index for index, digest in before.items() if after.get(index) != digest]
    if len(differ) > result.carrying:
        raise Lost(f"{result.carrying} frames carry, but these differ: {differ}")
    return f"{result.mode} of a damaged file"


def sound_frames(path: Path) -> dict[int, int]:
    """Digests of frames by their index, but for those from a damaged one to the next key frame.

    What decoders make of damage depends on what is near it, in several threads on chance, and for some on
    what memory held before: what two decoders beside each other do not agree on is left out.
    """
    pairs = list(zip_longest(decoded(path), decoded(path)))
    again = {other for _, other in pairs}
    return dict(one for one, _ in pairs if one is not None and one in again)


def decoded(path: Path) -> Iterator[tuple[int, int]]:
    """Index and digest of each frame that seems sound, in the order in which they are coded."""
    found = scan(path)
    if is_doubtful(found):
        found = take_census(found, Progress(False))
    shown = np.flatnonzero(found.shown)
    order = shown[np.argsort(found.packets["pts"][shown], kind="stable")].tolist()
    ranks, damaged = {ordinal: index for index, ordinal in enumerate(order)}, False
    for ordinal, corrupt, key, digest in sorted(frames_of(path)):
        damaged = corrupt or (damaged and not key)
        if not damaged and ordinal in ranks:
            yield ranks[ordinal], digest


def frames_of(path: Path) -> Iterator[tuple[int, bool, bool, int]]:
    """Of each frame the number of its packet, whether it is damaged, whether a key frame, and its digest."""
    with av.open(str(path), metadata_errors="ignore") as container:
        stream = best_video(container)
        context = stream.codec_context
        context.thread_count, context.options = 1, {"err_detect": "bitstream+buffer+careful+aggressive"}
        for ordinal, packet in enumerate(chain(solid(container, stream), [None])):
            if packet is not None:
                packet.pts, packet.dts = ordinal, None
            try:
                frames = context.decode(packet)
            except av.FFmpegError:
                frames = []
                yield ordinal, True, False, 0
            for frame in frames:
                if frame.pts is not None:
                    yield frame.pts, frame.is_corrupt, bool(frame.key_frame), frame_digest(frame)


def child(folder: Path, memory: int) -> None:
    """Answer each case that is asked for on standard input with a line of JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    spare_time()
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            path = Path(work) / f"case{Path(asked['file']).suffix}"
            shutil.copy(asked["file"], path)
            print(json.dumps(answer(path, asked["extension"], asked["spread"])), flush=True)


def spare_time() -> None:
    """Do without what takes half of the time and has nothing to do with files: slow keys, old garbage."""
    keys.Scrypt = lambda **given: Scrypt(**(given | {"n": 2}))
    gc.freeze()


def answer(path: Path, extension: str, spread: str) -> dict[str, Any]:
    try:
        return {"kind": try_file(path, extension, spread)}
    except Lost as lost:
        return {"kind": "LOST", "text": str(lost)}
    except MemoryError as error:
        return {"kind": "MEMORY", "text": "".join(traceback.format_exception(error)[-4:])}
    except Exception as error:
        return {"kind": "TRACEBACK", "text": "".join(traceback.format_exception(error))}


class Children:
    """One child at a time, replaced when it dies, hangs, or has done its share."""

    def __init__(self, folder: Path, memory: int, seconds: float) -> None:
        self._folder, self._memory, self._seconds = folder, memory, seconds
        self._process: subprocess.Popen[str] | None = None
        self._left = 0

    def ask(self, question: dict[str, str]) -> dict[str, Any]:
        """What a child says to it, or how it ended instead."""
        process = self._ready()
        assert process.stdin is not None and process.stdout is not None
        overdue = threading.Timer(self._seconds, process.kill)
        overdue.start()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        hung = not overdue.is_alive()
        overdue.cancel()
        if line.endswith("\n"):
            return dict(json.loads(line))
        code = process.wait()
        self._process = None
        return {"kind": "HANG" if hung else "CRASH", "text": f"exit code {code} within {self._seconds} s"}

    def _ready(self) -> subprocess.Popen[str]:
        if self._process is None or not self._left:
            self.close()
            command = [sys.executable, __file__, "--child", str(self._folder), "--memory", str(self._memory)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._process = subprocess.Popen(command, **pipes)
            self._left = CASES_PER_CHILD
        self._left -= 1
        return self._process

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


# -- running --------------------------------------------------------------------------------------------


def run(args: argparse.Namespace, sources: list[Path]) -> Iterator[tuple[Case, dict[str, Any]]]:
    """All cases, in the order in which they are done."""
    numbers, done = iter(range(args.first, args.first + args.cases)), queue.Queue()
    lock = threading.Lock()

    def work() -> None:
        children = Children(args.work, args.memory, args.seconds)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            case = make_case(args.seed, number, sources)
            file = args.work / f"case-{number}{Path(case.source).suffix}"
            file.write_bytes(case.data)
            told = children.ask({"file": str(file), "extension": case.extension, "spread": case.spread})
            if told["kind"].startswith((GOOD, REFUSED)):
                file.unlink()
            done.put((case, told))
        children.close()
        done.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(args.jobs)]
    for thread in threads:
        thread.start()
    for _ in threads:
        while (one := done.get()) is not None:
            yield one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000, metavar="N", help="how many (default: 10,000)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed, other cases")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="folder of real videos to mutate too")
    parser.add_argument("--largest", type=int, default=400_000, metavar="BYTES", help="of these clips")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="children at a time (default: 2)")
    parser.add_argument("--seconds", type=float, default=120, metavar="S", help="time limit of a case")
    parser.add_argument("--memory", type=int, default=4 << 30, metavar="BYTES", help="RLIMIT_AS of a child")
    parser.add_argument("--work", type=Path, default=Path("results/local/fuzz"), metavar="DIR")
    parser.add_argument("--file", type=Path, help="try this one file here, and show what comes of it")
    parser.add_argument("--extension", default=".mkv", help="of the stego file, with --file")
    parser.add_argument("--spread", default="fewest", help="with --file")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.memory)
        return 0
    if args.file:
        with tempfile.TemporaryDirectory() as work:
            path = Path(shutil.copy(args.file, work))
            print(try_file(path, args.extension, args.spread))
        return 0
    return report(args, make_sources(args.work, args.clips, args.largest))


def report(args: argparse.Namespace, sources: list[Path]) -> int:
    """Run the cases, print what went wrong as it comes and counts in the end; 1 if anything did."""
    counts: collections.Counter[str] = collections.Counter()
    for case, told in run(args, sources):
        counts[told["kind"]] += 1
        if not told["kind"].startswith((GOOD, REFUSED)):
            about = {name: value for name, value in asdict(case).items() if name != "data"}
            print(f"{told['kind']}: seed {args.seed}, {about}\n{told['text']}", flush=True)
    for kind, count in sorted(counts.items()):
        print(f"{count:8,}  {kind}")
    bad = sum(count for kind, count in counts.items() if not kind.startswith((GOOD, REFUSED)))
    print(
        f"{sum(counts.values()):8,}  cases of seed {args.seed} from {len(sources)} sources, {bad} went wrong"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
