#!/usr/bin/env bash
# Tests under a sanitizer, in a build of its own. (jemalloc stays linked and idle: the sanitizer's allocator
# comes first.) Further arguments go to `swift test`; without any, the unit tests and the simulator's run.
#
#   scripts/sanitize.sh thread|address|both [--filter WholePath …]
#
# address: bounds and lifetimes in Swift and C alike, and undefined behaviour in CShims.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

kind=${1:-}
case $kind in
    thread | address) kinds=("$kind") ;;
    both) kinds=(address thread) ;;
    *) fail "usage: $(basename "$0") thread|address|both [arguments of swift test]" ;;
esac
shift
scripts/setup.sh
[ $# -gt 0 ] || set -- --filter FastFeedTests --filter SimulatorTests

export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 suppressions=$PWD/scripts/tsan-suppressions.txt ${TSAN_OPTIONS:-}"
# Leaks are not looked for: what the Swift runtime and the test library keep for the life of the process is
# reported as leaked.
export ASAN_OPTIONS="detect_leaks=0 detect_stack_use_after_return=1 ${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"
# The checks that need no runtime of their own for C++ types.
undefined="-fsanitize=undefined -fno-sanitize=vptr,function -fno-sanitize-recover=undefined"

for kind in "${kinds[@]}"; do
    say "sanitizer: $kind"
    flags=()
    if [ "$kind" = address ]; then
        for flag in $undefined; do flags+=(-Xcc "$flag" -Xcxx "$flag"); done
    fi
    swift test --scratch-path ".build-$kind" --sanitize="$kind" "${flags[@]:+${flags[@]}}" "$@"
done
