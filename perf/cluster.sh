#!/usr/bin/env bash
# What a Redis Cluster and a group cost: CPU of feedd and of the servers for a frame, and a state's latency, against one feedd and one
# server, all over TCP on this machine, in turns: with three primaries, and with a second feedd that holds the same warm (a group of two).
# At the end: what ten members that follow nothing cost their server. (Not what three machines can take: here they share the cores.)
#
#   perf/cluster.sh [ROUNDS] [--updates sharded|off]     3 rounds of 3 × 10 s at 2,000 (and 10 s to listen) and at 20,000 frames a second
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

# cpu NAME…: of these processes, in ticks.
cpu() {
    local name
    for name in "$@"; do cat "/proc/${pids[$name]}/stat"; done | awk '{ sum += $14 + $15 } END { print sum }'
}
# wakes NAME…: how often a thread of these processes has waited, and so was woken.
wakes() {
    local name
    for name in "$@"; do cat "/proc/${pids[$name]}/task/"*/status; done | awk '/^voluntary_ctxt_switches/ { sum += $2 } END { print sum }'
}
frames() { curl -sf "http://127.0.0.1:$ops/metrics" | awk '/^feedd_messages_total/ { print int($2) }'; }
flows() { [ "$(frames || echo 0)" -gt 1000 ]; }
ports_of() { grep -oE ':[0-9]+' <<<"$1" | tr -d :; }

# feedd_at NAME URL [FLAGS]: with a port for its metrics, `ops`.
feedd_at() {
    local name=$1 url=$2
    shift 2
    ops=$(free_port)
    start "$name" "$program" run --redis "$url" --venue-ws "ws://127.0.0.1:$venue" --venue-rest off --ops "127.0.0.1:$ops" \
        --report-seconds 0 "$@"
}

# measure PLACE URL SERVERS…: a line into a file of the rate and the place: microseconds of a feedd's and of the servers' CPU for a frame,
# frames a second, how often a feedd's threads were woken for a frame; at 2,000 p50 and p99 of a message at a subscriber (of the node that
# publishes it), since its event was due.
measure() {
    local place=$1 url=$2 name before after late own=("${flags[@]}") members=(feedd)
    shift 2
    # One server has no shards: its messages go to it alone.
    [ "$place" = cluster ] || own=("${own[@]/sharded/classic}")
    [ "$place" != pair ] || members=(feedd second)
    for name in "${members[@]}"; do
        [ "$place" != pair ] || own=("${flags[@]/sharded/classic}" --group pair --copies 2 --member "$name")
        feedd_at "$name" "$url" --flux "$symbols:1m" "${own[@]}"
        eventually 30 flows || fail "$name does not get frames: $(tail -n 3 "$logs/$name.log")"
    done
    sleep 4
    before=("$(frames)" "$(cpu "${members[@]}")" "$(cpu "$@")" "$(wakes "${members[@]}")")
    sleep 10
    after=("$(frames)" "$(cpu "${members[@]}")" "$(cpu "$@")" "$(wakes "${members[@]}")")
    # (A subscriber takes too much of two cores beside 20,000 frames a second; and it hears no sharded messages.)
    [ "$rate" -gt 2000 ] || [[ ${flags[*]} == *--updates* ]] || late=$(ports_of "$url" | xargs perf/late.py 10)
    for name in "${members[@]}"; do end "$name"; done
    awk -v n=$((after[0] - before[0])) -v own=$((after[1] - before[1])) -v theirs=$((after[2] - before[2])) -v members=${#members[@]} \
        -v wakes=$((after[3] - before[3])) -v tick=$((1000000 / $(getconf CLK_TCK))) -v late="${late:-}" \
        'BEGIN { print own * tick / n / members, theirs * tick / n, n / 10, wakes / n / members, late }' >>"$work/$rate-$place"
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
    start exchange "$program" simulate --port "$venue" --symbols 300 --open-loop "$rate" --stamp-trades --status-seconds 0
    eventually 10 curl -sf "http://127.0.0.1:$venue/api/v3/ping" >/dev/null || fail "the exchange does not start"
    symbols=$(curl -sf "http://127.0.0.1:$venue/api/v3/exchangeInfo" |
        python3 -c 'import json, sys; print(",".join(s["symbol"].lower() for s in json.load(sys.stdin)["symbols"]))')
    for _ in $(seq "$rounds"); do
        measure single "$single" single
        measure cluster "$cluster" one two three
        measure pair "$single" single
    done
    end exchange
    for what in 1:feedd:us 2:servers:us 4:woken:x 5:p50:us 6:p99:us; do
        IFS=: read -r column name unit <<<"$what"
        one=$(median "$work/$rate-single" "$column")
        [ "$one" != 0 ] || continue
        for place in cluster pair; do
            awk -v p=$place -v w="$name" -v u="$unit" -v r="$rate" -v a="$one" -v b="$(median "$work/$rate-$place" "$column")" 'BEGIN {
                printf "%6d frames/s  %-8s alone %7.2f %s  %-7s %7.2f %s  ratio %.2f", r, w, a, u, p, b, u, b / a
                if ((w == "feedd" || w == "woken") && p == "pair") printf "  (what it does not write, against what it does: %.2f)", 2 * b / a - 1
                print "" }'
        done
    done
done

# ten [FLAGS]: `ten_us` becomes what ten services that follow nothing cost their server, which holds nothing else, in half a minute.
server quiet
quiet=redis://127.0.0.1:$port
used() { redis-cli -p "${quiet##*:}" INFO cpu | tr -d '\r' | awk -F: '/^used_cpu_(sys|user):/ { sum += $2 } END { print int(sum * 1e6) }'; }
ten() {
    local before i
    for i in 1 2 3 4 5 6 7 8 9 10; do feedd_at "$i" "$quiet" ${1:+"$@" --member "$i"}; done
    sleep 10
    alive
    before=$(used)
    sleep 30
    ten_us=$(($(used) - before))
    for i in 1 2 3 4 5 6 7 8 9 10; do end "$i"; done
}
ten
apart=$ten_us
ten --group ten
awk -v a="$apart" -v b="$ten_us" 'BEGIN { printf "ten services that follow nothing: %.3f %% of a core of their server, as a group %.3f %%\n", a / 3e5, b / 3e5 }'
