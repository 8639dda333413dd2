#!/usr/bin/env bash
# What a Redis Cluster costs: CPU of feedd and of the servers for a frame, three primaries against one server, all over TCP on this machine,
# in turns. (Not what three machines can take: here they share the cores.)
#
#   perf/cluster.sh [ROUNDS] [--updates sharded|off]     3 rounds of 2 × 10 s at 2,000 and at 20,000 frames a second
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

take_rounds "$@"
for command in redis-server redis-cli python3; do command -v $command >/dev/null || fail "$command is not installed"; done
build_all
program=$built/feedd
work=$(mktemp -d)
logs=$work/logs
mkdir "$logs"
source scripts/processes.sh

# server NAME [FLAGS]: on a free port, which becomes `port`.
server() {
    local name=$1
    shift
    port=$(free_port)
    mkdir "$work/$name"
    start "$name" redis-server --port "$port" --dir "$work/$name" --save '' --appendonly no "$@"
    eventually 10 redis-cli -p "$port" PING >/dev/null 2>&1 || fail "$name does not start"
}
server single
single=redis://127.0.0.1:$port
nodes=()
for name in one two three; do
    server $name --cluster-enabled yes
    nodes+=("127.0.0.1:$port")
done
redis-cli --cluster create "${nodes[@]}" --cluster-yes >"$logs/create.log"
is_whole() { redis-cli -p "${nodes[0]#*:}" CLUSTER INFO | grep -q cluster_state:ok; }
eventually 30 is_whole || fail "the cluster does not come to be"
cluster=redis+cluster://$(IFS=,; echo "${nodes[*]}")

cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
servers_cpu() {
    local sum=0 name
    for name in "$@"; do sum=$((sum + $(cpu "${pids[$name]}"))); done
    echo "$sum"
}
frames() { curl -sf "http://127.0.0.1:$ops/metrics" | awk '/^feedd_messages_total/ { print int($2) }'; }
flows() { [ "$(frames || echo 0)" -gt 1000 ]; }

# measure WHERE URL SERVERS…: microseconds of feedd's and of the servers' CPU for a frame, into a file of the rate and the place.
measure() {
    local where=$1 url=$2 before after own=("${flags[@]}")
    shift 2
    # One server has no shards: its messages go to it alone.
    [ "$where" = cluster ] || own=("${own[@]/sharded/classic}")
    ops=$(free_port)
    start feedd "$program" run --redis "$url" --venue-ws "ws://127.0.0.1:$venue" --venue-rest off --ops "127.0.0.1:$ops" \
        --report-seconds 0 --flux "$symbols:1m" "${own[@]}"
    eventually 30 flows || fail "feedd does not get frames: $(tail -n 3 "$logs/feedd.log")"
    sleep 2
    before=("$(frames)" "$(cpu "${pids[feedd]}")" "$(servers_cpu "$@")")
    sleep 10
    after=("$(frames)" "$(cpu "${pids[feedd]}")" "$(servers_cpu "$@")")
    end feedd
    awk -v n=$((after[0] - before[0])) -v own=$((after[1] - before[1])) -v theirs=$((after[2] - before[2])) \
        -v tick=$((1000000 / $(getconf CLK_TCK))) 'BEGIN { print own * tick / n, theirs * tick / n, n / 10 }' >>"$work/$rate-$where"
}
# median FILE COLUMN
median() {
    awk -v c="$2" '{ print $c }' "$1" | sort -g |
        awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'
}

say "machine     $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
    "programs    commit $(commit), $(redis-server --version | cut -d ' ' -f 1-3)" "command     perf/cluster.sh $rounds ${flags[*]}" ""
for rate in 2000 20000; do
    venue=$(free_port)
    start exchange "$program" simulate --port "$venue" --symbols 300 --open-loop "$rate" --status-seconds 0
    eventually 10 curl -sf "http://127.0.0.1:$venue/api/v3/ping" >/dev/null || fail "the exchange does not start"
    symbols=$(curl -sf "http://127.0.0.1:$venue/api/v3/exchangeInfo" |
        python3 -c 'import json, sys; print(",".join(s["symbol"].lower() for s in json.load(sys.stdin)["symbols"]))')
    for _ in $(seq "$rounds"); do
        measure single "$single" single
        measure cluster "$cluster" one two three
    done
    end exchange
    for who in 1:feedd 2:servers; do
        one=$(median "$work/$rate-single" "${who%%:*}")
        other=$(median "$work/$rate-cluster" "${who%%:*}")
        awk -v w="${who#*:}" -v r="$rate" -v a="$one" -v b="$other" -v f="$(median "$work/$rate-cluster" 3)" 'BEGIN {
            printf "%6d frames/s  %-8s single %6.2f us  cluster %6.2f us  ratio %.2f  (%d frames/s)\n", r, w, a, b, b / a, f }'
    done
done
