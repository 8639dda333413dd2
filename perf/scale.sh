#!/usr/bin/env bash
# Memory and CPU of feedd from ten series to ten thousand, over one to ten connections and one and two readers (perf/README.md);
# about ten minutes.
#
#   perf/scale.sh [--record] [FILTER and flags of `Benchmarks scale`…]
#
# --record writes perf/results/scale-DATE.json, .txt and .svg.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

take_flags scale "$@"
scripts/setup.sh >&2
step "build" swift_build >&2
program="$built/Benchmarks"
[ -n "$record" ] || exec "$program" scale "${flags[@]}"
"$program" scale "${flags[@]}" --out "$record.json" | tee "$record.txt"
perf/scale-chart.py "$record.json" >"$record.svg"
say "" "recorded: $record.json $record.txt $record.svg"
