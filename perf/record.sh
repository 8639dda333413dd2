#!/usr/bin/env bash
# Records a run of the benchmarks into perf/results/DATE-MACHINE.{json,txt}. Arguments go to `Benchmarks`. The machine's
# name is made of its processor and cores; FASTFEED_MACHINE sets another.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)
machine=${FASTFEED_MACHINE:-$(printf '%s' "${cpu:-$(uname -m)} $(nproc) cores" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' '-')}
name=perf/results/$(date -u +%Y-%m-%dT%H%M)-$machine
mkdir -p perf/results

step "build" swift build -c release
read -r load _ </proc/loadavg
awk -v load="$load" 'BEGIN { exit !(load > 0.3) }' &&
    say "load average $load: the build's own load passes in a minute; other programs at work spoil the figures"
"$(swift build -c release --show-bin-path)/Benchmarks" --out "$name.json" "$@" | tee "$name.txt"
say "" "recorded: $name.json $name.txt"
