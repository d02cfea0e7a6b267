"""What survives what, on one video: each way to hide, through each channel, with several keys.

    python experiments/survival.py VIDEO [--keys 3] [--through crf28 480p ...] [--out results/local]

Writes ``survival.json`` beside the stress results, from where ``vidstega report`` takes it, and prints it.
With all channels, ten seconds of 1080p and three keys it takes an hour or more on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vidstega.carriers import Robust
from vidstega.lab.survival import SURVIVAL, measure_survival

WAYS = (
    ("signs", 256),
    ("lsb", 256),
    (Robust(), 32),
    (Robust(), 256),
    (Robust(psnr_db=48), 1000),
)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cover", metavar="VIDEO", type=Path)
    parser.add_argument("--keys", type=int, default=3)
    parser.add_argument("--through", nargs="+", metavar="CHANNEL", help="all by default")
    parser.add_argument("--out", type=Path, default=Path("results/local"))
    args = parser.parse_args()
    found = measure_survival(args.cover, WAYS, through=args.through, keys=args.keys)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / SURVIVAL).write_text(found.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    print(found.frame.to_markdown(index=False))


if __name__ == "__main__":
    main()
