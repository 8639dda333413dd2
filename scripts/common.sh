# Shared by the scripts: where the repository is, and steps that say how long they took.
# Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# The language settings of Package.swift as arguments of the compiler, one a line: read from there, so that the two
# cannot differ.
language_flags() {
    printf -- '-swift-version\n6\n'
    sed -nE 's/^ *\.enable(Upcoming|Experimental)Feature\("([A-Za-z]+)"\).*/-enable-\L\1\E-feature\n\2/p' Package.swift
}

# step NAME COMMAND…: quiet while all is well, everything when it is not.
step() {
    local name=$1 log started=$SECONDS
    shift
    log=$(mktemp)
    printf '%-32s' "$name"
    if "$@" >"$log" 2>&1; then
        printf 'ok %5ds\n' $((SECONDS - started))
        rm -f "$log"
    else
        printf 'FAILED after %ds\n\n' $((SECONDS - started))
        cat "$log"
        rm -f "$log"
        exit 1
    fi
}
