#!/usr/bin/env bash
# The soak: exchange, redis-server and feedd as processes, 2,000 streams and 20,000 frames a second, a random fault
# every 5 s; at the end every candle is compared (perf/README.md). Exit status 1 when anything does not hold.
#
#   scripts/soak.sh MINUTES [SEED] [--record] [FLAGS of `Benchmarks soak`…]
#
# --record writes perf/results/soak-DATE.json.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ ${1:-} =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "usage: $(basename "$0") MINUTES [SEED] [--record] [FLAGS]"
minutes=$1
seed=()
shift
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seed=(--seed "$1")
    shift
fi
take_flags soak "$@"
[ -z "$record" ] || flags+=(--record "$record.json")
scripts/setup.sh
swift_build --product feedd --quiet
swift_build --product Benchmarks --quiet
exec "$built/Benchmarks" soak --minutes "$minutes" "${seed[@]}" "${flags[@]}" --commit "$(commit)"
