# Shared by the scripts that hold to bounds what tests print: times, which no assertion of a test may know. Sourced, not run, after common.sh.

told=$(mktemp)
trap 'rm -f "$told"' EXIT
failures=0

# run_long FILTER: the tests in their long form, heard to the end.
run_long() {
    FASTFEED_NIGHTLY=1 scripts/test.sh --filter "$1" 2>&1 | tee "$told" || fail "the tests fail"
    say ""
}

# at_most BOUND TIMES WHAT: so often a line that begins with WHAT and seconds is among what they have printed, and never more seconds.
at_most() {
    local seconds found=0
    while read -r seconds; do
        found=$((found + 1))
        awk -v a="$seconds" -v b="$1" 'BEGIN { exit !(a <= b) }' || failures=$((failures + 1))
        say "$3 $seconds s, at most $1"
    done < <(sed -nE "s/^$3 ([0-9.]+) s.*/\\1/p" "$told")
    [ "$found" -eq "$2" ] || fail "'$3' stands $found times in what the tests say, instead of $2"
}

# The verdict.
judge_times() { [ $failures -eq 0 ] || fail "$failures times are too long"; }
