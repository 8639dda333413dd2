#!/usr/bin/env bash
# The churn: exchange, redis-server and feedd as processes, and a flux that is created and stopped once a second beside one that
# stays; at the end nothing may be left of them (perf/README.md). Exit status 1 when anything leaks.
#
#   scripts/churn.sh MINUTES [--record] [FLAGS of `Benchmarks churn`…]
#
# --record writes perf/results/churn-DATE.json.gz and .txt.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../perf/common.sh"

[[ ${1:-} =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "usage: $(basename "$0") MINUTES [--record] [FLAGS]"
minutes=$1
shift
trial churn --minutes "$minutes" "$@"
