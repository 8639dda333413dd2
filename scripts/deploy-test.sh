#!/usr/bin/env bash
# What deploy/ ships, run for real: the files checked by their own tools, the image built and run, Redis with its configurations, nginx,
# backup and restore, an upgrade and the way back, a release. A part that cannot run here is skipped, aloud. (The package: scripts/package-test.sh.)
#
#   scripts/deploy-test.sh [PART…]     files image redis nginx backup upgrade release; without any, all of them
#
# FEEDD=PROGRAM takes that one instead of building; OLD=PROGRAM is the version that `upgrade` comes from, else it builds one, once.
# The parts are in scripts/deploy-test/. What all said: .build/deploy/logs/.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

parts=(files image redis nginx backup upgrade release)
for name in "$@"; do [[ " ${parts[*]} " == *" $name "* ]] || fail "no part '$name'; there are: ${parts[*]}"; done
wants() { [ -z "$wanted" ] || [[ " $wanted " == *" $1 "* ]]; }
wanted="$*"

program=${FEEDD:-}
if [ -z "$program" ] && [ "$wanted" != files ]; then
    scripts/setup.sh
    step "build" swift_build --product feedd
    program=$built/feedd
fi
cache=$PWD/.build/deploy
logs=$cache/logs
rm -rf "$logs"
mkdir -p "$logs"
work=$(mktemp -d)
source scripts/processes.sh

# holds WHAT COMMAND…: within 30 s.
holds() {
    local what=$1
    shift
    eventually 30 "$@" >>"$logs/checks.log" 2>&1 || fail "$what: not so; see $logs/"
    say "  $what"
}
refused() { ! "$@"; }
# ended NAME: its process is gone; its exit code can still be waited for.
ended() { ! kill -0 "${pids[$1]}" 2>/dev/null; }
has() { command -v "$1" >/dev/null; }
skip() { say "skipped: $*"; }

# MARK: Redis, the exchange, feedd.

redis_port=0
# start_redis NAME FLAGS…: under deploy/redis/redis.conf; `redis_port` becomes its port.
start_redis() {
    local name=$1
    shift
    [ "$redis_port" != 0 ] || redis_port=$(free_port)
    mkdir -p "$work/$name"
    # A copy: Sentinel has servers write into theirs.
    cp deploy/redis/redis.conf "$work/$name.conf"
    start "$name" redis-server "$work/$name.conf" --port "$redis_port" --dir "$work/$name" \
        --unixsocket "$work/$name.sock" --aclfile "$work/users.acl" "$@"
    holds "$name: it starts" admin "$name" PING
}
# make_users [--containers]: the users of deploy/, and one for this test.
make_users() {
    scripts/secrets.sh "$@" "$work/secrets" >/dev/null
    { cat "$work/secrets/users.acl"; echo 'user admin on nopass ~* &* +@all'; } >"$work/users.acl"
}
admin() { local name=$1; shift; timeout 5 redis-cli -s "$work/$name.sock" --user admin --pass x --no-auth-warning "$@"; }
as() { local user=$1; shift; REDISCLI_AUTH=$(cat "$work/secrets/redis-$user") timeout 5 redis-cli --user "feed-$user" "$@"; }
says() { local wanted=$1; shift; [ "$("$@" | tr -d '\r' | tail -n 1)" = "$wanted" ]; }
contains() { local wanted=$1 said; shift; said=$("$@" 2>&1 || true); grep -q -- "$wanted" <<<"$said"; }
nobody_was_refused() {
    local said
    said=$(admin "$1" ACL LOG) && [ -z "$said" ] || { echo "$said"; return 1; }
}

start_exchange() {
    rm -f "$logs/exchange.log"
    start exchange "$program" simulate --port 0 --symbols 5 --push-ms 100
    eventually 20 grep -qs 'ws://' "$logs/exchange.log" || fail "the exchange does not start: $logs/exchange.log"
    exchange=$(grep -oE 'ws://[^ ]+' "$logs/exchange.log" | sed 's,ws://,,')
}
# start_feedd NAME FLAGS…: `ops` becomes the address of its page.
start_feedd() {
    local name=$1
    shift
    ops=127.0.0.1:$(free_port)
    start "$name" "$program" run --venue-ws "ws://$exchange" --venue-rest "http://$exchange" --ops "$ops" --report-seconds 0 "$@"
}
is_ready() { "$program" health --ready "http://$ops"; }
service=(--redis-user feed-service)
stored() { [ "$(admin "$1" XLEN 'candles:{btcusdt}:1s')" -ge "$2" ]; }

# MARK: Certificates.

# certificate NAME SAN: by the authority of this test.
certificate() {
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$work/tls/$1.key" -out "$work/tls/$1.csr" 2>>"$logs/openssl.log"
    openssl x509 -req -in "$work/tls/$1.csr" -CA "$work/tls/ca.crt" -CAkey "$work/tls/ca.key" -CAcreateserial -days 2 \
        -extfile <(printf 'subjectAltName=%s' "$2") -out "$work/tls/$1.crt" 2>>"$logs/openssl.log"
}
make_authority() {
    [ ! -d "$work/tls" ] || return 0
    mkdir "$work/tls"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=authority" -keyout "$work/tls/ca.key" -out "$work/tls/ca.crt" \
        2>>"$logs/openssl.log"
}

# MARK: What is stored.

entries() { admin "$1" XRANGE 'candles:{btcusdt}:1s' - "$2"; }
count_of() { grep -cE '^[0-9]{13}-[0-9]+$' "$1"; }
newest() { admin "$1" XREVRANGE 'candles:{btcusdt}:1s' + - COUNT 1 | head -n 1; }
# Every second between the first and the last of a history is there.
is_whole() {
    admin "$1" XRANGE 'candles:{btcusdt}:1s' - + | grep -oE '^[0-9]{13}-0$' |
        awk -F- 'NR > 1 && $1 != last + 1000 { print "missing after " last; exit 1 } { last = $1 }'
}
nothing_missing() { "$program" gaps --redis "unix://$work/primary.sock" --redis-user feed-client --redis-password-file "$work/secrets/redis-client"; }

for part in "${parts[@]}"; do
    wants "$part" || continue
    say "== $part"
    begun=$SECONDS
    # shellcheck source=/dev/null
    source "scripts/deploy-test/$part.sh"
    "part_$part"
    say "   $((SECONDS - begun)) s"
done
