# Shared by the scripts that measure: build, run, leave a record in perf/results. Sourced, not run.

source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

# build_all: everything that a measurement starts.
build_all() {
    scripts/setup.sh >&2
    step "build" swift_build >&2
}

# take_rounds ARGUMENT…: `rounds` becomes the first argument where that is a number, otherwise 3, and `flags` all the others.
take_rounds() {
    rounds=3
    if [[ ${1:-} =~ ^[0-9]+$ ]]; then
        rounds=$1
        shift
    fi
    flags=("$@")
}

# keep RECORD FLAG COMMAND…: runs the command, which writes a document where FLAG says. RECORD.txt becomes what it prints, and
# RECORD.json.gz the document.
keep() {
    local record=$1 flag=$2 status=0
    shift 2
    mkdir -p "$(dirname "$record")"
    "$@" "$flag" "$record.json" | tee "$record.txt" || status=$?
    gzip -9nf "$record.json" || status=1
    say "" "recorded: $record.json.gz $record.txt"
    return $status
}

# trial NAME ARGUMENT…: builds and runs `Benchmarks NAME`; with --record among the arguments it leaves a record.
trial() {
    local name=$1
    shift
    take_flags "$name" "$@"
    build_all
    set -- "$built/Benchmarks" "$name" "${flags[@]}" --commit "$(commit)"
    [ -n "$record" ] || exec "$@"
    keep "$record" --record "$@"
}
