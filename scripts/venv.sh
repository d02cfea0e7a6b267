# Sourced by run_tests.sh and run_stress_test.sh, from the root of the repository. Makes .venv if it is
# missing, installs what is missing in it, and leaves its interpreter in $python. PYTHON=... picks another
# Python; a .venv of any other version is then made anew. What cannot be done is said in one line.

fail() {
    echo "vidstega: error: $*" >&2
    exit 1
}

recent='import sys; sys.exit(sys.version_info < (3, 11))'
version='import sys; print(sys.version)'

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c "$recent" >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    local base
    base=$(find_python) || fail "Python 3.11 or newer is needed, ${PYTHON:+$PYTHON is not, }install it or set PYTHON=/path/to/python"
    "$base" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$base has no venv module; install it, e.g. apt-get install python3-venv, or set PYTHON=/path/to/another"
    echo "vidstega: making .venv with $base" >&2
    "$base" -m venv --clear .venv || fail "$base -m venv .venv failed; see above"
}

# OpenCV is only what the old way is measured with, so its absence is no reason to stop.
check_opencv() {
    local reason
    reason=$("$python" -c 'import cv2' 2>&1 | tail -n 1)
    [ -z "$reason" ] ||
        echo "vidstega: warning: OpenCV does not load (${reason##*ImportError: }); on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0" >&2
}

interpreter() {
    python=.venv/bin/python
    [ -e .venv/Scripts/python.exe ] && python=.venv/Scripts/python.exe
    "$python" -c '' >/dev/null 2>&1
}

is_chosen() {
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -c "$version" 2>/dev/null)" = "$("$python" -c "$version")" ]
}

{ interpreter && is_chosen; } || { make_venv && interpreter; } || fail ".venv does not work; remove it and run this again"
"$python" -c "$recent" || fail ".venv holds a Python older than 3.11; remove .venv and run this again"
"$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null || fail ".venv has no pip; remove it and run this again"
"$python" scripts/install.py || exit 1
check_opencv
