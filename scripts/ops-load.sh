#!/usr/bin/env bash
# What the ops server costs, and what it bears. Cost: a service with it and one without, in turns, on the same exchange: memory, CPU,
# latency, the price of a scrape. Load: slow heads, bodies and readers (slowhttptest), 1,000 idle connections, too long a head, too long a
# body, frozen readers of events, for over a minute; beside it a scrape each second, and nothing may be lost or late in Redis. Each bound
# below is checked. Skipped, aloud, where slowhttptest or python3 is not to be had.
#
#   scripts/ops-load.sh [cost|load]     without either, both: about eight minutes
#
# FEEDD=PROGRAM takes that one instead of building. What all said: .build/ops-load/.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# KiB: with the server against without, at rest, after 200 scrapes; after 1,000 connections, and under load against before it, the second.
memory_kib_max=3584
load_memory_kib_max=4096
# ms of CPU for a scrape, one flux of 300 series; ms until one is answered beside the load.
scrape_cpu_ms_max=5
scrape_ms_max=1000
# Latency and CPU with it, in percent of without: what is left between two runs of the same program is not below that here.
latency_percent_max=150
# Under load: of the service that is attacked, in percent of one beside it that is not.
loaded_latency_percent_max=200
cpu_percent_max=150
rounds=3

case ${1:-} in
    cost | load) wanted=$1 ;;
    '') wanted="cost load" ;;
    *) fail "usage: $(basename "$0") [cost|load]" ;;
esac
if ! optional slowhttptest python3; then
    say "skipped: nothing loads the ops server"
    exit 0
fi
program=${FEEDD:-}
if [ -z "$program" ]; then
    scripts/setup.sh
    step "build" swift_build --product feedd
    program=$built/feedd
fi
logs=.build/ops-load
rm -rf "$logs"
mkdir -p "$logs"
work=$(mktemp -d)
source scripts/processes.sh

redis="unix://$work/redis.sock"
ticks=$(getconf CLK_TCK)

failures=0
# holds WHAT FIGURE BOUND [UNIT]: the figure is at most the bound. Prints a line of the table.
holds() {
    local verdict=ok
    if ! awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 <= b + 0) }'; then
        verdict=FAILED
        failures=$((failures + 1))
    fi
    printf '%-52s%12s   at most %8s %-4s %s\n' "$1" "${2:-none}" "$3" "${4:-}" $verdict
}
# is WHAT FIGURE VALUE: it is just that.
is() {
    local verdict=ok
    [ "$2" = "$3" ] || { verdict=FAILED; failures=$((failures + 1)); }
    printf '%-52s%12s   %s %s\n' "$1" "${2:-none}" "is $3" $verdict
}
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
percent() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.0f", 100 * a / b }'; }
# value NAME TEXT: of NAME=VALUE.
value() { grep -oE "(^| )$1=[^ ]+" <<<"$2" | sed 's/.*=//'; }

# start_exchange SYMBOLS: `names` are they.
start_exchange() {
    rm -f "$logs/exchange.log"
    start exchange "$program" simulate --port 0 --symbols "$1" --push-ms 250 --illiquid-every 0 --status-seconds 0
    eventually 10 grep -q 'ws://' "$logs/exchange.log" || fail "the exchange does not start: $logs/exchange.log"
    exchange=$(grep -oE 'ws://[^ ]+' "$logs/exchange.log")
    names=$(curl -sf "http://${exchange#ws://}/api/v3/exchangeInfo" | grep -oE '"symbol":"[A-Z0-9]+"' | cut -d'"' -f4 | tr 'A-Z\n' 'a-z,')
    names=${names%,}
}
# start_service INTERVAL OPS: with an empty Redis. `port` is the ops server's; returns when all series are live.
start_service() {
    rm -f "$logs/redis.log" "$logs/feedd.log"
    start redis redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save "" --appendonly no
    eventually 10 redis-cli -s "$work/redis.sock" PING >/dev/null 2>&1 || fail "redis-server does not start: $logs/redis.log"
    start feedd "$program" run --flux "$names:$1" --venue-ws "$exchange" --venue-rest off --redis "$redis" --report-seconds 10 --ops "$2"
    eventually 60 "$program" status --redis "$redis" >/dev/null 2>&1 || fail "feedd is not live: $(tail -n 3 "$logs/feedd.log")"
    port=$(port_of feedd)
}
port_of() { grep -oE 'url=http://[^ ]*' "$logs/$1.log" | grep -oE '[0-9]+/?$' | tr -d / || true; }
end_service() {
    alive
    end feedd
    end redis
}
rss() { awk '/^VmRSS/ { print $2 }' "/proc/${pids[feedd]}/status"; }
# CPU of the service so far, ticks.
cpu() { sed 's/.*) //' "/proc/${pids[feedd]}/stat" | awk '{ print $12 + $13 }'; }
# p50 and p99 of the last ten seconds that its log tells of, µs.
latencies() {
    sed -nE 's,.* report .* p50/99/99\.9 +([0-9.]+) +([0-9.]+) .*,\1 \2,p' "$logs/feedd.log" | tail -n 1 |
        awk '{ print $1 * 1000, $2 * 1000 }'
}
has_reported() { [ "$(grep -c ' report ' "$logs/feedd.log")" -ge "$1" ]; }
metric() { curl -sf "http://127.0.0.1:$port/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

# What a service at rest does: one line of figures is added to $work/MODE. The first ten seconds are those of the start.
measure() {
    local mode=$1 before
    eventually 30 has_reported 1 || fail "there is no report: $logs/feedd.log"
    before=$(cpu)
    eventually 30 has_reported 2
    printf '%s %s %s\n' "$(rss)" $((($(cpu) - before) * 1000 / ticks)) "$(latencies)" >>"$work/$mode"
}
column() { awk -v n="$2" '{ print $n }' "$work/$1" | median; }

cost() {
    local round mode before late_off=
    start_exchange 300
    for round in $(seq $rounds); do
        for mode in off on; do
            start_service 1m "$([ $mode = off ] && echo off || echo 127.0.0.1:0)"
            measure $mode
            if [ $mode = off ] && [ "$(id -u)" -ne 0 ]; then
                say "round $round, without: skipped: only root may see what feedd has mapped"
            elif [ $mode = off ]; then
                is "round $round, without: libmicrohttpd is mapped" "$(grep -c libmicrohttpd "/proc/${pids[feedd]}/maps" || true)" 0
            else
                before=$(cpu)
                python3 scripts/ops-load.py "$port" scrapes-in-a-row 200 >"$work/row"
                echo "$((($(cpu) - before) * 1000 / ticks)) $(rss)" >>"$work/scrapes"
                is "round $round, with: scrapes in a row answered" "$(value scrapes_good "$(<"$work/row")")" 200
            fi
            # Once with what comes over a minute: memory of the start is given back, all points and readings are there.
            if [ "$round" -eq $rounds ]; then
                sleep 65
                rss >"$work/late-$mode"
                if [ $mode = on ]; then
                    python3 scripts/ops-load.py "$port" scrapes-in-a-row 200 >/dev/null
                    rss >"$work/late-scrapes"
                    python3 scripts/ops-load.py "$port" hostile >"$logs/hostile.log"
                    sleep 2
                    rss >"$work/late-connections"
                fi
            fi
            end_service
        done
    done
    end exchange
    say ""
    holds "memory, with less without, at rest" $(($(column on 1) - $(column off 1))) $memory_kib_max KiB
    holds "memory, after 200 scrapes" $(($(awk '{ print $2 }' "$work/scrapes" | median) - $(column off 1))) $memory_kib_max KiB
    late_off=$(<"$work/late-off")
    holds "memory, after more than a minute" $(($(<"$work/late-on") - late_off)) $memory_kib_max KiB
    holds "memory, and 200 scrapes" $(($(<"$work/late-scrapes") - late_off)) $memory_kib_max KiB
    holds "memory, and 1,000 connections" $(($(<"$work/late-connections") - late_off)) $load_memory_kib_max KiB
    holds "CPU in 10 s: $(column on 2) ms against $(column off 2) ms" "$(percent "$(column on 2)" "$(column off 2)")" $cpu_percent_max %
    holds "CPU of a scrape" "$(awk '{ print $1 / 200 }' "$work/scrapes" | median)" $scrape_cpu_ms_max ms
    holds "p50: $(column on 3) µs against $(column off 3) µs" "$(percent "$(column on 3)" "$(column off 3)")" $latency_percent_max %
    holds "p99: $(column on 4) µs against $(column off 4) µs" "$(percent "$(column on 4)" "$(column off 4)")" $latency_percent_max %
}

# minute_p99 PORT: of the last minute, µs, as the page shows it.
minute_p99() { curl -sf "http://127.0.0.1:$1/api/overview" | grep -oE '"p99_us":[0-9]+' | head -n 1 | cut -d: -f2; }

# A minute of attacks, a quarter of it each.
attack() {
    local kind
    for kind in H B R X; do
        slowhttptest "-$kind" -u "http://127.0.0.1:$port/" -c 500 -r 100 -l 15 -i 5 -x 24 -p 2 >"$logs/slow-$kind.log" 2>&1 || true
        grep -qaE 'service available:.*YES' "$logs/slow-$kind.log" || say "slowhttptest -$kind: no service; $logs/slow-$kind.log"
    done
}

load() {
    local scrapes hostile before other
    start_exchange 100
    start_service 1s 127.0.0.1:0
    # The same service once more: what attackers take of the machine, it feels, too.
    start other "$program" run --flux "$names:1s" --venue-ws "$exchange" --venue-rest off --redis "$redis" --key-prefix other: \
        --report-seconds 0 --ops 127.0.0.1:0
    eventually 10 grep -q 'url=http' "$logs/other.log" || fail "a second feedd does not start: $logs/other.log"
    other=$(port_of other)
    # The first minute's latencies are those of the start.
    sleep 65
    before=$(rss)
    python3 scripts/ops-load.py "$port" scrapes 75 >"$work/scrapes-loaded" &
    pids[scrapes]=$!
    attack
    python3 scripts/ops-load.py "$port" hostile >"$work/hostile"
    wait "${pids[scrapes]}"
    unset "pids[scrapes]"
    minute_p99 "$port" >"$work/p99-loaded"
    minute_p99 "$other" >"$work/p99-beside"
    end other
    say ""
    scrapes=$(<"$work/scrapes-loaded")
    hostile=$(<"$work/hostile")
    is "scrapes answered beside the load, of 75" "$(value scrapes_good "$scrapes")" 75
    holds "the slowest of them" "$(value slowest_ms "$scrapes")" $scrape_ms_max ms
    is "a probe beside 1,000 idle connections" "$(value idle_status "$hostile")" 200
    holds "   it took" "$(value idle_ms "$hostile")" $scrape_ms_max ms
    holds "bytes of a head line of 64 MiB, until its end" "$(value head_sent "$hostile")" 16777216
    is "a body of 100 MB" "$(value body_status "$hostile")" 413
    is "a probe beside 50 frozen readers of events" "$(value frozen_status "$hostile")" 200
    holds "   it took" "$(value frozen_ms "$hostile")" $scrape_ms_max ms
    holds "memory, after the load less before it" $(($(rss) - before)) $load_memory_kib_max KiB
    holds "p99: $(<"$work/p99-loaded") µs against $(<"$work/p99-beside") µs" \
        "$(percent "$(<"$work/p99-loaded")" "$(<"$work/p99-beside")")" $loaded_latency_percent_max %
    is "gaps" "$(metric feedd_gaps_total)" 0
    is "closed candles lost" "$(($(metric feedd_closed_queue_overflow_total) + $(metric feedd_closed_candles_rejected_total)))" 0
    is "connections to the exchange lost" "$(metric feedd_reconnects_total)" 0
    # Nothing comes any more: what has come is written.
    end exchange
    eventually 20 is_all_written || true
    is "closed candles that came and are not in Redis" "$(unwritten)" 0
    end_service
}
unwritten() {
    curl -sf "http://127.0.0.1:$port/metrics" | awk '
        $1 == "feedd_closed_candles_received_total" { n += $2 }
        $1 == "feedd_closed_candles_written_total" || $1 == "feedd_duplicates_total" { n -= $2 }
        END { print n }'
}
is_all_written() { [ "$(unwritten)" = 0 ]; }

for part in $wanted; do $part; done
say "$SECONDS s; what all said: $logs/"
[ $failures -eq 0 ] || fail "$failures failures"
