#!/usr/bin/env bash
# A group of services: the tests of a group in their long form, and the silences that they print, held to the bounds below. They are times,
# so no assertion of a test has them.
#
#   scripts/group.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
FASTFEED_NIGHTLY=1 scripts/test.sh --filter SystemTests.Group 2>&1 | tee "$log" || code=$?

failures=0
# at_most BOUND TIMES WHAT: so often the tests have printed it, and never more seconds of silence than that.
at_most() {
    local seconds found=0
    while read -r seconds; do
        found=$((found + 1))
        awk -v a="$seconds" -v b="$1" 'BEGIN { exit !(a <= b) }' || failures=$((failures + 1))
        printf 'group, %s: silent %s s, at most %s\n' "$3" "$seconds" "$1"
    done < <(sed -nE "s/^group, $3: silence ([0-9.]+) s.*/\\1/p" "$log")
    [ "$found" -eq "$2" ] || fail "'$3' stands $found times in what the tests say, instead of $2"
}
[ $code -eq 0 ] || fail "the tests fail"
say ""
# The tests' TTL is 2 s.
at_most 4.0 1 killed
at_most 1.0 1 joins
at_most 1.0 3 replaced
at_most 1.0 1 woken
[ $failures -eq 0 ] || fail "$failures silences are too long"
