#!/usr/bin/env bash
# Builds the yardstick for streams into .build/reference/streams: with the clang of the Swift toolchain if it is there, else with cc.
# CC=… takes another one. For any x86-64: no -march, as FastFeed itself.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/common.sh"

out=.build/reference
mkdir -p "$out"
if [ -z "${CC:-}" ]; then
    CC=cc
    swiftc=$(command -v swiftc || true)
    [ -z "$swiftc" ] || { clang=$(dirname "$(readlink -f "$swiftc")")/clang; [ -x "$clang" ] && CC=$clang; }
fi
"$CC" -std=c11 -D_GNU_SOURCE -O3 -DNDEBUG -Wall -Wextra -Werror -o "$out/streams.new" perf/reference/streams/streams.c -lhiredis
mv "$out/streams.new" "$out/streams"
say "$out/streams"
