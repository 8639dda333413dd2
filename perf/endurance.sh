#!/usr/bin/env bash
# feedd flat out over a hundred million frames: memory stays flat, and the data path allocates nothing (perf/README.md). Three
# minutes. Exit status 1 when anything does not hold.
#
#   perf/endurance.sh [--record] [FLAGS of `Benchmarks endurance`…]
#
# --record writes perf/results/endurance-DATE.json.gz and .txt.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

trial endurance "$@"
