"""What survives what, on one video: each way to hide, through each channel, with several keys.

    python experiments/survival.py VIDEO [--keys 3] [--through crf28 480p ...] [--n-jobs 2] [--out DIR]

Writes ``survival.json`` beside the stress results, from where ``vidstega report`` takes it, and prints it.
With all channels, ten seconds of 1080p and three keys it takes an hour or more, with two workers
on two cores; each takes 1 GB of memory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import joblib

from vidstega.carriers import Robust
from vidstega.lab.survival import SURVIVAL, measure_survival

FRAGILE = (("signs", 256), ("lsb", 256))
"""They survive nothing; one key shows it."""
ROBUST = (
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
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/local"))
    args = parser.parse_args()
    with joblib.parallel_config("loky"):
        how = {"through": args.through, "n_jobs": args.n_jobs}
        fragile = measure_survival(args.cover, FRAGILE, **how)
        found = measure_survival(args.cover, ROBUST, keys=args.keys, **how)
    found = found.model_copy(update={"rows": (*fragile.rows, *found.rows)})
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / SURVIVAL).write_text(found.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    print(found.frame.to_string(index=False))


if __name__ == "__main__":
    main()
