#!/usr/bin/env bash
# The package in a machine of its own (systemd-nspawn): installed, set up as docs/deployment.md says, hung, upgraded, purged. Skipped,
# aloud, where that cannot be: not root, no systemd-nspawn, no mmdebstrap.
#
#   scripts/package-test.sh      with the package of scripts/package.sh, which is made first
#
# PACKAGE=FILE takes that one instead. The machine's root is made once (.build/package/root.tar). What it said: .build/package/test.log.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ "$(id -u)" -eq 0 ] || { say "skipped: a machine in a container needs root"; exit 0; }
for command in systemd-nspawn mmdebstrap; do
    command -v $command >/dev/null || { say "skipped: $command is not installed (apt-get install systemd-container mmdebstrap)"; exit 0; }
done
folder=.build/package
mkdir -p "$folder"
package=${PACKAGE:-}
if [ -z "$package" ]; then
    rm -f "$folder"/feedd_*.deb
    scripts/package.sh
    package=$(find "$folder" -maxdepth 1 -name 'feedd_*.deb' | head -n 1)
    [ -n "$package" ] || { say "skipped: there is no package"; exit 0; }
fi

# Its manual pages: each command that a page names has one, down to those of a command (feedd-stream-add), and man reads it.
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
dpkg-deb --fsys-tarfile "$package" | tar -x -C "$pages" --wildcards './usr/share/man/man1/*'
names=(feedd)
for ((place = 0; place < ${#names[@]}; place++)); do
    page=$pages/usr/share/man/man1/${names[$place]}.1.gz
    [ -f "$page" ] || fail "the package has no manual page ${names[$place]}"
    mapfile -t -O ${#names[@]} names < <(zcat "$page" | sed -n '/^\.SH COMMANDS/,/^\.SH /s/^\\fB\(.*\)\\fR(1)$/\1/p' | sed 's/\\-/-/g')
    if command -v man >/dev/null; then
        shown=$(LC_ALL=C.UTF-8 MANWIDTH=100 man -l "$page" 2>&1) || fail "man does not read ${names[$place]}"
        for part in "${names[$place]} - " SYNOPSIS DESCRIPTION; do
            grep -qF "$part" <<<"$shown" || fail "the manual page ${names[$place]} has no '$part'"
        done
    fi
done
printf '%s\n' "${names[@]}" | grep -qx 'feedd-stream-add' || fail "no manual page has led to feedd-stream-add"
[ "$(find "$pages/usr/share/man/man1" -name '*.1.gz' | wc -l)" -eq ${#names[@]} ] || fail "the package has manual pages that none names"
command -v man >/dev/null || say "man -l: skipped, man is not installed"
say "${#names[@]} manual pages"

# The unit by itself.
systemd-analyze verify --man=no "$(dpkg-deb --fsys-tarfile "$package" | tar -xO ./lib/systemd/system/feedd.service >"$folder/feedd.service" &&
    sed -i 's,/usr/bin/feedd,/bin/true,' "$folder/feedd.service" && echo "$folder/feedd.service")"
step "the unit's exposure" systemd-analyze security --offline=true --threshold=15 deploy/feedd.service

# What the package needs is in the root already, so that it is installed without a network.
needs=$(dpkg-deb -f "$package" Depends | sed -E 's/\([^)]*\)//g; s/ //g')
made="$needs"
if [ "$(cat "$folder/root.needs" 2>/dev/null)" != "$made" ]; then
    step "a root by mmdebstrap" mmdebstrap --variant=minbase --include="systemd,systemd-sysv,redis-server,procps,curl,$needs" \
        bookworm "$folder/root.tar"
    printf '%s\n' "$made" >"$folder/root.needs"
fi
root=$(mktemp -d)
# Nothing of it outlives this script: it ends with the machine's own init.
trap 'rm -rf "$root" "$pages"' EXIT
tar -xf "$folder/root.tar" -C "$root"
printf '127.0.0.1 localhost redis-1.example.org\n::1 localhost\n' >"$root/etc/hosts"
install -m 644 "$package" "$root/feedd.deb"
install -m 755 scripts/package-guest.sh "$root/package-guest.sh"
cat >"$root/etc/systemd/system/package-guest.service" <<'END'
[Unit]
After=redis-server.service
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=/package-guest.sh
StandardOutput=file:/guest.log
StandardError=append:/guest.log
TimeoutStartSec=300
END
ln -s /etc/systemd/system/package-guest.service "$root/etc/systemd/system/multi-user.target.wants/"
# Without a systemd around it there is nobody to register with.
alone=()
[ -d /run/systemd/system ] || alone=(--register=no --keep-unit)
started=$SECONDS
timeout -k 10 400 systemd-nspawn --quiet --boot --directory "$root" "${alone[@]:+${alone[@]}}" --machine=feedd-package --console=pipe \
    --kill-signal=SIGRTMIN+3 >"$folder/test.log" 2>&1 </dev/null || true
cat "$root/guest.log" 2>/dev/null || true
cat "$root/guest.log" "$root/guest.journal" >>"$folder/test.log" 2>/dev/null || true
grep -q '^all of it holds$' "$root/guest.log" 2>/dev/null || fail "the package fails in its machine: $folder/test.log"
say "$((SECONDS - started)) s"
