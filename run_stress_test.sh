#!/usr/bin/env bash
# Set up .venv if needed, then hide, read back, compare, and print what it took. Arguments are passed on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

exec "$python" experiments/first_run.py "$@"
