#!/usr/bin/env bash
# What takes too long for every change: long tests of healing, fuzzing, many worlds, sanitizers, comparisons with C++, trials, alerts.
# Goes on after a failure, says at the end what took how long, and fails if anything failed. A part that cannot run here is skipped, aloud.
#
#   scripts/nightly.sh [PART…]     without any, all of them, in the order of the list below
#   scripts/nightly.sh --list      the parts and what they run
#
# What each part says: .build/nightly/PART.log.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# name, about how many minutes on two cores, command.
parts=(
    "tests       4  env FASTFEED_NIGHTLY=1 scripts/test.sh --filter BenchmarkSmokeTests"
    "heal      130  env FASTFEED_NIGHTLY=1 scripts/test.sh --filter SystemTests.Heal"
    "streams     6  env FASTFEED_NIGHTLY=1 scripts/test.sh --filter SystemTests.(Candle)?Stream"
    "failover    3  scripts/failover.sh"
    "group       6  scripts/group.sh"
    "cluster    10  scripts/cluster.sh"
    "simulate    7  scripts/simulate.sh 20000"
    "pair        5  scripts/simulate.sh 10000 --pair"
    "sinks       5  env FASTFEED_SEEDS=1000 scripts/test.sh --filter (Cluster|Group)SinkTests"
    "fuzz       13  scripts/fuzz.sh 60"
    "address    10  scripts/sanitize.sh address"
    "thread     45  scripts/sanitize.sh thread"
    "compare     6  perf/compare.sh 1"
    "scale      10  perf/scale.sh"
    "churn       6  scripts/churn.sh 5"
    "endurance   5  perf/endurance.sh"
    "overload    2  perf/overload.sh"
    "soak        7  scripts/soak.sh 5"
    "clients     5  scripts/other-clients.sh"
    "python      4  scripts/python-client.sh --servers"
    "exchange    2  scripts/exchange-clients.sh"
    "servers     7  scripts/redis-versions.sh"
    "arm64       1  scripts/check-arm64.sh"
    "autobahn    2  scripts/autobahn.sh"
    "alerts     11  scripts/alerts.sh"
    "ops-load    8  scripts/ops-load.sh"
    "seccomp     9  scripts/seccomp.sh"
    "page        4  scripts/page.sh"
    "deploy      8  scripts/deploy-test.sh files redis nginx backup release"
    "image       4  scripts/deploy-test.sh image"
    "rebuild     8  scripts/reproducible.sh"
    "upgrade     5  scripts/deploy-test.sh upgrade"
    "package     3  scripts/package-test.sh"
)

if [ "${1:-}" = --list ]; then
    for part in "${parts[@]}"; do
        read -r name minutes command <<<"$part"
        printf '%-12s%3d min   %s\n' "$name" "$minutes" "$command"
    done
    exit
fi
wanted=("$@")
for name in "${wanted[@]:+${wanted[@]}}"; do
    printf '%s\n' "${parts[@]}" | grep -q "^$name " || fail "no part '$name'; see: $0 --list"
done

logs=.build/nightly
mkdir -p "$logs"
results=()
failures=0
for part in "${parts[@]}"; do
    read -r name minutes command <<<"$part"
    [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || continue
    printf '\n%s\n' "== $name: $command (about $minutes min)"
    started=$SECONDS
    result=passed
    # No input: nothing may wait for somebody.
    # shellcheck disable=SC2086
    $command </dev/null >"$logs/$name.log" 2>&1 || result=FAILED
    ! grep -q '^skipped' "$logs/$name.log" || [ $result = FAILED ] || result=skipped
    if [ $result = FAILED ]; then
        failures=$((failures + 1))
        tail -n 60 "$logs/$name.log"
    else
        head -n -12 "$logs/$name.log" | grep -i 'skipped' | grep -v '^➜' || true
        tail -n 12 "$logs/$name.log"
    fi
    results+=("$(printf '%-12s%-8s%6ds' "$name" $result $((SECONDS - started)))")
done

printf '\n%s\n' "part        result   time"
printf '%s\n' "${results[@]}"
[ $failures -eq 0 ] || fail "$failures of ${#results[@]} parts failed; what they said: $logs/PART.log"
