#!/usr/bin/env bash
# Checks that each room of Sources/FastFeed mentions only what it may know (scripts/rooms.txt): a room is
# type-checked with those rooms alone, so a forbidden mention does not compile. Then the imports: C only in the
# rooms that wrap it, Foundation nowhere on the path of a message.
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

# The language settings of Package.swift, read from it so that the two cannot differ.
flags=(-swift-version 6 -warnings-as-errors)
while read -r kind name; do
    flags+=("-enable-$kind-feature" "$name")
done < <(sed -nE 's/^ *\.enable(Upcoming|Experimental)Feature\("([A-Za-z]+)"\).*/\1 \2/p' Package.swift | sed 's/^Upcoming/upcoming/; s/^Experimental/experimental/')

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
    [ -n "${knows[$name]+there}" ] || { say "$name is no room: add it to scripts/rooms.txt"; status=1; }
done

# What a room may know may know more itself; its declarations must compile, too.
closure() {
    local room=$1 other
    case " $seen " in *" $room "*) return ;; esac
    seen="$seen $room"
    for other in ${knows[$room]}; do closure "$other"; done
}

check() {
    local room=$1 other files=() extra=()
    if [ "${knows[$room]}" = '*' ]; then
        set -- "${rooms[@]}"
    else
        seen=""
        closure "$room"
        set -- Base $seen
    fi
    for other in $(printf '%s\n' "$@" | sort -u); do
        while IFS= read -r file; do files+=("$file"); done < <(find "$sources/$other" -name '*.swift' 2>/dev/null)
    done
    # The forbidden rooms behind an allowed one come along to type-check it; the room itself must not see them.
    swiftc -typecheck "${flags[@]}" -module-name FastFeed -package-name fastfeed -I "$work/CShims" \
        "${files[@]}" >"$work/$room.log" 2>&1
}
