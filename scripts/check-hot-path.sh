#!/usr/bin/env bash
# The hot functions (perf/hot-symbols.txt) in the release build of feedd: none of them may count references, check accesses or
# allocate. And its allocator is jemalloc. Needs objdump and nm, which come with the linker that Swift needs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

program=$built/feedd
[ -x "$program" ] || fail "no $program: scripts/test.sh builds it"
forbidden='swift_(retain|release|bridgeObjectRetain|bridgeObjectRelease|unknownObjectRetain|unknownObjectRelease|beginAccess)(_n)?'
forbidden+='|swift_(allocObject|slowAlloc)|malloc|calloc|realloc|posix_memalign|aligned_alloc|_Znwm|_Znam'
symbols=$(nm "$program" | awk '$2 ~ /^[tT]$/ { print $3 }')
count=0
faults=0
while read -r name; do
    case $name in '' | '#'*) continue ;; esac
    found=$(grep -F -- "$name" <<<"$symbols" | awk -v name="$name" 'index($0, name) == 1' || true)
    [ -n "$found" ] || fail "$name is not in $program: renamed, or inlined away; mend perf/hot-symbols.txt"
    while read -r symbol; do
        count=$((count + 1))
        code=$(objdump -d --no-show-raw-insn --disassemble="$symbol" "$program")
        grep -qF "<$symbol>:" <<<"$code" || fail "$symbol cannot be disassembled"
        calls=$(grep -oE "(call|jmp) +[0-9a-f]+ <($forbidden)(@plt)?>" <<<"$code" || true)
        [ -z "$calls" ] && continue
        say "$symbol: $(sed 's/.*<//; s/>.*//' <<<"$calls" | sort | uniq -c | tr -s ' \n' ' ')"
        faults=$((faults + 1))
    done <<<"$found"
done <perf/hot-symbols.txt
[ "$faults" -eq 0 ] || fail "$faults hot functions call what they must not"
# The order in which it is linked decides; the loader tells the outcome.
malloc=$(LD_BIND_NOW=1 LD_DEBUG=bindings "$program" --version 2>&1 | grep -F "binding file $program " | grep -F "symbol \`malloc'" || true)
[[ $malloc == */libjemalloc.so* ]] || fail "malloc is not jemalloc's: ${malloc:-not bound}"
say "hot path: $count functions without reference counts, access checks or allocations; malloc is jemalloc's"
