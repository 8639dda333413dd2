#!/usr/bin/env bash
# Memory and CPU of feedd from ten series to ten thousand, over one to ten connections and one and two readers (perf/README.md);
# about twelve minutes.
#
#   perf/scale.sh [--record] [FILTER and flags of `Benchmarks scale`…]
#
# --record writes perf/results/scale-DATE.json.gz, .txt and .svg.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

take_flags scale "$@"
build_all
set -- "$built/Benchmarks" scale "${flags[@]}"
[ -n "$record" ] || exec "$@"
keep "$record" --out "$@"
perf/scale-chart.py "$record.json.gz" >"$record.svg"
