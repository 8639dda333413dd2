#!/usr/bin/env bash
# Instructions of each room's loop for one unit, counted by callgrind and held to the limits of perf/instructions.txt. The same
# on a busy machine; another processor may choose other kernels of simdjson and of the C library.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v valgrind >/dev/null || fail "no valgrind: scripts/setup.sh"
[ -x "$built/Benchmarks" ] || fail "no $built/Benchmarks: scripts/test.sh builds it"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Valgrind does not read Swift's debug information, and stops at it.
objcopy --strip-debug "$built/Benchmarks" "$scratch/Benchmarks"

# The function whose instructions are a room's.
loop() {
    case $1 in
        parse*) echo '*ParseBench*run*FZ' ;;
        frame-decode) echo '*FrameBench*run*FZ' ;;
        ring) echo '*RingBench*ping*' ;;
        coalesce) echo '*TableBench*acceptAll*' ;;
        encode*) echo '*EncodeBench*run*FZ' ;;
        replies) echo '*ReplyBench*run*FZ' ;;
        *) fail "no room '$1'" ;;
    esac
}

# count ROOM UNITS: leaves how many units were run in SCRATCH/ROOM.units, and what callgrind says in SCRATCH/ROOM.log.
count() {
    valgrind --tool=callgrind --toggle-collect="$(loop "$1")" --callgrind-out-file=/dev/null \
        "$scratch/Benchmarks" count "$1" "$2" >"$scratch/$1.units" 2>"$scratch/$1.log" || echo failed >"$scratch/$1.units"
}

mapfile -t rooms < <(grep -vE '^(#|$)' perf/instructions.txt)
for line in "${rooms[@]}"; do
    read -r room _ units _ <<<"$line"
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
    count "$room" "$units" &
done
wait

faults=0
printf '%-18s%14s%10s\n' room instructions limit
for line in "${rooms[@]}"; do
    read -r room limit _ unit <<<"$line"
    units=$(<"$scratch/$room.units")
    case $units in
        narrow)
            printf '%-18s%14s\n' "$room" 'no AVX2 here'
            continue
            ;;
        failed) cat "$scratch/$room.log"; fail "$room cannot be counted" ;;
    esac
    total=$(sed -nE 's/.*Collected : ([0-9]+).*/\1/p' "$scratch/$room.log")
    each=$((total / units))
    [ "$each" -gt 0 ] || fail "$room: nothing was counted; its loop has another name now"
    mark=''
    if [ "$each" -gt "$limit" ]; then
        mark='  MORE THAN THE LIMIT'
        faults=$((faults + 1))
    fi
    printf '%-18s%14d%10d a %s%s\n' "$room" "$each" "$limit" "$unit" "$mark"
done
[ "$faults" -eq 0 ] || fail "$faults rooms take more instructions than perf/instructions.txt allows"
