# A release, packed twice from the same commit and program. Sourced by deploy-test.sh.

part_release() {
    for command in dh dpkg-buildpackage swiftc strip; do
        has $command || { skip "$command is not installed (apt-get install debhelper)"; return; }
    done
    [ -e Package.resolved ] || { skip "there is no Package.resolved: nothing has been built here"; return; }
    local version tree=$work/tree name
    version=$("$program" --version | cut -d ' ' -f 2)
    cp "$program" "$work/feedd"
    # A clone of its own with what is here, committed; then it is clean.
    mkdir -p "$tree/.build"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree" 2>>"$logs/release.log" || true
    cp Package.resolved "$tree/"
    [ ! -d .build/checkouts ] || ln -s "$PWD/.build/checkouts" "$tree/.build/checkouts"
    [ ! -d .build/cyclonedx ] || cp -r .build/cyclonedx "$tree/.build/"
    in_tree() { git -C "$tree" -c user.name=test -c user.email=test@example.org "$@" >>"$logs/release.log" 2>&1; }
    release() { FEEDD=$work/feedd "$tree/scripts/release.sh" "$@" >>"$logs/release.log" 2>&1; }
    in_tree init
    in_tree add -A
    in_tree commit -m "as it is here"
    grep -q "^## $version" "$tree/CHANGELOG.md" || {
        refused release "$version" || fail "it does not miss the CHANGELOG's section: $logs/release.log"
        sed -i "0,/^## Unreleased/s//## $version/" "$tree/CHANGELOG.md"
        refused release "$version" || fail "it takes a tree that differs from its commit"
        in_tree commit -am "$version"
    }
    refused release 99.0 || fail "it takes a version that the source does not have"
    say "  refused: no section, a changed tree, another version"
    release "$version" || fail "no release: $logs/release.log"
    cp -r "$tree/.build/dist/$version" "$work/packed"
    touch "$tree"/deploy/* "$tree"/docs/*
    (umask 077 && TZ=Asia/Tokyo release "$version") || fail "no second release: $logs/release.log"
    for name in "$work"/packed/*; do
        cmp "$name" "$tree/.build/dist/$version/${name##*/}" || fail "${name##*/}: other bytes the second time"
    done
    say "  the same bytes twice: $(cd "$work/packed" && echo ./*)"
    (cd "$work/packed" && sha256sum --quiet -c SHA256SUMS) || fail "SHA256SUMS"
    grep -E 'skipped' "$logs/release.log" | sort -u || true
    tar -tzf "$work"/packed/*.tar.gz >"$work/listed"
    for name in feedd man/feedd-run.1 completions/bash/feedd deploy/feedd.service docs/deployment.md LICENSE README.md scripts/backup.sh; do
        grep -q "/$name$" "$work/listed" || fail "the tarball has no $name"
    done
    ! grep -E '/secrets/|/\.git' "$work/listed" || fail "the tarball has what is not for others"
}
