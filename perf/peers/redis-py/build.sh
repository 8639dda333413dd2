#!/usr/bin/env bash
# Installs redis-py and hiredis, as pinned in requirements.txt, into .build/peers/redis-py: a virtual environment of its own. Does
# nothing, quickly, when all is there; ends with 1 where they are not to be had.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/common.sh"

folder=perf/peers/redis-py
out=$PWD/.build/peers/redis-py
if ! cmp -s "$folder/requirements.txt" "$out/installed.txt"; then
    rm -rf "$out"
    mkdir -p "$(dirname "$out")"
    python3 -m venv "$out" || fail "python3 with venv is needed (Debian: python3-venv)"
    timeout 120 "$out/bin/pip" install --quiet --disable-pip-version-check --no-input --retries 1 --timeout 20 \
        -r "$folder/requirements.txt" || fail "PyPI is not to be reached"
    cp "$folder/requirements.txt" "$out/installed.txt"
fi
cp "$folder/streams.py" "$out/streams.py"
