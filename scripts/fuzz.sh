#!/usr/bin/env bash
# Fuzzes what reads foreign bytes, with libFuzzer and the address sanitizer (CShims also under the undefined
# behaviour sanitizer). One program holds all targets (Fuzz/Main.swift, Tests/FastFeedTests/Fuzz); it and the product's modules are compiled here,
# outside the package, so that nobody else's build pays for them.
#
#   scripts/fuzz.sh SECONDS [TARGET…]     fuzzes each target for that long
#   scripts/fuzz.sh --replay [TARGET…]    runs the kept inputs once
#   scripts/fuzz.sh --try TARGET FILE     runs one input, with everything it prints
#
# Kept inputs: Fuzz/seeds/TARGET. What a run finds is collected in .build-fuzz/corpus/TARGET and built upon by
# the next one. A finding ends the script; its input is named.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

work=.build-fuzz
program=$work/fuzz
# The slow parsers and the small builders are those of the tests.
sources=(Fuzz/*.swift Tests/FastFeedTests/Fuzz/*.swift Tests/FastFeedTests/Support/{Decoding,KlineText,Lending,PaddedMessage,ReferenceParser,RESPText}.swift)
all_targets=(frames upgrade proxy kline notice json replies streams encoders configuration utf8)
# The longest input of each: what the reader's own state can tell apart, and a little more.
declare -A longest=([frames]=768 [upgrade]=768 [proxy]=512 [kline]=1024 [notice]=512 [json]=512 [replies]=512 [streams]=768 [encoders]=768 [configuration]=256 [utf8]=128)

build() {
    local c=(-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=vptr,function
        -fno-sanitize-recover=undefined -ISources/CShims/include)
    local flags
    mapfile -t flags < <(language_flags)
    # Debug: assertions stay on, with the optimiser at work.
    local swift=(-package-name fastfeed -parse-as-library -wmo -O -assert-config Debug -g -sanitize=fuzzer,address
        -I "$work" -Xcc "-fmodule-map-file=$work/CShims/module.modulemap" "${flags[@]}")
    local objects=() source
    mkdir -p "$work/CShims"
    printf 'module CShims {\n    umbrella "%s"\n    export *\n}\n' "$PWD/Sources/CShims/include" >"$work/CShims/module.modulemap"
    for source in Sources/CShims/*.c; do
        clang "${c[@]}" -c "$source" -o "$work/$(basename "$source").o" || return 1
        objects+=("$work/$(basename "$source").o")
    done
    for source in Sources/CShims/*.cpp; do
        clang++ -std=c++17 "${c[@]}" -c "$source" -o "$work/$(basename "$source").o" || return 1
        objects+=("$work/$(basename "$source").o")
    done
    swiftc "${swift[@]}" -enable-testing -module-name FastFeed -emit-module -emit-module-path "$work/FastFeed.swiftmodule" \
        -c $(find Sources/FastFeed -name '*.swift' | sort) -o "$work/FastFeed.o" || return 1
    swiftc "${swift[@]}" -module-name TestKit -emit-module -emit-module-path "$work/TestKit.swiftmodule" \
        -c Tests/TestKit/*.swift -o "$work/TestKit.o" || return 1
    swiftc "${swift[@]}" -module-name Fuzz -emit-executable -emit-module -emit-module-path "$work/Fuzz.swiftmodule" "${sources[@]}" \
        "$work/FastFeed.o" "$work/TestKit.o" "${objects[@]}" \
        -lhiredis -lssl -lcrypto -lcurl -lsimdjson -lstdc++ -o "$program"
}

# libFuzzer must see the crash itself. Leaks are looked for at the end of a run. hiredis's buffers may not
# take what a peer announces.
run() {
    FUZZ_TARGET=$1 SWIFT_BACKTRACE=enable=no UBSAN_OPTIONS=print_stacktrace=1 "$program" -rss_limit_mb=1024 -malloc_limit_mb=128 \
        -timeout=10 -artifact_prefix="$work/findings/$1-" "${@:2}"
}

# The last line of statistics that libFuzzer printed under a name.
figure() { sed -nE "s/^stat::$2: *([0-9]+).*/\1/p" "$1" | tail -1; }

report() {
    local target=$1 log=$2
    printf '%-14s %12s executions %8s/s   coverage %5s edges, %6s features, %5s inputs, %4s MB\n' "$target" \
        "$(figure "$log" number_of_executed_units)" "$(figure "$log" average_exec_per_sec)" \
        "$(grep -oE 'cov: [0-9]+' "$log" | tail -1 | cut -d' ' -f2)" "$(grep -oE 'ft: [0-9]+' "$log" | tail -1 | cut -d' ' -f2)" \
        "$(grep -oE 'corp: [0-9]+' "$log" | tail -1 | cut -d' ' -f2)" "$(figure "$log" peak_rss_mb)"
}

found() {
    cat "$2"
    fail "$1: a finding; its input is $(grep -oE "$work/findings/[^ ]+" "$2" | tail -1), seen again with: $0 --try $1 FILE"
}

usage() { fail "usage: $(basename "$0") SECONDS|--replay [TARGET…], or --try TARGET FILE; targets: ${all_targets[*]}"; }

[ $# -gt 0 ] || usage
mode=$1
shift
[[ $mode == --replay || $mode == --try || $mode =~ ^[0-9]+$ ]] || usage
scripts/setup.sh
mkdir -p "$work/findings"
if [ ! -x "$program" ] || [ -n "$(find Sources/CShims Sources/FastFeed Tests/TestKit "${sources[@]}" Package.swift "$0" -newer "$program" -print -quit)" ]; then
    step "build" build
fi
if [ "$mode" = --try ]; then
    [ $# -eq 2 ] || usage
    run "$1" "$2"
    exit
fi
[ $# -gt 0 ] || set -- "${all_targets[@]}"
for target in "$@"; do
    [ -n "${longest[$target]:-}" ] || usage
    log=$work/$target.log
    corpus=$work/corpus/$target
    mkdir -p "$corpus"
    if [ "$mode" = --replay ]; then
        run "$target" Fuzz/seeds/"$target"/* >"$log" 2>&1 || found "$target" "$log"
        say "$target: $(find Fuzz/seeds/"$target" -type f | wc -l) inputs"
        continue
    fi
    dictionary=()
    [ ! -f "Fuzz/dictionaries/$target.dict" ] || dictionary=("-dict=Fuzz/dictionaries/$target.dict")
    run "$target" "${dictionary[@]:+${dictionary[@]}}" -max_len="${longest[$target]}" -max_total_time="$mode" -print_final_stats=1 \
        "$corpus" "Fuzz/seeds/$target" >"$log" 2>&1 || found "$target" "$log"
    report "$target" "$log"
done
