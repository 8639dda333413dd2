#!/usr/bin/env bash
# The soak: exchange, redis-server and feedd as processes, 2,000 streams and 20,000 frames a second, a random fault
# every 5 s; at the end every candle is compared (perf/README.md). Exit status 1 when anything does not hold.
#
#   scripts/soak.sh MINUTES [SEED] [--record] [FLAGS of `Benchmarks soak`…]
#
# --record writes perf/results/soak-DATE.json.gz and .txt.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../perf/common.sh"

[[ ${1:-} =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "usage: $(basename "$0") MINUTES [SEED] [--record] [FLAGS]"
minutes=$1
seed=()
shift
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seed=(--seed "$1")
    shift
fi
trial soak --minutes "$minutes" "${seed[@]}" "$@"
