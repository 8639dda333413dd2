#!/usr/bin/env bash
# Builds the C++ reference into .build/reference/reference: with the clang of the Swift toolchain if it is there (the
# compiler of FastFeed's own C++), else with g++. CXX=… takes another one. For any x86-64: no -march, as FastFeed itself.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

out=.build/reference
mkdir -p "$out"
if [ -z "${CXX:-}" ]; then
    CXX=g++
    swiftc=$(command -v swiftc || true)
    [ -z "$swiftc" ] || { clang=$(dirname "$(readlink -f "$swiftc")")/clang++; [ -x "$clang" ] && CXX=$clang; }
fi
"$CXX" -std=c++20 -O3 -DNDEBUG -Wall -Wextra -Werror -o "$out/reference.new" perf/reference/*.cpp -lsimdjson -lssl -lcrypto
mv "$out/reference.new" "$out/reference"
say "$out/reference"
