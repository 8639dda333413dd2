#!/usr/bin/env bash
# Checks that each room of Sources/FastFeed mentions only what it may know (scripts/rooms.txt): a room is
# type-checked with those rooms alone, so a forbidden mention does not compile. Then the imports: C only in the
# rooms that wrap it, Foundation nowhere on the path of a message. A violation is planted in a copy, too: a check
# that does not see it has failed itself.
#
#   scripts/check-rooms.sh [SOURCES]     SOURCES defaults to Sources/FastFeed
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sources=${1:-Sources/FastFeed}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# SwiftPM makes such a module map for itself when it builds.
mkdir "$work/CShims"
printf 'module CShims {\n    umbrella "%s"\n    export *\n}\n' "$PWD/Sources/CShims/include" >"$work/CShims/module.modulemap"

mapfile -t flags < <(language_flags)
flags+=(-warnings-as-errors -strict-memory-safety)

declare -A knows
rooms=()
while read -r room rest; do
    case $room in '' | '#'*) continue ;; esac
    knows[$room]=$rest
    rooms+=("$room")
done <scripts/rooms.txt

status=0
for folder in "$sources"/*/; do
    name=$(basename "$folder")
    # The catalog of the documentation.
    [ "$name" != FastFeed.docc ] || continue
    [ -n "${knows[$name]+there}" ] || { say "$name is no room: add it to scripts/rooms.txt"; status=1; }
done

# check ROOM SOURCES LOG: writes to LOG.complaints what the compiler says against the room's files. They are checked; of the rooms
# it may know only the declarations are looked at, so that what they in turn know stays out of sight.
check() {
    local room=$1 sources=$2 log=$3 other own=() seen=() arguments=() code=0
    mapfile -t own < <(find "$sources/$room" -name '*.swift' 2>/dev/null | sort)
    [ ${#own[@]} -gt 0 ] || return 0
    local allowed="Base ${knows[$room]}"
    [ "${knows[$room]}" != '*' ] || allowed="${rooms[*]}"
    for other in $allowed; do
        [ "$other" != "$room" ] || continue
        while IFS= read -r file; do seen+=("$file"); done < <(find "$sources/$other" -name '*.swift' 2>/dev/null | sort)
    done
    for file in "${own[@]}"; do arguments+=(-primary-file "$file"); done
    swiftc -frontend -typecheck "${flags[@]}" -module-name FastFeed -package-name fastfeed -I "$work/CShims" \
        "${arguments[@]}" "${seen[@]:+${seen[@]}}" >"$log" 2>&1 || code=$?
    # Complaints about another room's declarations are that room's affair. A compiler that fails without an error has not checked.
    grep -E "^[^ ]*/$room/[^ ]*: error:|<unknown>" "$log" >"$log.complaints" || true
    if [ $code -gt 1 ] || { [ $code -eq 1 ] && ! grep -q ': error:' "$log"; }; then
        { say "the compiler ended with $code:"; tail -n 20 "$log"; } >>"$log.complaints"
    fi
}

# The canary: Market, which knows nothing but Base, mentions a type of Candles; Candles mentions its own.
planted=$work/planted
cp -r "$sources" "$planted"
mkdir -p "$planted/Candles" "$planted/Market"
printf 'struct Canary { var age = 1 }\n' >"$planted/Candles/Canary.swift"
printf 'let canary = Canary()\n' | tee "$planted/Candles/Mention.swift" >"$planted/Market/Mention.swift"

# Two at a time.
check_all() {
    local room
    for room in "${rooms[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
        check "$room" "$sources" "$work/$room" &
    done
    check Market "$planted" "$work/canary-seen" &
    check Candles "$planted" "$work/canary-known" &
    wait
}
check_all
for room in "${rooms[@]}"; do
    [ -s "$work/$room.complaints" ] || continue
    say "$room mentions what it may not know (or does not compile):"
    sed 's/^/  /' "$work/$room.complaints"
    status=1
done
grep -q "Mention.swift.*: error: cannot find 'Canary'" "$work/canary-seen.complaints" || fail "Market was let mention a type of Candles"
! grep -q 'Canary' "$work/canary-known.complaints" || fail "Candles was not let mention its own type"

# imports MODULE ROOM…: says which files import it.
imports() {
    local module=$1 room
    shift
    for room in "$@"; do
        grep -rnE "^ *((@[A-Za-z_()]+|public|package|internal|private) +)*import +(struct |class |enum |func )?$module\b" "$sources/$room" 2>/dev/null || true
    done
}

outside=()
for room in "${rooms[@]}"; do
    case $room in Platform | Wire | Venue | Redis | Store) ;; *) outside+=("$room") ;; esac
done
found=$(imports CShims "${outside[@]}")
[ -z "$found" ] || { say "only Platform, Wire, Venue, Redis and Store may import CShims:"; say "$found"; status=1; }
found=$(imports 'Foundation[A-Za-z]*' Readers Candles Store)
[ -z "$found" ] || { say "Readers, Candles and Store must do without Foundation:"; say "$found"; status=1; }

[ $status -eq 0 ] && say "rooms: ${#rooms[@]} in order"
exit $status
