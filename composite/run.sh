#!/usr/bin/env bash
# The Action on the runner itself: an environment for realdb-ci in the runner's temporary folder, with server
# binaries for machines without Docker, and then the same program as in the image.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
home=${RUNNER_TEMP:-/tmp}/realdb-ci-action
python=
for candidate in python3 python python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import pip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "::error title=realdb-ci::No Python 3.11 or newer with pip is on PATH. Put actions/setup-python before this step."
    exit 3
fi
echo "::group::realdb-ci itself"
"$python" -m venv --clear --without-pip "$home"
own=$home/bin/python
if [ ! -e "$own" ]; then
    own=$home/Scripts/python.exe # Windows
fi
pip=("$python" -m pip --python "$own" --disable-pip-version-check)
"${pip[@]}" install --quiet --require-hashes -r "$source/requirements/action.txt"
"${pip[@]}" install --quiet "${source}[embedded]"
"${pip[@]}" wheel --quiet --no-deps --wheel-dir "$home/wheels" "$source"
echo "::endgroup::"
exec "$own" -I -u "$source/entrypoint.py"
