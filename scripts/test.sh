#!/usr/bin/env bash
# Everything that must hold before a change goes in: rooms and their drawing, laws, format, build, what the hot path may cost, tests.
#
#   scripts/test.sh            all of it; what takes longer is scripts/nightly.sh
#   scripts/test.sh --quick    rooms and their drawing, laws, format, the unit tests and the simulated worlds
#   scripts/test.sh FLAGS…     builds and runs some tests, one after the other, as in: scripts/test.sh --filter FastFeedTests
#
# What each group of tests says: .build/tests/GROUP.log.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

logs=.build/tests
source scripts/groups.sh

quick=
case ${1:-} in
    --quick) quick=1 ;;
    '') ;;
    *)
        step "setup" scripts/setup.sh
        optional "${for_tests[@]}" || true
        step "build" swift_build --build-tests
        exec "${tests[@]}" --no-parallel "$@"
        ;;
esac

step "setup" scripts/setup.sh
[ -n "$quick" ] || optional "${for_tests[@]}" || true
step "rooms" scripts/check-rooms.sh
step "drawing" scripts/rooms.py --check
step "laws" scripts/check-laws.sh
step "format" scripts/format.sh --check
# The configuration of demo.sh, so that nothing is built twice.
step "build" swift_build --build-tests
if [ -z "$quick" ]; then
    # What is written must be the same on the oldest server and on the newest; all servers: scripts/redis-versions.sh.
    others=()
    for name in 6.2 8.2; do
        ! folder=$(scripts/redis-versions.sh --server $name) || others+=("$folder")
    done
    step "hot path" scripts/check-hot-path.sh
    step "instructions" scripts/check-instructions.sh
    step "hardening" scripts/check-hardening.sh
    step "documentation" scripts/docs.sh
    step "python client" scripts/python-client.sh
fi
mkdir -p "$logs"
rm -f "$logs"/*

# Groups are told apart by suites; the last of several takes what the others leave, so that none is forgotten.
system='^SystemTests\.'
# They measure, or count on a quiet machine.
quiet="$system(AllocationTests|CommandLoadTests|LongRunTests|BenchmarkSmokeTests)/"
faults="$system(FaultTests|RefusalTests)/"
connections="$system(ConnectionTests|WholePathTests)/"
heal="${system}Heal"
heal_faults="${system}HealFault"
ops="${system}(Ops|Prometheus)"
streams="$system(Stream|CandleStream)"
failover="${system}Failover"
members="${system}Group"
cluster="$system(Cluster|ClientShard)"
commands="$system(CommandLine|SharedRedis)"
service="$system(Access|Client|ConnectLedger|Discovery|Flux|Proxy|RedisServer|RedisSubscriber|ServiceDeath|Symbol)"
# Less than half a minute.
written="^FastFeedTests\.MergeScript(Round)?Tests/|^SimulationTests\.ModelTests/|${system}WholePathTests/(every|history|updates)"

if [ -n "$quick" ]; then
    group units --skip "$system" --skip '^SimulatorTests\.'
    sum
    exit
fi
group units --skip "$system"
# Most of these wait: for closed candles, for time-outs, for processes. Each takes less than half a core, and has one server at a time.
group faults --no-parallel --filter "$faults" &
group connections --no-parallel --filter "$connections" &
group commands --no-parallel --filter "$commands" --skip "$quiet" &
group service --no-parallel --filter "$service" --skip "$cluster" --skip "$quiet" &
group heal --no-parallel --filter "$heal" --skip "$heal_faults" &
group heal-faults --no-parallel --filter "$heal_faults" &
group ops --no-parallel --filter "$ops" &
group streams --no-parallel --filter "$streams" &
group failover --no-parallel --filter "$failover" &
group members --no-parallel --filter "$members" &
group cluster --no-parallel --filter "$cluster" &
group system --no-parallel --filter "$system" --skip "$faults" --skip "$connections" --skip "$commands" --skip "$service" --skip "$heal" \
    --skip "$ops" --skip "$streams" --skip "$failover" --skip "$members" --skip "$cluster" --skip "$quiet" &
(
    for folder in "${others[@]:+${others[@]}}"; do
        PATH="$folder:$PATH" group "redis-${folder##*/}" --no-parallel --filter "$written"
    done
) &
wait
groups+=(faults connections commands service heal heal-faults ops streams failover members cluster system)
for folder in "${others[@]:+${others[@]}}"; do groups+=("redis-${folder##*/}"); done
group quiet --no-parallel --filter "$quiet"
sum
