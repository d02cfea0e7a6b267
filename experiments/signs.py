"""What `signs` finds in a folder of clips, and what a message in them changes.

Each clip that has signs gets a message of random bytes at the default spread, is verified, and is then
looked at again: signs turned, PSNR of the pictures in use, size, seconds (of the processor, of a second
call, as the first one may compile), and the share of signs that are the smoother ones at their blocks'
edges, of cover and stego, with the spread of that share from picture to picture.

    python experiments/signs.py FOLDER [--bytes N] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from itertools import islice
from pathlib import Path

import numpy as np

import vidstega
from vidstega.carriers.signs.decoded import margins_of
from vidstega.carriers.signs.plan import room_bytes, whole
from vidstega.carriers.signs.walks import pictures, tiers
from vidstega.carriers.signs.write import amplitudes_of
from vidstega.errors import InputError
from vidstega.media.scan import scan as scan_file
from vidstega.pool import Pool, Work
from vidstega.progress import Progress
from vidstega.results import EmbedResult
from vidstega.seal.short import OVERHEAD_BYTES

KEY = "signs"
HEAD = (
    *("clip", "to tier", "pictures", "signs", "bytes at 1/16", "at 1/4", "hidden", "tier", "in use", "flips"),
    *("bits a flip", "PSNR dB", "worst", "embed CPU s", "extract CPU s", "bytes more"),
    *("share of smoother signs", "shift", "spread"),
)


def shares(path: Path, used: int) -> list[float]:
    """Of each picture in use that can be decoded, the share of signs that are the smoother ones."""
    scan = scan_file(path)
    taken = list(islice(pictures(scan), used))
    amplitudes = amplitudes_of(scan, taken)
    found = margins_of(scan, taken, amplitudes, Work(Pool(1), Path(), Progress(False)))
    return [float((found[one.ordinal] > 0).mean()) for one in taken if one.ordinal in found]


def row(clip: Path, size: int, folder: Path) -> list[str]:
    """The table's row of one clip."""
    scan = scan_file(clip)
    try:
        use = vidstega.capacity(clip, method="signs")
    except vidstega.VidstegaError as error:
        return [clip.name, f"none: {error}"]
    everything = whole(scan)
    sixteenth, quarter = (
        max(0, room_bytes(scan, alpha) - OVERHEAD_BYTES) for alpha in (1 / 16, use.rows[-1].spread)
    )
    found = [
        clip.name,
        tiers(scan).letter(everything.pictures),
        f"{everything.carrying:,}",
        f"{everything.carriers:,}",
        f"{sixteenth:,}",
        f"{quarter:,}",
    ]
    fits = min(size, sixteenth or quarter)
    if not fits:
        return [*found, "0: no message fits"]
    stego, message = folder / f"stego{clip.suffix}", os.urandom(fits)
    for _ in range(2):
        started = time.process_time()
        result = vidstega.embed(
            clip, stego, message, key=KEY, method="signs", overwrite=True, progress=False, compress=False
        )
        spent = time.process_time() - started
    started = time.process_time()
    if vidstega.extract(stego, key=KEY, progress=False) != message:
        raise SystemExit(f"{clip}: another message came back")
    return [*found, *_of_message(clip, stego, result, spent, time.process_time() - started)]


def _of_message(clip: Path, stego: Path, result: EmbedResult, spent: float, read: float) -> list[str]:
    scan, told = scan_file(clip), result.measured
    used = int(told["in_use"])
    before, after = (np.array(shares(path, used)) for path in (clip, stego))
    bits = 8 * result.sealed_bytes + 48
    shift = f"{100 * (after - before).mean():+.2f}" if len(before) else ""
    return [
        f"{result.payload_bytes:,}",
        tiers(scan).letter(used),
        f"{result.carrying:,}",
        f"{told['flips']:,.0f}",
        f"{bits / told['flips']:.1f}",
        f"{told.get('psnr_db', float('nan')):.1f}",
        f"{told.get('psnr_worst_db', float('nan')):.1f}",
        f"{spent:.2f}",
        f"{read:.2f}",
        f"{result.bytes_after - result.bytes_before:+,}",
        f"{100 * before.mean():.2f}, {100 * after.mean():.2f}" if len(before) else "",
        shift,
        f"{100 * before.std():.2f}" if len(before) else "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bytes", type=int, default=1024, help="bytes to hide, if so many fit at 1/16")
    parser.add_argument("--out", type=Path, help="where to write the table")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    with tempfile.TemporaryDirectory() as folder:
        for clip in sorted(path for path in args.folder.iterdir() if path.is_file()):
            try:
                cells = row(clip, args.bytes, Path(folder))
            except InputError as error:
                print(f"{clip.name}: {error}")
                continue
            lines.append(f"| {' | '.join(cells)} |" + " |" * (len(HEAD) - len(cells)))
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if args.out:
        args.out.write_text(
            f"# What `signs` finds in a folder of clips\n\n{__doc__.splitlines()[0]}\n\n{text}"
        )


if __name__ == "__main__":
    main()
