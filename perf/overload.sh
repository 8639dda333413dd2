#!/usr/bin/env bash
# For a minute three times more comes in than Redis can write: what is lost (nothing), what conflates, how long it takes to
# recover (perf/README.md). About two minutes. Exit status 1 when anything does not hold.
#
#   perf/overload.sh [--record] [FLAGS of `Benchmarks overload`…]
#
# --record writes perf/results/overload-DATE.json.gz and .txt.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

trial overload "$@"
