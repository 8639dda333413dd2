#!/usr/bin/env bash
# Redis that fails over by its Sentinels: the tests of FailoverTests in their long form, and the pauses that they print, held to the bounds
# below. They are times, so no assertion of a test has them.
#
#   scripts/failover.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
FASTFEED_NIGHTLY=1 scripts/test.sh --filter FailoverTests 2>&1 | tee "$log" || code=$?

failures=0
# at_most BOUND TIMES WHAT: so often the tests have printed it, and never more seconds than that.
at_most() {
    local seconds found=0
    while read -r seconds; do
        found=$((found + 1))
        awk -v a="$seconds" -v b="$1" 'BEGIN { exit !(a <= b) }' || failures=$((failures + 1))
        printf 'failover, %s %s s, at most %s\n' "$3" "$seconds" "$1"
    done < <(sed -nE "s/^failover, $3 ([0-9.]+) s$/\\1/p" "$log")
    [ "$found" -eq "$2" ] || fail "'$3' stands $found times in what the tests say, instead of $2"
}
[ $code -eq 0 ] || fail "the tests fail"
say ""
# Sentinel declares it gone after 1 s.
at_most 3.5 1 "killed: candles again after"
at_most 1.5 3 "planned: no candle for"
# The Sentinels themselves need up to a second to see what they have promoted; nobody can know it before they say so.
at_most 2.0 1 "hung: gone from the old primary after a Sentinel named the new one in"
[ $failures -eq 0 ] || fail "$failures pauses are too long"
