#!/usr/bin/env bash
# Streams by the library, by C over hiredis and by redis-py, in turns, against the same redis-server (perf/README.md). Prints each
# figure, the ratios, and what they should be. redis-py comes from PyPI into .build/peers; where it cannot, its part is left out, aloud.
#
#   perf/streams.sh [ROUNDS] [FILTER and flags of `Benchmarks streams`…] [--record]
#   perf/streams.sh                            # all cases, three rounds: about three minutes
#   perf/streams.sh 5 consume
#   perf/streams.sh --record                   # also writes perf/results/streams-DATE.json.gz and .txt
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

take_rounds "$@"
take_flags streams "${flags[@]}"
step "build reference" perf/reference/streams/build.sh >&2
if ! log=$(perf/peers/redis-py/build.sh 2>&1); then
    rm -rf .build/peers/redis-py
    say "redis-py is NOT measured: $log" >&2
fi
build_all
set -- "$built/Benchmarks" streams --rounds "$rounds" "${flags[@]}"
[ -n "$record" ] || exec "$@"
keep "$record" --out "$@"
