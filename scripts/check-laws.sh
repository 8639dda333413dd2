#!/usr/bin/env bash
# Laws and English. Every Swift file of Sources opens with its law, a comment; the law of a file of Sources/FastFeed says on which thread
# it runs, or that it is pure. And no "is no interval": that is German.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# What a law may say of its thread.
threads='threads?|pure|tasks?|agent|plain values?|constants?|no state|immutable'
# "There is no …" and comparisons are English.
english='(?<!there )\b(is|are|was|were) no (?!longer|more|less|fewer|one |better|worse|way |need|doubt|end )[a-z]+'

# The comment a file begins with, up to the first line that is none.
law() { awk '!/^\/\// { exit } { print }' "$1"; }

missing=()
silent=()
while IFS= read -r file; do
    text=$(law "$file")
    if [ -z "$text" ]; then
        missing+=("$file")
    elif [[ $file == Sources/FastFeed/* ]] && ! grep -qiwE "$threads" <<<"$text"; then
        silent+=("$file")
    fi
done < <(find Sources -name '*.swift' | sort)
mapfile -t tics < <(grep -rnPi --include='*.swift' --include='*.c' --include='*.cpp' --include='*.h' "$english" Sources || true)

# list WHAT ENTRY…
list() {
    local what=$1
    shift
    [ $# -gt 0 ] || return 0
    say "$what ($#):"
    printf '  %s\n' "$@"
}
list "no law at the beginning" "${missing[@]:+${missing[@]}}"
list "the law names no thread and does not say that it is pure" "${silent[@]:+${silent[@]}}"
list "say \"is not a …\"" "${tics[@]:+${tics[@]}}"
[ $((${#missing[@]} + ${#silent[@]} + ${#tics[@]})) -eq 0 ] || exit 1
say "laws: every file has one"
