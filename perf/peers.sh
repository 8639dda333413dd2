#!/usr/bin/env bash
# FastFeed against its peers, in turns: cryptofeed, and a SwiftNIO program as most would write it (perf/peers/README.md).
# Installs what they need into .build/peers. Prints each figure, the ratio, and what the ratio should be.
#
#   perf/peers.sh [ROUNDS] [flags of `Benchmarks reference`…]
#   perf/peers.sh 3                            # about eight minutes
#   perf/peers.sh 1 --seconds 2
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

take_rounds "$@"
scripts/setup.sh
step "build peers" perf/peers/build.sh >&2
exec perf/compare.sh "$rounds" peers "${flags[@]}"
