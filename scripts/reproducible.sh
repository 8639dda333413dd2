#!/usr/bin/env bash
# Two compilations of this commit, in two clones in folders of different names: the program is the same, byte for byte, as a release packs
# it. With the packages that are resolved here; what differs in the tree and is not committed is not looked at.
#
#   scripts/reproducible.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh
for command in git strip; do command -v $command >/dev/null || fail "$command is not installed"; done
[ -e Package.resolved ] || fail "there is no Package.resolved: nothing has been built here"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for folder in "$work/one" "$work/the/other one"; do
    git clone -q . "$folder"
    cp Package.resolved "$folder/"
    (cd "$folder" && step "build in ${folder#"$work/"}" swift_build --product feedd)
    strip_program "$folder/$built/feedd" "$folder.feedd"
done
cmp "$work/one.feedd" "$work/the/other one.feedd" ||
    fail "two compilations of one commit differ, in $(cmp -l "$work/one.feedd" "$work/the/other one.feedd" 2>/dev/null | wc -l) bytes"
say "the same $(stat -c %s "$work/one.feedd") bytes twice: $(sha256sum "$work/one.feedd" | cut -c 1-16)…, $("$work/one.feedd" --version)"
