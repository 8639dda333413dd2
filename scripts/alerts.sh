#!/usr/bin/env bash
# The alerts, fired by real faults: Prometheus, a local exchange, redis-server and feedd. First three minutes in which nothing is wrong
# and no alert may fire, pending ones included, and every query of rules and dashboard has data. Then each fault: its alert fires, its
# companions may, any other is a failure; after the fault's end all must clear. Skipped, aloud, where prometheus is not to be had.
#
#   scripts/alerts.sh [ALERT…]     only the faults of these alerts; without any, all of them: about eleven minutes
#   scripts/alerts.sh --list       the faults and what may fire beside their alert
#
# A scrape takes place each second, and minutes are shortened by one factor, in `for:` and inside [ ] alone, to four scrapes at least.
# FEEDD=PROGRAM takes that one instead of building. What all said: .build/alerts/.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

factor=50
scrapes_min=4
clean_seconds=180

# alert, and who may fire with it. FeeddSentinelsSilent, FeeddRedisLaneDown and FeeddGroupBlind have no fault here: there are no Sentinels,
# no cluster and no group.
faults=(
    "FeeddDown"
    "FeeddRestarting"
    "FeeddNotReady FeeddRedisDown FeeddLatencyHigh FeeddCloseDelayed"
    "FeeddRedisDown FeeddNotReady FeeddLatencyHigh FeeddCloseDelayed"
    "FeeddRedisRefusing FeeddNotReady FeeddRedisMemoryHigh FeeddLatencyHigh FeeddCloseDelayed"
    "FeeddExchangeDown FeeddNotReady FeeddReconnecting FeeddFluxStale FeeddSeriesSilent FeeddGapsOpen FeeddCloseDelayed"
    "FeeddReconnecting FeeddExchangeDown FeeddNotReady FeeddFluxStale FeeddSeriesSilent FeeddGapsOpen FeeddCloseDelayed"
    "FeeddFluxStale FeeddSeriesSilent FeeddGapsOpen"
    "FeeddSeriesSilent FeeddGapsOpen"
    "FeeddClosedCandlesLost FeeddGapsOpen"
    "FeeddClosedCandlesWaiting FeeddRedisDown FeeddNotReady FeeddLatencyHigh FeeddCloseDelayed FeeddGapsOpen"
    "FeeddGapsOpen FeeddCloseDelayed"
    "FeeddMessagesRejected FeeddGapsOpen FeeddCloseDelayed"
    "FeeddLatencyHigh"
    "FeeddCloseDelayed FeeddGapsOpen"
    "FeeddBackPressure FeeddLatencyHigh FeeddCloseDelayed FeeddClosedCandlesWaiting"
    "FeeddRestBlocked FeeddGapsOpen"
    "FeeddRedisMemoryHigh"
    "FeeddRedisEvicts FeeddRedisMemoryHigh"
    "FeeddRedisNotDurable"
)

if [ "${1:-}" = --list ]; then
    for fault in "${faults[@]}"; do
        read -r name companions <<<"$fault"
        printf '%-26s%s\n' "$name" "$companions"
    done
    exit
fi
for name in "$@"; do printf '%s\n' "${faults[@]}" | grep -qE "^$name( |\$)" || fail "no fault '$name'; see: $0 --list"; done
if ! optional prometheus; then
    say "skipped: no alert is fired by its fault without prometheus"
    exit 0
fi

# What needs no service.
for command in "check rules deploy/prometheus/feedd.rules.yml" "test rules deploy/prometheus/feedd.rules.test.yml" \
    "check config deploy/prometheus/prometheus.yml"; do
    # shellcheck disable=SC2086
    step "promtool ${command% *}" promtool $command
done
step "dashboard and documents" python3 scripts/check-dashboard.py

program=${FEEDD:-}
if [ -z "$program" ]; then
    scripts/setup.sh
    step "build" swift_build --product feedd
    program=$built/feedd
fi
logs=.build/alerts
rm -rf "$logs"
mkdir -p "$logs"
work=$(mktemp -d)
started=$SECONDS
source scripts/processes.sh

redis="unix://$work/redis.sock"
redis() { timeout 5 redis-cli -s "$work/redis.sock" "$@"; }
start_redis() {
    local flags=()
    # Older ones allow DEBUG without being asked.
    [[ ! $(redis-server --version) =~ v=([0-9]+) || ${BASH_REMATCH[1]} -lt 7 ]] || flags=(--enable-debug-command local)
    start redis redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save "" --appendonly yes \
        --maxmemory 1gb --maxmemory-policy noeviction "${flags[@]:+${flags[@]}}"
    eventually 10 redis_answers || fail "redis-server does not start: $logs/redis.log"
}
redis_answers() { [ "$(redis PING 2>/dev/null)" = PONG ]; }

# start_exchange NAME FLAGS…: `address` becomes its host and port.
start_exchange() {
    local name=$1
    shift
    start "$name" "$program" simulate --port 0 --symbols 20 --illiquid-every 0 --status-seconds 0 "$@"
    eventually 10 grep -q 'ws://' "$logs/$name.log" || fail "the exchange does not start: $logs/$name.log"
    address=$(grep -oE 'ws://[^ ]+' "$logs/$name.log" | sed 's,ws://,,')
}
# sim REQUEST: asks the exchange for a fault.
sim() {
    local answer=
    exec 3<>"/dev/tcp/${exchange/://}" || return 1
    printf 'POST /sim/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "$1" "$exchange" >&3
    read -r -t 5 answer <&3 || true
    exec 3>&-
    [[ $answer == *" 200 "* ]] || { say "the exchange answers: ${answer:-nothing}"; return 1; }
}

many=btcusdt,ethusdt,bnbusdt,solusdt,xrpusdt,dogeusdt,adausdt,trxusdt
few=linkusdt,ltcusdt
# start_feedd FLAGS…: further ones. With `venue` it follows another exchange.
start_feedd() {
    local from=${venue:-$exchange}
    start feedd "$program" run --venue-ws "ws://$from" --venue-rest "http://$from" --redis "$redis" --ops "127.0.0.1:$ops_port" \
        --flux "$many:1s" --flux "$few:1s" --report-seconds 0 "$@"
}
restart_feedd() {
    end feedd
    start_feedd "$@"
    eventually 20 is_value 'feedd_ready' 1 || say "feedd is not ready after 20 s"
}

# MARK: Prometheus.

# scaled: rules from standard input, with shorter minutes.
scaled() {
    local line seconds
    while IFS= read -r line; do
        while [[ $line =~ ^(.*(\[|for:\ ))([0-9]+)m(\].*)?$ ]]; do
            seconds=$((BASH_REMATCH[3] * 60 / factor))
            [ $seconds -ge $scrapes_min ] || seconds=$scrapes_min
            line="${BASH_REMATCH[1]}${seconds}s${BASH_REMATCH[4]}"
        done
        printf '%s\n' "$line"
    done
}
start_prometheus() {
    scaled <deploy/prometheus/feedd.rules.yml >"$work/rules.yml"
    cat >"$work/prometheus.yml" <<END
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
  - {job_name: feedd, sample_limit: 5000, static_configs: [{targets: ["127.0.0.1:$ops_port"]}]}
END
    promtool check config "$work/prometheus.yml" >"$logs/check.log" 2>&1 || fail "the shortened rules are wrong: $logs/check.log"
    start prometheus prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --log.level=warn \
        --web.listen-address="127.0.0.1:$prometheus_port"
    eventually 20 ask 'vector(1)' >/dev/null 2>&1 || fail "prometheus does not start: $logs/prometheus.log"
}
ask() { promtool query instant "http://127.0.0.1:$prometheus_port" "$1"; }
# is_value EXPRESSION NUMBER
is_value() { ask "$1" | grep -qE "=> $2(\.0*)? @"; }
# alerts [STATE]: those that are pending or firing now.
alerts() { ask "ALERTS${1:+{alertstate=\"$1\"\}}" | names; }
# alerts_since MILLISECOND [STATE]: those that were so at any time since then.
alerts_since() { ask "count_over_time(ALERTS${2:+{alertstate=\"$2\"\}}[$(($(now_ms) - $1))ms])" | names; }
now_ms() { printf '%s\n' "$((${EPOCHREALTIME/[.,]/} / 1000))"; }
names() { sed -nE 's/.*alertname="([A-Za-z]+)".*/\1/p' | sort -u; }
is_firing() { alerts firing | grep -qx "$1"; }
# Twice: what ends may hide, for one evaluation, what begins.
all_clear() { no_alert && sleep 1.2 && no_alert; }
no_alert() { local now; now=$(alerts) && [ -z "$now" ]; }

# MARK: Faults. begin_ALERT makes one, again_ALERT is called about twice a second until the alert fires, end_ALERT mends it.

begin_FeeddDown() { end feedd KILL; }
end_FeeddDown() { start_feedd; }

begin_FeeddRestarting() {
    local before
    for _ in 1 2 3; do
        before=$(start_time)
        end feedd KILL
        start_feedd
        eventually 20 is_other_start "$before" || say "feedd was not scraped within 20 s"
    done
}
start_time() { ask process_start_time_seconds | sed -nE 's/.*=> ([^ ]+) @.*/\1/p'; }
is_other_start() { local now; now=$(start_time) && [ -n "$now" ] && [ "$now" != "$1" ] && is_value up 1; }

begin_FeeddNotReady() { end redis; }
end_FeeddNotReady() { start_redis; }

begin_FeeddRedisDown() { end redis KILL; }
end_FeeddRedisDown() { start_redis; }

begin_FeeddRedisRefusing() { redis CONFIG SET maxmemory 1; }
end_FeeddRedisRefusing() { redis CONFIG SET maxmemory 1gb; }

begin_FeeddExchangeDown() {
    sim 'fault?kind=refuseHandshake&count=0'
    sim 'fault?kind=massDisconnect'
}

# Pauses grow with each loss of a connection that has brought nothing, up to half a minute, and fluxes stand still meanwhile: they begin
# anew with the process.
begin_FeeddReconnecting() { restart_feedd; }
again_FeeddReconnecting() { sim 'fault?kind=drop'; }
end_FeeddReconnecting() { restart_feedd; }

begin_FeeddFluxStale() {
    local symbol
    for symbol in ${few//,/ }; do sim "fault?kind=mute&stream=$symbol@kline_1s&count=0"; done
}

begin_FeeddSeriesSilent() { sim 'fault?kind=mute&stream=solusdt@kline_1s&count=0'; }

begin_FeeddClosedCandlesLost() {
    printf '%s\n' MULTI 'DEL candles:{solusdt}:1s' 'LPUSH candles:{solusdt}:1s foreign' EXEC | redis
}
end_FeeddClosedCandlesLost() { redis DEL 'candles:{solusdt}:1s'; }

begin_FeeddClosedCandlesWaiting() { kill -STOP "${pids[redis]}"; }
end_FeeddClosedCandlesWaiting() { kill -CONT "${pids[redis]}"; }

# What the exchange's REST interface does not give back stays open.
begin_FeeddGapsOpen() {
    sim 'fault?kind=restStatus&value=503&count=0'
    sim 'fault?kind=missingClose&stream=btcusdt@kline_1s&count=3'
}

begin_FeeddMessagesRejected() { sim 'fault?kind=corruptJSON&probability=0.05&count=0'; }

again_FeeddLatencyHigh() { redis DEBUG SLEEP 0.3; }

# The connection is silent for nine seconds, again and again, and then brings all at once. A healer that asks for late bars after two
# seconds would be there before their closing events.
begin_FeeddCloseDelayed() { restart_feedd --close-grace 60; }
again_FeeddCloseDelayed() {
    [ $((SECONDS - ${stalled:--20})) -ge 10 ] || return 0
    stalled=$SECONDS
    sim 'fault?kind=stall&value=9000&count=1'
}
end_FeeddCloseDelayed() { restart_feedd; }

# Under another key prefix: this exchange's clock is far ahead soon.
begin_FeeddBackPressure() {
    start_exchange flat-out --flat-out
    venue=$address restart_feedd --key-prefix flat-out: --no-coalesce --backfill 0 --venue-rest off
}
end_FeeddBackPressure() {
    restart_feedd
    end flat-out
}

begin_FeeddRestBlocked() {
    sim 'fault?kind=restStatus&value=418&retry=15&count=1'
    # Nobody follows this series, so the exchange is asked.
    "$program" data avaxusdt 5m 3 --redis "$redis" || true
}

# A key that is large beside all others, so that what else grows and shrinks does not matter.
ballast() { redis SETRANGE ballast 50000000 x; }
used_memory() { redis INFO memory | tr -d '\r' | sed -n 's/^used_memory://p'; }
begin_FeeddRedisMemoryHigh() {
    ballast
    redis CONFIG SET maxmemory $(($(used_memory) * 100 / 94))
}
end_FeeddRedisMemoryHigh() {
    redis CONFIG SET maxmemory 1gb
    redis DEL ballast
}

# What is thrown away is what was not used for longest: the large key, if all are compared.
begin_FeeddRedisEvicts() {
    ballast
    sleep 3
    redis CONFIG SET maxmemory-samples 64
    redis CONFIG SET maxmemory $(($(used_memory) - 1000000)) maxmemory-policy allkeys-lru
}
end_FeeddRedisEvicts() { redis CONFIG SET maxmemory 1gb maxmemory-policy noeviction; }

begin_FeeddRedisNotDurable() { redis CONFIG SET appendonly no; }
end_FeeddRedisNotDurable() { redis CONFIG SET appendonly yes; }

# part NAME WHAT: one that a fault may lack.
part() { ! declare -F "$1_$2" >/dev/null || "$1_$2" >>"$logs/faults.log" 2>&1; }

failures=0
wrong() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
}

# try ALERT COMPANION…
try() {
    local name=$1 begun=$SECONDS begun_ms until=$((SECONDS + 90)) fired other result=
    begun_ms=$(now_ms)
    printf '%-28s' "$name"
    printf '== %s\n' "$name" >>"$logs/faults.log"
    part begin "$name" || { wrong "the fault cannot be made: $(tail -n 1 "$logs/faults.log")"; result=none; }
    until [ -n "$result" ] || is_firing "$name"; do
        alive
        part again "$name" || true
        sleep 0.4
        if [ $SECONDS -ge $until ]; then
            wrong "it does not fire; pending or firing: $(alerts | tr '\n' ' ')"
            result=none
        fi
    done
    local took=$((SECONDS - begun))
    part end "$name" || wrong "the fault's end: $(tail -n 1 "$logs/faults.log")"
    sim clear || wrong "the exchange does not answer"
    if ! eventually 90 all_clear; then wrong "90 s after the fault there is still: $(alerts | tr '\n' ' ')"; fi
    alive
    fired=$(alerts_since "$begun_ms" firing)
    for other in $fired; do [[ " $* " == *" $other "* ]] || wrong "$other fired beside $name"; done
    [ "$result" = none ] || printf 'after %2ds, clear after %2ds   %s\n' $took $((SECONDS - begun - took)) \
        "$(grep -vx "$name" <<<"$fired" | tr '\n' ' ')"
}

# MARK: The run.

ops_port=$(free_port)
prometheus_port=$(free_port)
start_redis
start_exchange exchange --push-ms 250
exchange=$address
start_feedd
start_prometheus
eventually 60 is_value feedd_ready 1 || fail "feedd is not ready after a minute: $(tail -n 3 "$logs/feedd.log")"
eventually 60 is_value feedd_backfill_candles_open 0 || say "the backfill is not complete after a minute"
eventually 60 all_clear || fail "a minute after the start there is still: $(alerts | tr '\n' ' ')"

printf '%-28s' "nothing is wrong, ${clean_seconds} s"
begun=$(now_ms)
while [ $(($(now_ms) - begun)) -lt $((clean_seconds * 1000)) ]; do
    alive
    sleep 1
done
quiet=$(alerts_since "$begun")
if [ -n "$quiet" ]; then wrong "pending or firing: ${quiet//$'\n'/ }"; else say "ok"; fi
step "every query has data" python3 scripts/check-dashboard.py "http://127.0.0.1:$prometheus_port"

for fault in "${faults[@]}"; do
    read -ra words <<<"$fault"
    [ $# -eq 0 ] || [[ " $* " == *" ${words[0]} "* ]] || continue
    try "${words[@]}"
done
say "$((SECONDS - started)) s; what all said: $logs/"
[ $failures -eq 0 ] || fail "$failures failures"
