# Shared by the scripts that run groups of tests: processes of their own, whose results are added up. Sourced, not run, after
# common.sh and with `logs` set: what each group says is in GROUP.log there.

groups=()
# The program of `swift test`, without SwiftPM, which lets no two of it run at once.
tests=("$built/FastFeedPackageTests.xctest" --testing-library swift-testing)
# What it says is read below.
export NO_COLOR=1

# group NAME FLAGS…: a process of its own runs the tests that the flags choose. Prints a line when it is done.
group() {
    local name=$1 log=$logs/$1.log started=$SECONDS result=ok code=0
    shift
    groups+=("$name")
    "${tests[@]}" "$@" >"$log" 2>&1 </dev/null || code=$?
    [ $code -eq 0 ] || result=FAILED
    echo $code >"$logs/$name.code"
    printf '%-32s%s %5ds   %s\n' "tests: $name" $result $((SECONDS - started)) "$(grep -oE '[0-9]+ tests? in .*' "$log" | tail -n 1)"
}

# What failed, where it is looked for, and the sum, on the last line.
sum() {
    local name passed=0 failed=0 skipped=0 ran wrong left
    for name in "${groups[@]}"; do
        ran=$(sed -nE 's/.*Test run with ([0-9]+) tests? .*/\1/p' "$logs/$name.log" | tail -n 1)
        wrong=$(grep -E '^✘ Test .* failed after' "$logs/$name.log" | grep -cv '^✘ Test run ' || true)
        left=$(grep -cE '^➜ Test .* skipped' "$logs/$name.log" || true)
        # A crash counts as a failure; what it had run by then is not known.
        if [ -z "$ran" ] || { [ "$wrong" -eq 0 ] && [ "$(<"$logs/$name.code")" -ne 0 ]; }; then
            ran=$((${ran:-0} + 1))
            wrong=$((wrong + 1))
            printf '\n%s\n' "$name did not come to its end:"
            tail -n 60 "$logs/$name.log"
        fi
        if [ "$wrong" -gt 0 ]; then
            printf '\n%s\n' "$name, what failed (all of it: $logs/$name.log):"
            grep -E '^(✘|↳)' "$logs/$name.log" | grep -v '^↳ T[a-z]* [A-Z]' | tail -n 100 || true
        fi
        passed=$((passed + ran - wrong - left))
        failed=$((failed + wrong))
        skipped=$((skipped + left))
    done
    printf '\n%s\n' "$passed passed, $failed failed, $skipped skipped"
    [ $failed -eq 0 ]
}
