#!/usr/bin/env bash
# Tests under a sanitizer, in an optimised build of its own: what is shipped, and fast enough for the suites that keep to
# the clock. (jemalloc stays linked and idle: the sanitizer's allocator comes first.) Nothing is suppressed. Further
# arguments go to `swift test`; without any, all tests run. What a sanitizer makes meaningless, such as speeds and
# jemalloc's counts, is skipped and says so.
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
optional "${for_tests[@]}" || true

export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
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
    # One test at a time, as in test.sh.
    FASTFEED_SANITIZER=$kind swift test -c release --scratch-path ".build-$kind" --sanitize="$kind" "${flags[@]:+${flags[@]}}" --no-parallel "$@"
done
