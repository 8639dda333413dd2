#!/usr/bin/env bash
# feedd flat out over a hundred million frames: memory stays flat, and the data path allocates nothing (perf/README.md). Three
# minutes. Exit status 1 when anything does not hold.
#
#   perf/endurance.sh [--record] [FLAGS of `Benchmarks endurance`…]
#
# --record writes perf/results/endurance-DATE.json.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

take_flags endurance "$@"
[ -z "$record" ] || flags+=(--record "$record.json")
scripts/setup.sh >&2
step "build" swift_build >&2
exec "$built/Benchmarks" endurance "${flags[@]}" --commit "$(commit)"
