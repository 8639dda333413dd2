#!/usr/bin/env bash
# The public Autobahn suite (https://github.com/crossbario/autobahn-testsuite, PyPI: autobahntestsuite) against
# WebSocketClient: all client cases but compression (12, 13), which is not offered. Fails on any case that is
# not OK or informational. Needs the suite's command `wstest`: on PATH, or named by WSTEST.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wstest=${WSTEST:-$(command -v wstest || true)}
if [[ -z $wstest ]]; then
    say "skipped: the Autobahn suite is not installed; install autobahntestsuite and name its command: WSTEST=/path/to/wstest $0"
    exit 0
fi
port=${PORT:-9001}
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

scripts/setup.sh
swift_build --product autobahn-testee
cat >"$work/spec.json" <<EOF
{"url": "ws://127.0.0.1:$port", "outdir": "$work/reports", "cases": ["*"], "exclude-cases": ["12.*", "13.*"], "exclude-agent-cases": {}}
EOF
"$wstest" -m fuzzingserver -s "$work/spec.json" -u 0 >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; fail "the fuzzing server does not start"; }
    sleep 0.2
done
"$built/autobahn-testee" "ws://127.0.0.1:$port" FastFeed
python3 - "$work/reports/index.json" <<'EOF'
import collections, json, sys
cases = json.load(open(sys.argv[1]))["FastFeed"]
good = {"OK", "INFORMATIONAL"}
bad = {n: c for n, c in cases.items() if c["behavior"] not in good or c["behaviorClose"] not in good}
print(len(cases), "cases:", dict(collections.Counter(c["behavior"] for c in cases.values())))
for name, case in sorted(bad.items()):
    print("  ", name, case["behavior"], "close:", case["behaviorClose"])
sys.exit(1 if bad or len(cases) < 301 else 0)
EOF
