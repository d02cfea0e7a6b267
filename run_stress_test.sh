#!/usr/bin/env bash
# Set up .venv if needed, then run the stress matrix and write its report. Arguments are passed on:
# ./run_stress_test.sh --config standard
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh

exec "$python" -m vidstega stress "$@"
