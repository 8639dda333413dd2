#!/usr/bin/env bash
# The churn: exchange, redis-server and feedd as processes, and a flux that is created and stopped once a second beside one that
# stays; at the end nothing may be left of them (perf/README.md). Exit status 1 when anything leaks.
#
#   scripts/churn.sh MINUTES [--record] [FLAGS of `Benchmarks churn`…]
#
# --record writes perf/results/churn-DATE.txt.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ ${1:-} =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "usage: $(basename "$0") MINUTES [--record] [FLAGS]"
minutes=$1
shift
take_flags churn "$@"
output=/dev/null
[ -z "$record" ] || output=$record.txt
scripts/setup.sh
swift_build --product feedd --quiet
swift_build --product Benchmarks --quiet
"$built/Benchmarks" churn --minutes "$minutes" "${flags[@]}" \
    --commit "$(commit)" | tee "$output"
