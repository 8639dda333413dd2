#!/usr/bin/env bash
# The capacity sheet: CPU, memory and latency of 300, 1,500 and 5,000 series at 1, 5 and 10 times the exchange's cadence
# (perf/README.md); about a quarter of an hour.
#
#   perf/capacity.sh [--record] [FLAGS of `Benchmarks scale`…]
#
# --record writes perf/results/capacity-DATE.json.gz and .txt, and the sheet in docs/operations.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

take_flags capacity "$@"
build_all
set -- "$built/Benchmarks" scale times- --seconds 20 --rounds 3 "${flags[@]}"
[ -n "$record" ] || exec "$@"
keep "$record" --out "$@"
sheet=$(mktemp)
perf/capacity-sheet.py "$record.json.gz" | tee "$sheet"
sed -i -e "/^<!-- capacity sheet/r $sheet" -e '/^<!-- capacity sheet/,/^<!-- end/{//!d}' docs/operations.md
rm "$sheet"
