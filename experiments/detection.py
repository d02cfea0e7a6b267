"""How well ways to hide are told from covers, on the clips of a folder.

    python experiments/detection.py [FOLDER] [--tiles 18] [--frames 1] [--jobs 2] [--out results/local]

Writes ``detection.json`` beside the stress results, from where ``vidstega report`` takes it, and prints what
may be said. Without a folder it is tried on synthetic video, which is marked as no evidence.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import suppress
from pathlib import Path

from vidstega import lab
from vidstega.errors import VidstegaError
from vidstega.lab.detect import Experiment, smoke_clips
from vidstega.lab.detect.rows import DETECTION, DetectionFile
from vidstega.lab.detect.signs import SIZES


def videos(folder: Path) -> list[Path]:
    """Files of a folder that can be read as videos."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with suppress(VidstegaError):
            lab.forensics(path)
            found.append(path)
    return found


def measure(args: argparse.Namespace) -> DetectionFile:
    """The experiment on a folder, or a smoke test."""
    if args.folder:
        clips = videos(args.folder)
        how = {"tiles": args.tiles, "frames": args.frames, "files": True, "signs": args.bytes, "robust": True}
        return Experiment(clips, **how).run(n_jobs=args.jobs)
    with tempfile.TemporaryDirectory() as folder:
        return Experiment(smoke_clips(folder), rates=(0.5, 0.05), synthetic=True).run(n_jobs=args.jobs)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, nargs="?")
    parser.add_argument("--tiles", type=int, default=18, help="of each scene")
    parser.add_argument("--frames", type=int, default=1, help="of each scene")
    parser.add_argument(
        "--bytes", type=int, nargs="*", default=SIZES, help="payloads that `signs` is tried with"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/local"))
    args = parser.parse_args()
    found = measure(args)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / DETECTION).write_text(found.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    print("\n".join(found.claims()))


if __name__ == "__main__":
    main()
