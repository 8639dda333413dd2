#!/usr/bin/env bash
# Clients of the exchange that nobody here wrote, against `feedd simulate`: the exchange's own Python SDK (binance-sdk-spot) and
# python-binance, unchanged, streams and REST, in plain text and over TLS. What they deliver is compared with what the exchange
# says it sent (exchange-clients.py). They are the judges of the local exchange. Skipped, aloud, where pip cannot get them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages="$PWD/.build/python/exchange-clients"
if ! pip_into "$packages" binance-sdk-spot==13.3.0 python-binance==1.0.37; then
    say "skipped: pip cannot get binance-sdk-spot and python-binance ($packages.log)"
    exit 0
fi
scripts/setup.sh
swift_build --product feedd
work=$(mktemp -d)
exchange=
trap '[ -z "$exchange" ] || kill "$exchange" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

# judge CLIENT MARKET FLAGS…: one client against an exchange of its own. Of history there is more than a page of REST.
judge() {
    local client=$1 market=$2 log=$work/exchange.log authority
    shift 2
    "$built/feedd" simulate --port 0 --symbols 5 --market "$market" --history-minutes 3000 --status-seconds 0 "$@" >"$log" &
    exchange=$!
    for _ in $(seq 100); do grep -q 'ws[s]*://' "$log" && break; sleep 0.1; done
    authority=$(sed -nE 's/.*ca-file //p' "$log")
    PYTHONPATH=$packages timeout 200 python3 scripts/exchange-clients.py "$client" "$market" \
        "$(grep -oE 'https?://[^ ]+' "$log")" "$(grep -oE 'wss?://[^ ]+' "$log")" ${authority:+"$authority"} ||
        fail "$client, $market: see above"
    kill "$exchange"
    wait "$exchange" || true
    exchange=
}

judge official spot --speed 10
judge official spot --speed 10 --tls
judge community spot --speed 10
judge community spot --speed 10 --tls
# A bar of a minute each half second.
judge community um --speed 120
say "all that they delivered is what the exchange sent"
