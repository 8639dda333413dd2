#!/usr/bin/env bash
# Puts a backup into the folder of a Redis that is stopped, as its append-only file. (A dump.rdb would not do: with `appendonly yes` and no
# such file Redis starts empty.) What was there is moved aside, not deleted.
#
#   restore.sh BACKUP.rdb FOLDER       FOLDER is the `dir` of redis.conf: /var/lib/redis
#
# Refused while a server runs there, and for a backup that is not whole. Afterwards: start Redis, and `feedd gaps`. feedd may run on
# meanwhile; what was stored after the backup it fetches from the exchange.
set -euo pipefail

say() { printf '%s\n' "$*"; }
fail() { printf 'restore: %s\n' "$*" >&2; exit 1; }

[ $# -eq 2 ] || { sed -n '5s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
backup=$(realpath -e "$1") || fail "no backup $1"
folder=$(realpath -e "$2") || fail "no folder $2"
[ -d "$folder" ] || fail "$folder is not a folder"
[ -w "$folder" ] || fail "$folder is not writable for $(id -un)"
for program in redis-check-rdb redis-check-aof sha256sum; do command -v $program >/dev/null || fail "$program is not installed"; done

# A server's working folder is its `dir`. In another container it cannot be seen from here: stop it first.
for process in /proc/[0-9]*; do
    case $(cat "$process/comm" 2>/dev/null) in
        redis-server* | valkey-server*) ;;
        *) continue ;;
    esac
    # One that has just ended is nobody's any more.
    ! grep -qE '^State:.[ZX]' "$process/status" 2>/dev/null || continue
    [ -e "$process/status" ] || continue
    place=$(readlink "$process/cwd") || fail "a server runs as process ${process#/proc/}, and $(id -un) may not see where: stop it, or be root"
    [ "$place" != "$folder" ] || fail "a server runs in $folder (process ${process#/proc/}): stop it first"
done

[ -s "$backup.sha256" ] || fail "$backup.sha256 is missing"
sum=$(sha256sum <"$backup")
[ "${sum%% *}" = "$(cut -d' ' -f1 "$backup.sha256")" ] || fail "$backup is damaged: its sum differs"
report=$(redis-check-rdb "$backup" 2>&1) || fail "$backup is damaged: $(tail -n 1 <<<"$report")"

# Redis 7 and newer move a single append-only file into their folder of several; older ones read it as it is.
new=$folder/appendonly.aof
cp "$backup" "$new.partial"
trap 'rm -f "$new.partial"' EXIT
report=$(redis-check-aof "$new.partial" 2>&1 </dev/null) || fail "Redis could not read this as its log: $(tail -n 1 <<<"$report")"
chown --reference="$folder" "$new.partial"
chmod 640 "$new.partial"
aside=$folder/before-restore-$(date -u +%Y%m%dT%H%M%SZ)
for file in "$folder/appendonlydir" "$folder/appendonly.aof" "$folder/dump.rdb"; do
    [ -e "$file" ] || continue
    mkdir -p -m 700 "$aside" || fail "$aside cannot be made; nothing is restored"
    mv "$file" "$aside/" || fail "$file cannot be moved aside; nothing is restored"
done
mv "$new.partial" "$new"
sync "$folder"
say "restored: $new"
[ ! -d "$aside" ] || say "what was there: $aside"
