#!/usr/bin/env bash
# Drives a service with clients that are not ours: plain redis-cli and redis-py (docs/examples/continuity.py), by nothing but the
# documented channels and keys; and a package outside ours that imports the library (docs/examples/bot). Starts a local exchange, a
# redis-server and feedd for it. Where neither Debian (python3-redis) nor pip has redis-py, that part is skipped, with a message. Our own
# client in Python: scripts/python-client.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh
swift_build --product feedd
feedd=$built/feedd
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"' EXIT

redis-server --port 0 --unixsocket "$work/redis.sock" --save "" --dir "$work" >"$work/redis.log" &
pids+=($!)
"$feedd" simulate --port 0 --symbols 5 --illiquid-every 0 --status-seconds 0 >"$work/exchange.log" &
pids+=($!)
for _ in $(seq 100); do grep -q 'ws://' "$work/exchange.log" && [ -S "$work/redis.sock" ] && break; sleep 0.1; done
"$feedd" run --venue-ws "$(grep -oE 'ws://[^ ]+' "$work/exchange.log")" --venue-rest "$(grep -oE 'http://[^ ]+' "$work/exchange.log")" \
    --redis "unix://$work/redis.sock" >"$work/feedd.log" 2>&1 &
pids+=($!)
cli=(redis-cli -s "$work/redis.sock")
for _ in $(seq 100); do [ -n "$("${cli[@]}" HGET status:service state 2>/dev/null)" ] && break; sleep 0.1; done

# call KIND FIELDS: publishes a request and prints its answer. (It runs in a subshell, whose number is of no other request.)
call() {
    local id="cli-$BASHPID" out="$work/answer-$BASHPID"
    timeout 10 "${cli[@]}" SUBSCRIBE "responses:$1:$id" >"$out" &
    local listener=$!
    for _ in $(seq 50); do grep -q '^1$' "$out" && break; sleep 0.1; done
    "${cli[@]}" PUBLISH "commands:$1" "{\"request_id\":\"$id\"$2}" >/dev/null
    for _ in $(seq 100); do grep -q '^{' "$out" && break; sleep 0.05; done
    kill "$listener" 2>/dev/null || true
    grep '^{' "$out" || fail "no answer to $1"
}
expect() { grep -q "$2" <<<"$1" || fail "expected $2 in: $1"; }

answer=$(call flux:create ',"symbols":["ethusdt"],"interval":"1s","name":"by-hand"')
expect "$answer" '"status":"ok","flux_id":"by-hand","created":true'
timeout 20 "${cli[@]}" SUBSCRIBE 'updates:{ethusdt}:1s' >"$work/updates" &
listener=$!
for _ in $(seq 150); do grep -q '"closed":true' "$work/updates" && break; sleep 0.1; done
kill "$listener" 2>/dev/null || true
expect "$(cat "$work/updates")" '"closed":true'
expect "$(call data:get ',"symbol":"ethusdt","interval":"1s","limit":1')" '"source":"redis"'
expect "$(call status:get ',"flux_id":"by-hand"')" '"flux_id":"by-hand"'
expect "$(call flux:stop ',"flux_id":"by-hand"')" '"status":"ok"'
expect "$(call flux:list '')" '"fluxes":\[\]'
say "redis-cli: created, received updates and data, stopped"

python=python3
packages="$PWD/.build/python/other-clients"
# Debian's own has Debian's packages.
if /usr/bin/python3 -c 'import redis' 2>/dev/null; then
    python=/usr/bin/python3
elif ! python3 -c 'import redis' 2>/dev/null && pip_into "$packages" redis==6.4.0; then
    export PYTHONPATH=$packages
fi
if "$python" -c 'import redis' 2>/dev/null; then
    # A candle is taken away while somebody reads: an audit puts it back, and the reader is told.
    expect "$(call flux:create ',"symbols":["btcusdt"],"interval":"1s"')" '"status":"ok"'
    key='candles:{btcusdt}:1s'
    for _ in $(seq 300); do [ "$("${cli[@]}" XLEN "$key")" -ge 900 ] && break; sleep 0.1; done
    "$python" docs/examples/continuity.py "unix://$work/redis.sock" btcusdt 1s 15 >"$work/continuity" &
    reader=$!
    for _ in $(seq 100); do grep -q '^appended' "$work/continuity" && break; sleep 0.1; done
    id=$("${cli[@]}" XRANGE "$key" - + COUNT 300 | grep -E '^[0-9]+-0$' | tail -1) || fail "no candles of btcusdt come"
    "${cli[@]}" XDEL "$key" "$id" >/dev/null
    "$feedd" audit btcusdt 1s --repair --redis "unix://$work/redis.sock" || fail "the audit has not put $id back"
    wait "$reader" || fail "continuity.py: $(cat "$work/continuity")"
    expect "$(cat "$work/continuity")" "^inserted ${id%-0}\$"
    expect "$(cat "$work/continuity")" '^whole$'
    say "redis-py: history, changes and holes"
else
    say "redis-py: skipped, it is not installed and pip cannot get it (Debian: apt-get install python3-redis)"
fi

swift build --package-path docs/examples/bot --scratch-path .build-outside
bot=.build-outside/debug/bot
answer=$(timeout 60 "$bot" "unix://$work/redis.sock" btcusdt)
expect "$answer" 'btcusdt closed at [0-9]'
libraries=$(ldd "$bot")
expect "$libraries" 'libc\.so'
! grep jemalloc <<<"$libraries" || fail "the library has brought jemalloc into a program that has not asked for it"
say "a package outside: the same, with its own allocator"
