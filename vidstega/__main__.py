"""``python -m vidstega``: the command line."""

import sys

from vidstega.cli import main

if __name__ == "__main__":
    sys.exit(main())
