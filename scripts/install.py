"""Install the locked environment and this tree into the virtual environment whose Python runs this.

`venv.sh` and `run_stress_test.bat` call it each time; a stamp lets it do nothing until the lock or
pyproject.toml changes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
DECIDES = (LOCK, ROOT / "pyproject.toml")
PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
STEPS = (
    ("--requirement", str(LOCK)),
    # without isolation, so that the build too is the locked one
    ("--no-deps", "--no-build-isolation", "--editable", str(ROOT)),
)


def main() -> int:
    folder = Path(sys.prefix)
    stamp = folder / f"vidstega-{fingerprint()}.stamp"
    if stamp.exists():
        return 0
    print(f"vidstega: installing into {folder}, which takes a few minutes the first time", file=sys.stderr)
    for step in STEPS:
        if subprocess.run([*PIP, *step], check=False).returncode:
            print("vidstega: error: pip could not install the packages; see above", file=sys.stderr)
            return 1
    for old in folder.glob("vidstega*.stamp"):
        old.unlink()
    stamp.touch()
    return 0


def fingerprint() -> str:
    """Of the files that say what is installed."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in DECIDES)).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
