#!/usr/bin/env bash
# Records a run of the benchmarks into perf/results/DATE-MACHINE.{json.gz,txt}. Arguments go to `Benchmarks`. The machine's
# name is made of its processor and cores; FASTFEED_MACHINE sets another.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)
machine=${FASTFEED_MACHINE:-$(printf '%s' "${cpu:-$(uname -m)} $(nproc) cores" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' '-')}
name=perf/results/$(date -u +%Y-%m-%dT%H%M)-$machine

build_all

# The build's own load passes in a minute or two; what other programs do spoils the figures.
load_max=0.7
load() { cut -d' ' -f1 /proc/loadavg; }
is_quiet() { awk -v load="$(load)" -v max="$load_max" 'BEGIN { exit !(load < max) }'; }
for _ in $(seq 36); do
    is_quiet && break
    sleep 5
done
is_quiet || say "the load average is still $(load) after three minutes, not below $load_max: other programs are at work"
keep "$name" --out "$built/Benchmarks" "$@"
