#!/usr/bin/env bash
# Run a program of the project's own environment, set up first where needed: scripts/in_venv.sh ruff check .
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/venv.sh

exec "${python%/*}/$1" "${@:2}"
