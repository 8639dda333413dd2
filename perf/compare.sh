#!/usr/bin/env bash
# FastFeed against the C++ reference, in turns, against the same exchange and redis-server (perf/README.md). Prints each
# figure of both, the ratio, and what the ratio should be.
#
#   perf/compare.sh [ROUNDS] [FILTER and flags of `Benchmarks reference`…]
#   perf/compare.sh 5                          # all cases, five rounds: about twenty-five minutes
#   perf/compare.sh 3 saturated --seconds 8
#   perf/compare.sh 5 --out perf/results/compare-NAME.json
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

rounds=3
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    rounds=$1
    shift
fi
scripts/setup.sh
step "build reference" perf/reference/build.sh >&2
step "build" swift_build >&2
exec "$built/Benchmarks" reference --rounds "$rounds" "$@"
