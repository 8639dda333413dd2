#!/usr/bin/env bash
# feedd flat out over a hundred million frames: memory stays flat, and the data path allocates nothing (perf/README.md). Two to
# five minutes. Exit status 1 when anything does not hold.
#
#   perf/endurance.sh [--record] [FLAGS of `Benchmarks endurance`…]
#
# --record writes perf/results/endurance-DATE.json.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

flags=()
for flag in "$@"; do
    case $flag in
        --record) flags+=(--record "perf/results/endurance-$(date -u +%Y%m%dT%H%M%SZ).json") ;;
        *) flags+=("$flag") ;;
    esac
done
scripts/setup.sh >&2
step "build" swift build -c release >&2
exec "$(swift build -c release --show-bin-path)/Benchmarks" endurance "${flags[@]}" --commit "$(git describe --always --dirty 2>/dev/null || true)"
