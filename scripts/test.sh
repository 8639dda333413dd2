#!/usr/bin/env bash
# Everything that must hold before a change goes in: rooms, format, build, tests. Arguments go to `swift test`,
# as in `scripts/test.sh --filter FastFeedTests`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

step "setup" scripts/setup.sh
step "rooms" scripts/check-rooms.sh
step "format" scripts/format.sh --check
# The configuration of demo.sh, so that nothing is built twice.
step "build" swift build -c release --build-tests
say "tests"
# One test at a time: most of them start servers, and two cores are soon busy.
swift test -c release --skip-build --no-parallel "$@"
