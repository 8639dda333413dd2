#!/usr/bin/env bash
# The tests that start the real program, with the program under the system call filter of its unit (deploy/feedd.service): what the service
# does there, it may do. The filter is read from the unit, its groups are systemd's, what is not allowed fails with EPERM. Skipped, aloud,
# where systemd-analyze or python3-seccomp is not to be had.
#
#   scripts/seccomp.sh               all of these tests: about nine minutes beside other work
#   scripts/seccomp.sh --filter X    some, with the flags of `swift test`
#
# UNIT=FILE takes the filter of that one, TESTS=PROGRAM this bundle (beside it: feedd, Benchmarks) instead of building. What the tests say:
# .build/seccomp/filtered.log.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

unit=${UNIT:-deploy/feedd.service}
[ -f "$unit" ] || fail "there is no $unit"
if ! optional python3-seccomp systemd; then
    say "skipped: no filter"
    exit 0
fi
logs=.build/seccomp
source scripts/groups.sh
if [ ! -x "${TESTS:-}" ]; then
    scripts/setup.sh
    optional "${for_tests[@]}" || true
    step "build" swift_build --build-tests
    TESTS=${tests[0]}
fi
rm -rf "$logs"
mkdir -p "$logs"

# Debian's Python: the module is of its packages. The tests start the `feedd` that stands beside them, and consumers of streams, which are
# not under the filter.
for program in "$TESTS" "$(dirname "$TESTS")/Benchmarks"; do ln "$program" "$logs/" 2>/dev/null || cp "$program" "$logs/"; done
/usr/bin/python3 scripts/unit-filter.py "$unit" "$logs/feedd" "$(dirname "$TESTS")/feedd"
tests[0]=$logs/$(basename "$TESTS")

# A filter that allows everything would let all tests pass: what every user may do is refused.
/usr/bin/python3 scripts/unit-filter.py "$unit" "$logs/nice" /usr/bin/nice >/dev/null
[ "$(nice -n 5 nice)" != "$("$logs/nice" -n 5 nice 2>/dev/null)" ] || fail "setpriority is not refused"
"$logs/feedd" --version >/dev/null || fail "feedd does not start under the filter"

if [ $# -eq 0 ]; then
    suites=$(grep -rlE 'ProgramRun|OpsRig' Tests/SystemTests | xargs grep -hoE '^(struct|final class) [A-Za-z]+Tests\b' |
        sed 's/.* //' | sort -u | paste -sd '|')
    set -- --filter "^SystemTests\.($suites)/"
fi
group filtered --no-parallel "$@"
sum
