#!/usr/bin/env bash
# Compiles for ARM (Graviton and the like) what of CShims needs no library beside libc and simdjson: the parsers and the system
# calls, so that nothing of x86 slips into them. Needs the headers of another architecture (Debian:
# libc6-dev-arm64-cross, libstdc++-12-dev-arm64-cross); without them nothing is checked, with a message.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

headers=/usr/aarch64-linux-gnu/include
cpp=$(find "$headers/c++" -mindepth 1 -maxdepth 1 2>/dev/null | sort -V | tail -1)
if [ -z "$cpp" ]; then
    say "skipped: the headers of ARM are not installed (Debian: apt-get install libc6-dev-arm64-cross libstdc++-12-dev-arm64-cross)"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# simdjson's header is the same everywhere; the other headers beside it are of this machine.
cp /usr/include/simdjson.h "$work"
flags=(--target=aarch64-linux-gnu -O2 -Wall -Wextra -Werror -ISources/CShims/include -nostdlibinc)
for source in json.cpp rest_json.cpp system.c heap.c; do
    case $source in
        *.cpp) clang++ -std=c++17 "${flags[@]}" -isystem "$cpp" -isystem "$cpp/aarch64-linux-gnu" -isystem "$headers" -isystem "$work" \
            -c "Sources/CShims/$source" -o "$work/$source.o" ;;
        *.c) clang "${flags[@]}" -isystem "$headers" -c "Sources/CShims/$source" -o "$work/$source.o" ;;
    esac
done
say "arm64: $(find "$work" -name '*.o' | wc -l) files compile"
