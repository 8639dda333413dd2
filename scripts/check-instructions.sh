#!/usr/bin/env bash
# Instructions of each room's loop for one unit, counted by callgrind and held to the limits of perf/instructions.txt. The same
# on a busy machine; another processor may choose other kernels of simdjson and of the C library.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v valgrind >/dev/null || fail "no valgrind: scripts/setup.sh"
[ -x .build/release/Benchmarks ] || fail "no .build/release/Benchmarks: swift build -c release"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Valgrind does not read Swift's debug information, and stops at it.
objcopy --strip-debug .build/release/Benchmarks "$scratch/Benchmarks"

declare -A loops=(
    [parse]='*ParseBench*run*FZ' [parse-narrow]='*ParseBench*run*FZ' [parse-in-order]='*ParseBench*run*FZ' [parse-any-order]='*ParseBench*run*FZ' [frame-decode]='*FrameBench*run*FZ' [ring]='*RingBench*ping*' [coalesce]='*TableBench*acceptAll*'
    [encode]='*EncodeBench*run*FZ' [encode-closed]='*EncodeBench*run*FZ' [replies]='*ReplyBench*run*FZ'
)
faults=0
printf '%-18s%14s%10s\n' room instructions limit
while read -r room limit unit; do
    case $room in '' | '#'*) continue ;; esac
    units=$(valgrind --tool=callgrind --toggle-collect="${loops[$room]}" --callgrind-out-file=/dev/null \
        "$scratch/Benchmarks" count "$room" 2>"$scratch/log") || { cat "$scratch/log"; fail "$room cannot be counted"; }
    if [ "$units" = narrow ]; then
        printf '%-18s%14s\n' "$room" 'no AVX2 here'
        continue
    fi
    total=$(sed -nE 's/.*Collected : ([0-9]+).*/\1/p' "$scratch/log")
    each=$((total / units))
    [ "$each" -gt 0 ] || fail "$room: nothing was counted; its loop has another name now"
    mark=''
    if [ "$each" -gt "$limit" ]; then
        mark='  MORE THAN THE LIMIT'
        faults=$((faults + 1))
    fi
    printf '%-18s%14d%10d a %s%s\n' "$room" "$each" "$limit" "$unit" "$mark"
done <perf/instructions.txt
[ "$faults" -eq 0 ] || fail "$faults rooms take more instructions than perf/instructions.txt allows"
