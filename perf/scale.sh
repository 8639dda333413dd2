#!/usr/bin/env bash
# Memory and CPU of feedd from ten series to ten thousand, over one to ten connections and one and two readers (perf/README.md);
# about ten minutes.
#
#   perf/scale.sh [--record] [FILTER and flags of `Benchmarks scale`…]
#
# --record writes perf/results/scale-DATE.json, .txt and .svg.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

flags=()
name=
for flag in "$@"; do
    case $flag in
        --record) name="perf/results/scale-$(date -u +%Y%m%dT%H%M%SZ)" ;;
        *) flags+=("$flag") ;;
    esac
done
scripts/setup.sh >&2
step "build" swift build -c release >&2
program="$(swift build -c release --show-bin-path)/Benchmarks"
[ -n "$name" ] || exec "$program" scale "${flags[@]}"
"$program" scale "${flags[@]}" --out "$name.json" | tee "$name.txt"
perf/scale-chart.py "$name.json" >"$name.svg"
say "" "recorded: $name.json $name.txt $name.svg"
