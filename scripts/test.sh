#!/usr/bin/env bash
# Everything that must hold before a change goes in: rooms, laws, format, build, what the hot path may cost, tests.
#
#   scripts/test.sh            all of it; what takes longer is scripts/nightly.sh
#   scripts/test.sh --quick    rooms, laws, format, the unit tests and the simulated worlds
#   scripts/test.sh FLAGS…     builds and runs some tests, one after the other, as in: scripts/test.sh --filter FastFeedTests
#
# What each group of tests says: .build/tests/GROUP.log.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

logs=.build/tests
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

quick=
case ${1:-} in
    --quick) quick=1 ;;
    '') ;;
    *)
        step "setup" scripts/setup.sh
        step "build" swift_build --build-tests
        exec "${tests[@]}" --no-parallel "$@"
        ;;
esac

step "setup" scripts/setup.sh
step "rooms" scripts/check-rooms.sh
step "laws" scripts/check-laws.sh
step "format" scripts/format.sh --check
# The configuration of demo.sh, so that nothing is built twice.
step "build" swift_build --build-tests
if [ -z "$quick" ]; then
    step "hot path" scripts/check-hot-path.sh
    step "instructions" scripts/check-instructions.sh
fi
mkdir -p "$logs"
rm -f "$logs"/*

# Groups are told apart by suites; the last of several takes what the others leave, so that none is forgotten.
system='^SystemTests\.'
# They measure, or count on a quiet machine.
quiet="$system(AllocationTests|CommandLoadTests|LongRunTests|BenchmarkSmokeTests)/"
faults="$system(FaultTests|RefusalTests)/"
service="$system(Access|Client|CommandLine|Discovery|Flux|RedisServer|RedisSubscriber|ServiceDeath)"

if [ -n "$quick" ]; then
    group units --skip "$system" --skip '^SimulatorTests\.'
    sum
    exit
fi
group units --skip "$system"
# Most of these wait: for closed candles, for time-outs, for processes. Each takes less than half a core, and has one server at a time.
group faults --no-parallel --filter "$faults" &
group service --no-parallel --filter "$service" --skip "$quiet" &
group system --no-parallel --filter "$system" --skip "$faults" --skip "$service" --skip "$quiet" &
wait
groups+=(faults service system)
group quiet --no-parallel --filter "$quiet"
sum
