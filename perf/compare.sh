#!/usr/bin/env bash
# FastFeed against the C++ reference, in turns, against the same exchange and redis-server (perf/README.md). Prints each
# figure of both, the ratio, and what the ratio should be.
#
#   perf/compare.sh [ROUNDS] [FILTER and flags of `Benchmarks reference`…]
#   perf/compare.sh 5                          # all cases, five rounds: about twenty-five minutes
#   perf/compare.sh 3 saturated --seconds 8
#   perf/compare.sh 5 --out perf/results/compare-NAME.json
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

take_rounds "$@"
step "build reference" perf/reference/build.sh >&2
build_all
exec "$built/Benchmarks" reference --rounds "$rounds" "${flags[@]}"
