#!/usr/bin/env bash
# Everything that must hold before a change goes in: rooms, format, build, what the hot path may cost, tests. Arguments go to `swift test`,
# as in `scripts/test.sh --filter FastFeedTests`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

step "setup" scripts/setup.sh
step "rooms" scripts/check-rooms.sh
step "format" scripts/format.sh --check
# The configuration of demo.sh, so that nothing is built twice.
step "build" swift build -c release --build-tests
step "hot path" scripts/check-hot-path.sh
step "instructions" scripts/check-instructions.sh
# A few seconds for each reader of foreign bytes; scripts/fuzz.sh takes as long as it is told.
[ $# -gt 0 ] || step "fuzz" scripts/fuzz.sh 5
say "tests"
# One test at a time: most of them start servers, and two cores are soon busy.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! swift test -c release --skip-build --no-parallel "$@" 2>&1 | tee "$log"; then
    # Once more at the end, where it is looked for: what failed, up to the summary.
    say "" "what failed:"
    grep -E '^(✘|↳)' "$log" | tail -n 100
    exit 1
fi
