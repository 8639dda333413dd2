# Shared by the scripts that run servers: processes that have a name, their id in `pids`, their words in $logs/NAME.log, and that end with
# the script. Sourced, not run, after common.sh, with `logs` and `work` set: two folders, the second one of which goes at the end.

declare -A pids=()
# shellcheck disable=SC2317
end_all() {
    local pid
    trap '' INT TERM
    for pid in "${pids[@]}"; do kill -CONT "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for _ in $(seq 80); do
        kill -0 "${pids[@]}" 2>/dev/null || break
        sleep 0.1
    done
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND…
start() {
    local name=$1
    shift
    "$@" >>"$logs/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
}
# end NAME [SIGNAL]: and waits for its end.
end() {
    local pid=${pids[$1]}
    unset "pids[$1]"
    kill "-${2:-TERM}" "$pid"
    wait "$pid" 2>/dev/null || true
}
# eventually SECONDS COMMAND…
eventually() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.2
    done
}
free_port() { python3 scripts/free_port.py; }
alive() {
    local name
    for name in "${!pids[@]}"; do
        kill -0 "${pids[$name]}" 2>/dev/null || fail "$name has ended: $(tail -n 3 "$logs/$name.log")"
    done
}
