#!/usr/bin/env bash
# Builds the peers into .build/peers: the NIO program, and cryptofeed in a virtual environment of its own. Takes what it
# needs from GitHub and PyPI; does nothing, quickly, when all is there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

out=$PWD/.build/peers
mkdir -p "$out/nio"
swift build -c release --package-path perf/peers/nio --scratch-path "$out/nio-build"
cp "$out/nio-build/release/nio-peer" "$out/nio/nio-peer.new"
mv "$out/nio/nio-peer.new" "$out/nio/nio-peer"

requirements=perf/peers/cryptofeed/requirements.txt
if ! cmp -s "$requirements" "$out/cryptofeed/installed.txt"; then
    rm -rf "$out/cryptofeed"
    python3 -m venv "$out/cryptofeed" || fail "python3 with venv is needed (Debian: python3-venv)"
    "$out/cryptofeed/bin/pip" install --quiet -r "$requirements"
    cp "$requirements" "$out/cryptofeed/installed.txt"
fi
cp perf/peers/cryptofeed/candles.py "$out/cryptofeed/candles.py"
