#!/usr/bin/env bash
# Redis that fails over by its Sentinels: the tests of FailoverTests in their long form, and the pauses that they print, held to the bounds
# below.
#
#   scripts/failover.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source scripts/told-times.sh

run_long FailoverTests
# Sentinel declares it gone after 1 s.
at_most 3.5 1 "failover, killed: candles again after"
at_most 1.5 3 "failover, planned: no candle for"
# The Sentinels themselves need up to a second to see what they have promoted; nobody can know it before they say so.
at_most 2.0 1 "failover, hung: gone from the old primary after a Sentinel named the new one in"
judge_times
