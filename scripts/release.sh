#!/usr/bin/env bash
# A release, from a clean tree: the same files, byte for byte, from the same build of a commit with the same tools and the same resolved
# packages (Package.resolved, where one lies there; the bill of materials has its versions).
#
#   scripts/release.sh VERSION      into .build/dist/VERSION/
#
#   feedd-VERSION-linux-ARCH.tar.gz     program, completions, manual pages, deploy/, docs/, and the scripts that deploy/ needs
#   feedd_VERSION_ARCH.deb              scripts/package.sh
#   fastfeed-VERSION-py3-none-any.whl   the Python client, where pip can get what builds it
#   feedd-VERSION.cdx.json              the bill of materials, scripts/sbom.py
#   SHA256SUMS
#
# Before: VERSION in Sources/FastFeed/Base/Version.swift, "## Unreleased" of CHANGELOG.md renamed to "## VERSION", and both committed. The
# script changes nothing in the tree; the tag is set by hand afterwards. FEEDD=PROGRAM takes that one instead of building: to try this.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
umask 022

version=${1:-}
[[ $version =~ ^[0-9]+(\.[0-9]+)+$ ]] && [ $# -eq 1 ] || fail "usage: scripts/release.sh VERSION, as in 1.2.3"
for command in git dh dpkg-buildpackage python3 gzip strip swiftc; do command -v $command >/dev/null || fail "$command is not installed"; done
changed=$(git status --porcelain) || fail "this is not a clone of the repository"
[ -z "$changed" ] || fail "files differ from the commit: $(head -n 5 <<<"$changed" | tr '\n' ' ')"
source_version=$(sed -nE 's/.*static let text = "([^"]*)".*/\1/p' Sources/FastFeed/Base/Version.swift)
[ "$source_version" = "$version" ] || fail "Sources/FastFeed/Base/Version.swift says $source_version"
grep -qE "^## ${version//./\\.}( |$)" CHANGELOG.md || fail "CHANGELOG.md has no section \"## $version\""
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

program=${FEEDD:-}
wanted="feedd $version ($(git rev-parse --short HEAD))"
if [ -z "$program" ]; then
    scripts/setup.sh
    step "build" swift_build --product feedd
    program=$built/feedd
    FEEDD=$program step "hardening" scripts/check-hardening.sh
else
    say "its commit: not asked of $program"
    wanted="feedd $version"
fi
said=$("$program" --version)
[[ $said == "$wanted"* ]] || fail "$program says \"$said\" instead of \"$wanted\""

machine=$("$program" --version >/dev/null && readelf -h "$program" | sed -nE 's/.*Machine: +//p')
case $machine in *X86-64) machine=x86_64 ;; AArch64) machine=aarch64 ;; *) fail "what is the machine '$machine'?" ;; esac
name=feedd-$version-linux-$machine
dist=.build/dist/$version
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$dist"
mkdir -p "$dist" "$work/$name"

# What debhelper leaves out is among it, so that both have the same program.
strip_program "$program" "$work/$name/feedd"
leaked=$(strings "$work/$name/feedd" | grep -F -e "$PWD/" -e "/.build/" -e "/checkouts/" | head -n 3 || true)
[ -z "$leaked" ] || fail "the program names folders of this machine: $leaked"

FEEDD=$work/$name/feedd step "package" scripts/package.sh
cp .build/package/feedd_"$version"_*.deb "$dist/"
dpkg-deb --fsys-tarfile "$dist"/feedd_*.deb | tar -xO ./usr/bin/feedd | cmp - "$work/$name/feedd" || fail "the package has another program"

cp -r .build/package/source/completions .build/package/source/man "$work/$name/"
# What git knows, and nothing that lies beside it.
git archive HEAD README.md CHANGELOG.md SECURITY.md LICENSE deploy docs scripts/{backup,restore,secrets}.sh | tar -x -C "$work/$name"
tar --sort=name --format=gnu --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -C "$work" -c "$name" |
    gzip -9n >"$dist/$name.tar.gz"

code=0
scripts/python-client.sh --wheel "$dist" || code=$?
[ $code -eq 0 ] || [ $code -eq 3 ] || fail "the wheel cannot be built"

bill=$dist/feedd-$version.cdx.json
scripts/sbom.py "$work/$name/feedd" --symbols "$program" >"$bill"
library=.build/cyclonedx
pip_into "$library" 'cyclonedx-python-lib[json-validation]==9.1.0' || say "the schema of the bill of materials: skipped, pip cannot get it"
code=0
PYTHONPATH=$library scripts/sbom.py --check "$bill" >"$work/check" 2>&1 || code=$?
[ $code -eq 0 ] || [ $code -eq 3 ] || { cat "$work/check"; fail "$bill is not one"; }

(cd "$dist" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS && cat SHA256SUMS)
say "in $dist; then: git tag -a v$version -m 'FastFeed $version'"
