#!/usr/bin/env bash
# The Debian package: program, unit, configuration, Redis users, rules, completions, manual pages.
#
#   scripts/package.sh      .build/package/feedd_VERSION_ARCH.deb, checked by lintian where it is installed
#
# FEEDD=PROGRAM takes that one instead of building. Needs debhelper (apt-get install debhelper); skipped, aloud, without.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for command in dh dpkg-buildpackage python3; do
    command -v $command >/dev/null || { say "skipped: $command is not installed; the package needs debhelper (apt-get install debhelper)"; exit 0; }
done
program=${FEEDD:-}
if [ -z "$program" ]; then
    scripts/setup.sh
    step "build" swift_build --product feedd
    program=$built/feedd
fi

folder=.build/package
source=$folder/source
rm -rf "$folder"/*.deb "$source"
mkdir -p "$source"/{completions/{bash,zsh,fish},man,docs}
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
version=$("$program" --version | cut -d ' ' -f 2)

install -m 755 "$program" "$source/feedd"
cp deploy/feedd.json deploy/redis-acl.conf deploy/nginx.conf scripts/{backup,restore,secrets}.sh "$source/"
cp -r deploy/redis deploy/prometheus deploy/grafana "$source/"
cp README.md SECURITY.md docs/*.md "$source/docs/"
"$program" --generate-completion-script bash | sed '1{/^#!/d}' >"$source/completions/bash/feedd"
"$program" --generate-completion-script zsh >"$source/completions/zsh/_feedd"
"$program" --generate-completion-script fish >"$source/completions/fish/feedd.fish"
python3 scripts/man.py "$program" "$source/man"

cp -r deploy/debian "$source/debian"
cp deploy/feedd.service "$source/debian/feedd.service"
cat >"$source/debian/changelog" <<END
feedd ($version) stable; urgency=medium

  * Commit $(git log -1 --format=%h); what is new says CHANGELOG.md of the project.

 -- FastFeed <feedd@fastfeed.invalid>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: FastFeed\n\nFiles: *\n'
    printf 'Copyright: %s\nLicense: MIT\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
    sed -n '/^Permission/,$p' LICENSE | sed -E 's/^$/./; s/^/ /'
} >"$source/debian/copyright"

(cd "$source" && dpkg-buildpackage -b -us -uc -d) >"$folder/build.log" 2>&1 || { tail -n 40 "$folder/build.log"; fail "the package is not built"; }
package=$(ls "$folder"/feedd_*.deb)
say "$package: $(stat -c %s "$package") bytes; $(dpkg-deb -f "$package" Depends)"
if command -v lintian >/dev/null; then
    step "lintian" lintian --fail-on error,warning --allow-root "$package"
else
    say "lintian: skipped, it is not installed"
fi
for page in "$source"/man/*.1; do
    said=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null) || true
    [ -z "$said" ] || fail "$page: $said"
done
