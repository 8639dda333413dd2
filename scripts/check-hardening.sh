#!/usr/bin/env bash
# What the release build of feedd must have against attackers: addresses that differ in each process, tables of addresses that cannot be
# written, a stack that is not code, guards in the C and C++ shims; and no core, which would hold passwords.
#
#   scripts/check-hardening.sh      FEEDD=PROGRAM looks at that one. Seconds. Needs readelf, nm and objdump, and python3 for the core.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

program=$(realpath "${FEEDD:-$built/feedd}")
[ -x "$program" ] || fail "no $program: scripts/test.sh builds it"
faults=0
# must WHAT COMMAND…
must() {
    local what=$1
    shift
    "$@" >/dev/null || { say "missing: $what"; faults=$((faults + 1)); }
}

dynamic=$(readelf -dW "$program")
segments=$(readelf -lW "$program")
imports=$(nm -D --undefined-only "$program")
has() { grep -qE -- "$1" <<<"$2"; }
lacks() { ! has "$@"; }
must "a position of its own in each process (PIE)" has 'FLAGS_1.* PIE' "$dynamic"
must "all addresses resolved at the start (BIND_NOW)" has '\(FLAGS\).* BIND_NOW' "$dynamic"
must "what they are read from cannot be written (RELRO)" has ' GNU_RELRO ' "$segments"
must "the tables of functions are part of that" has ' \.got\.plt .*\.relro_padding' "$segments"
must "a stack that is not code" has ' GNU_STACK .* RW ' "$segments"
must "no memory that is written and run" lacks ' RWE ' "$segments"
must "no code that the loader writes" lacks 'TEXTREL' "$dynamic"
must "a guarded stack somewhere" has ' __stack_chk_fail' "$imports"
must "checked copies (_FORTIFY_SOURCE)" has ' __(memcpy|snprintf)_chk' "$imports"

# One function of each target, with foreign bytes in a buffer or by an address.
guarded=(ff_kline_walk ff_klines_parse ff_rest_take ff_tls_connect ff_thread_name ops_request_query ff_authority_make)
if has " T ${guarded[0]}$" "$(nm "$program" 2>/dev/null)"; then
    for name in "${guarded[@]}"; do
        must "a guarded stack in $name" has '<__stack_chk_fail' "$(objdump -d --no-show-raw-insn --disassemble="$name" "$program")"
    done
else
    say "guards of single functions: skipped, $program is stripped"
fi

# 0: no core; 1: a core; 2: this machine writes none, not even of `sleep`.
core() {
    python3 - "$program" <<'END'
import os, resource, signal, subprocess, sys, tempfile

def dumps(command, folder):
    """Whether the kernel has written a core of it."""
    unlimited = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    errors = subprocess.PIPE if len(command) > 2 else None
    child = subprocess.Popen(command, cwd=folder, preexec_fn=unlimited, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
    if errors:
        child.stderr.readline()  # Now it is under way.
    child.send_signal(signal.SIGABRT)
    _, status = os.waitpid(child.pid, 0)
    assert os.WIFSIGNALED(status), "it has ended before: %x" % status
    child.returncode = 0
    return os.WCOREDUMP(status)

with tempfile.TemporaryDirectory() as folder:
    try:
        if not dumps(["sleep", "60"], folder):
            sys.exit(2)
    except (subprocess.SubprocessError, PermissionError, ValueError):
        sys.exit(2)
    away = "127.0.0.1:1"
    run = [sys.argv[1], "run", "--flux", "btcusdt:1m", "--ops", "off", "--redis", "redis://" + away, "--venue-ws", "ws://" + away]
    sys.exit(1 if dumps(run, folder) else 0)
END
}
if command -v python3 >/dev/null; then
    code=0
    core || code=$?
    case $code in
        0) ;;
        1) must "no core of a service that aborts" false ;;
        2) say "no core: skipped, this machine writes none of any program" ;;
        *) fail "the service cannot be tried" ;;
    esac
else
    say "no core: skipped, python3 is not installed"
fi
[ "$faults" -eq 0 ] || fail "$faults properties are missing in $program"
say "hardening: PIE, BIND_NOW, RELRO, guards, no core"
