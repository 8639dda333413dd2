#!/usr/bin/env bash
# The unit tests under the thread sanitizer, in a build of their own. Arguments go to `swift test`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh
# The sanitizer brings its own allocator.
export FASTFEED_NO_JEMALLOC=1
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ${TSAN_OPTIONS:-}"
swift test --scratch-path .build-tsan --sanitize=thread --filter "${FASTFEED_FILTER:-FastFeedTests}" "$@"
