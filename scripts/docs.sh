#!/usr/bin/env bash
# The documentation of the library, made by DocC from the comments of its public symbols and Sources/FastFeed/FastFeed.docc. Fails on
# a warning (a link that leads nowhere, a parameter without words) and on a public symbol without a comment.
#
#   scripts/docs.sh     makes .build/docs; to read it: python3 -m http.server -d .build/docs, and there /documentation/fastfeed
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for tool in docc swift-symbolgraph-extract; do
    command -v $tool >/dev/null || { say "docs.sh: skipped, this Swift has no $tool"; exit 0; }
done
swift_build --target FastFeed >/dev/null

# The module as it was built, with its comments.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
triple=$(swiftc -print-target-info | sed -nE '0,/"triple"/s/.*"triple": "([^"]+)".*/\1/p')
swift-symbolgraph-extract -module-name FastFeed -target "$triple" -I $built/Modules -I $built/CShims.build \
    -minimum-access-level public -skip-synthesized-members -output-dir "$work"

python3 - "$work/FastFeed.symbols.json" "$PWD/" <<'PYTHON'
import json, sys

with open(sys.argv[1], encoding="utf-8") as file:
    symbols = json.load(file)["symbols"]
silent = []
for symbol in symbols:
    if "docComment" in symbol:
        continue
    place = symbol.get("location", {})
    path = place.get("uri", "").removeprefix("file://").removeprefix(sys.argv[2])
    silent.append(f"{path}:{place.get('position', {}).get('line', 0) + 1}: {'.'.join(symbol['pathComponents'])}")
if silent:
    sys.exit("\n  ".join([f"public and without a comment ({len(silent)}):", *silent]))
print(f"docs: {len(symbols)} symbols have their words")
PYTHON

rm -rf .build/docs
mkdir -p .build
docc convert Sources/FastFeed/FastFeed.docc --additional-symbol-graph-dir "$work" --output-path .build/docs \
    --fallback-bundle-identifier FastFeed --fallback-display-name FastFeed --warnings-as-errors
say "docs: .build/docs"
