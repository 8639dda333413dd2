#!/usr/bin/env bash
# Tests under the thread sanitizer, in a build of their own. (jemalloc stays linked and idle: the sanitizer's
# allocator comes first.) Arguments go to `swift test`; without any, everything that needs no Redis runs.
#
#   scripts/sanitize.sh --filter WholePath
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh
[ $# -gt 0 ] || set -- --filter FastFeedTests --filter SimulatorTests
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 suppressions=$PWD/scripts/tsan-suppressions.txt ${TSAN_OPTIONS:-}"
swift test --scratch-path .build-tsan --sanitize=thread "$@"
