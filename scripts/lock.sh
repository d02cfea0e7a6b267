#!/usr/bin/env bash
# Renew requirements.lock, the environment of run_tests.sh and run_stress_test.sh for every supported Python
# and system. Needs uv (pip install uv). Pins stay where they still fit; scripts/lock.sh --upgrade renews
# them all, scripts/lock.sh --upgrade-package ruff one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v uv >/dev/null || {
    echo "vidstega: error: uv is not installed; pip install uv" >&2
    exit 1
}
exec uv pip compile pyproject.toml --all-extras --group build --universal --python-version 3.11 --quiet \
    --no-emit-index-url --no-emit-find-links --annotation-style line \
    --custom-compile-command scripts/lock.sh --output-file requirements.lock "$@"
