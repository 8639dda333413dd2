# Shared by the scripts: where the repository is, and steps that say how long they took.
# Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Where swift_build puts programs.
built=.build/release

# strip_program FROM TO: as a release has it. Left out is what differs with the folder it was built in: the linker's build id, and what Swift's
# compiler asks whether it must compile a part again; both are made of debugging information, too, and no program reads them.
strip_program() {
    strip --remove-section=.comment --remove-section=.note --remove-section=.note.gnu.build-id --remove-section=.swift_modhash -o "$2" "$1"
}

# swift_build [FLAGS]: the one invocation of all scripts. SwiftPM builds everything again when a flag differs, and by default a terminal
# is one: it colours the compiler's diagnostics.
swift_build() { FASTFEED_COMMIT=${FASTFEED_COMMIT-$(commit_number)} swift build -c release --no-color-diagnostics "$@"; }

# The commit as `feedd --version` is told it, by the linker (Package.swift): hexadecimal, 1 or, where files differ from it, 2, and then
# the commit. Empty without one.
commit_number() {
    local said
    said=$(git describe --always --dirty --exclude '*' 2>/dev/null) || return 0
    case $said in *-dirty) echo "2${said%-dirty}" ;; *) echo "1$said" ;; esac
}

# take_flags NAME ARGUMENT…: `flags` becomes the arguments but --record, and `record` where today's record goes, without
# suffix, if --record was among them.
take_flags() {
    local name=$1 argument
    shift
    flags=()
    record=
    for argument in "$@"; do
        case $argument in
            --record) record="perf/results/$name-$(date -u +%Y%m%dT%H%M%SZ)" ;;
            *) flags+=("$argument") ;;
        esac
    done
}

# The commit as a record names it.
commit() { git describe --always --dirty 2>/dev/null || true; }

# The language settings of Package.swift as arguments of the compiler, one a line: read from there, so that the two
# cannot differ.
language_flags() {
    printf -- '-swift-version\n6\n'
    sed -nE 's/^ *\.enable(Upcoming|Experimental)Feature\("([A-Za-z]+)"\).*/-enable-\L\1\E-feature\n\2/p' Package.swift
}

# step NAME COMMAND…: quiet while all is well, but for what was skipped; everything when it is not.
step() {
    local name=$1 log started=$SECONDS
    shift
    log=$(mktemp)
    printf '%-32s' "$name"
    if "$@" >"$log" 2>&1; then
        printf 'ok %5ds\n' $((SECONDS - started))
        grep ': skipped, ' "$log" || true
        rm -f "$log"
    else
        printf 'FAILED after %ds\n\n' $((SECONDS - started))
        cat "$log"
        rm -f "$log"
        exit 1
    fi
}

# pip_into FOLDER PACKAGE…: has pip put packages, named NAME==VERSION or as further arguments of it, into a folder, unless they
# are there from another time. False where they are not to be had: no pip, or nothing that it reaches. What it says: FOLDER.log.
pip_into() {
    local folder=$1 wanted
    shift
    wanted="$(python3 --version 2>&1), $*"
    [ "$(cat "$folder/packages" 2>/dev/null)" != "$wanted" ] || return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    timeout 120 python3 -m pip install --quiet --disable-pip-version-check --no-input --retries 1 --timeout 20 \
        --target "$folder" "$@" >"$folder.log" 2>&1 </dev/null || return 1
    printf '%s\n' "$wanted" >"$folder/packages"
}

# What some tests are for: proxies, Prometheus. Without them those are skipped, aloud.
for_tests=(tinyproxy microsocks prometheus)

# is_installed PACKAGE: or a program of that name, from elsewhere.
is_installed() { command -v "$1" >/dev/null || [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null || true)" = "install ok installed" ]; }

# apt_install PACKAGE…: by apt-get; a service that comes with one does not run. Where `sudo` is set, by its words. The package lists of a fresh
# image are empty or old: they are refreshed when the first try fails.
apt_install() {
    local package
    apt_get_install "$@" 2>/dev/null || { "${sudo[@]:+${sudo[@]}}" apt-get update -qq && apt_get_install "$@"; } || return 1
    for package in "$@"; do
        # RUNLEVEL=1 is not asked everywhere.
        if command -v systemctl >/dev/null && systemctl is-active --quiet "$package" 2>/dev/null; then
            "${sudo[@]:+${sudo[@]}}" systemctl disable --now "$package" >/dev/null 2>&1 || true
        fi
    done
}
apt_get_install() {
    "${sudo[@]:+${sudo[@]}}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# optional PACKAGE…: what only some tests are for. Installs what is missing, where nobody must be asked for a password for that. What is
# not to be had is named, and false is the answer: whoever needs it skips, aloud.
optional() {
    local package missing=() sudo=()
    for package in "$@"; do is_installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
    if ! apt_install "${missing[@]}" >/dev/null 2>&1 </dev/null; then
        say "${missing[*]}: apt-get cannot get this here; what needs it is skipped"
        return 1
    fi
}
