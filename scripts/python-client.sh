#!/usr/bin/env bash
# The Python client (clients/python): its wheel as pip installs it, ruff, mypy, and pytest against a real service. Skipped, aloud, where
# pip cannot get what that needs.
#
#   scripts/python-client.sh [PYTEST ARGUMENT…]      with the installed redis-server
#   scripts/python-client.sh --servers               with Redis 6.2 and 8.2, Valkey 8.1 and the installed one, one after the other
#   scripts/python-client.sh --oldest                with Python 3.9 and redis-py 5.0.1, where python3.9 is installed
#   scripts/python-client.sh --speed                 against redis-py by hand: ends with 1 above a ratio of 1.3
#   scripts/python-client.sh --wheel FOLDER          only builds the wheel into FOLDER; 3: pip cannot get what builds it
#
# FEEDD=PROGRAM is the service that is tested; .build/release/feedd by default.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package=clients/python
builder=hatchling==1.33.0
tools=("$builder" ruff==0.17.6 mypy==2.4.1 pytest==9.2.0 pytest-xdist==3.8.0 redis==8.1.0 hiredis==3.5.0
    pandas==3.1.1 pandas-stubs==3.1.0.261029 matplotlib==3.11.2)
oldest=(hatchling pytest pytest-xdist redis==5.0.1 pandas)

# venv FOLDER PYTHON PACKAGE…: an environment with these, unless it is there from another time. False where it is not to be had. What
# pip says: FOLDER.log.
venv() {
    local folder=$1 python=$2 wanted
    shift 2
    wanted="$("$python" --version 2>&1), $*"
    [ "$(cat "$folder/packages" 2>/dev/null)" != "$wanted" ] || return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    "$python" -m venv "$folder" >"$folder.log" 2>&1 || return 1
    timeout 300 "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 1 --timeout 20 "$@" \
        >>"$folder.log" 2>&1 </dev/null || return 1
    printf '%s\n' "$wanted" >"$folder/packages"
}

# wheel PYTHON FOLDER: builds it.
wheel() { "$1" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-cache-dir -w "$2" "./$package"; }

# install ENVIRONMENT: the package as users have it, not as it lies in the tree.
install() {
    local built
    built=$(mktemp -d)
    wheel "$1/bin/python" "$built" || { rm -rf "$built"; return 1; }
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall "$built"/*.whl
    rm -rf "$built"
}

# suite ENVIRONMENT ARGUMENT…: the tests. Most of them wait, so that three at a time are done in a third of the time.
suite() {
    local environment=$PWD/$1
    shift
    (cd "$package" && PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR="$OLDPWD/.build/python/matplotlib" \
        "$environment/bin/python" -m pytest -n 3 --dist loadfile "$@")
}

if [ "${1:-}" = --wheel ]; then
    [ $# -eq 2 ] || fail "usage: $(basename "$0") --wheel FOLDER"
    venv .build/python/builder python3 "$builder" || { say "the wheel: skipped, pip cannot get $builder"; exit 3; }
    mkdir -p "$2"
    wheel .build/python/builder/bin/python "$2"
    exit
fi

export FEEDD=${FEEDD:-$PWD/$built/feedd}
[ -x "$FEEDD" ] || fail "$FEEDD is not there: swift build, or FEEDD=PROGRAM"
if [ "${1:-}" = --oldest ]; then
    command -v python3.9 >/dev/null || { say "the Python client with Python 3.9: skipped, it is not installed"; exit; }
    environment=.build/python/client-3.9
    venv "$environment" python3.9 "${oldest[@]}" || { say "the Python client with Python 3.9: skipped, pip cannot get ${oldest[*]}"; exit; }
    install "$environment"
    suite "$environment"
    exit
fi
environment=.build/python/client
venv "$environment" python3 "${tools[@]}" || { say "the Python client: skipped, pip cannot get what it needs ($environment.log)"; exit; }
install "$environment"
case ${1:-} in
    --speed)
        exec "$environment/bin/python" "$package/benchmarks/by_hand.py"
        ;;
    --servers)
        for name in 6.2 8.2 valkey-8.1 installed; do
            folder=$(scripts/redis-versions.sh --server "$name") || continue
            say "$name: $("$folder/redis-server" --version)"
            PATH="$folder:$PATH" suite "$environment"
        done
        exit
        ;;
esac
# The cache of mypy makes the second time quick.
(
    cd "$package"
    "$OLDPWD/$environment/bin/ruff" check --no-cache .
    "$OLDPWD/$environment/bin/ruff" format --no-cache --check .
    "$OLDPWD/$environment/bin/mypy" --cache-dir "$OLDPWD/.build/python/mypy"
)
suite "$environment" "$@"
