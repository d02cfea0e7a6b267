#!/usr/bin/env bash
# Set up .venv if needed, then: ruff, mypy, import-linter, pytest, and the notebooks if there are any.
# Arguments go to pytest: ./run_tests.sh -k splice
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/venv.sh
export OPENBLAS_NUM_THREADS=1 # there are as many workers as cores; more threads would wait for each other

"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
"${python%/*}/lint-imports" --no-logo
spread=()
[ $# -gt 0 ] || spread=(-n auto --maxprocesses 4 --dist loadfile)
"$python" -m pytest ${spread[@]+"${spread[@]}"} "$@"

shopt -s nullglob
notebooks=(notebooks/*.ipynb)
if [ ${#notebooks[@]} -gt 0 ] && [ $# -eq 0 ]; then
    sanitize=(notebooks/*sanitize*.cfg)
    "$python" -m pytest "${spread[@]}" --nbval ${sanitize[@]+--nbval-sanitize-with "${sanitize[0]}"} "${notebooks[@]}"
fi
