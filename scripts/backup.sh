#!/usr/bin/env bash
# A backup of a running Redis: what it holds at one instant, as a replica would get it. (Copying the append-only folder of a running
# server is useless when a rewrite falls into it.) It is checked before it gets its name; older ones are removed.
#
#   backup.sh [--keep N] [--password-file FILE] FOLDER [FLAGS OF redis-cli…]
#   backup.sh --password-file /etc/feedd/secrets/redis-replica /var/backups/feedd --user feed-replica
#
# FOLDER/feedd-TIME.rdb and its sum beside it, .sha256. The newest 14 are kept (--keep). The user needs PSYNC: feed-replica.
set -euo pipefail

say() { printf '%s\n' "$*"; }
fail() { printf 'backup: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '5,6s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

keep=14
while [ $# -gt 0 ]; do
    case $1 in
        --keep) [ $# -gt 1 ] || usage; keep=$2; shift 2 ;;
        --password-file)
            [ $# -gt 1 ] || usage
            REDISCLI_AUTH=$(head -n 1 "$2") || fail "no password in $2"
            export REDISCLI_AUTH
            shift 2
            ;;
        -*) usage ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || usage
[[ $keep =~ ^[1-9][0-9]*$ ]] || fail "--keep $keep: must be a number, 1 or more"
folder=$1
shift
for program in redis-cli redis-check-rdb sha256sum flock; do command -v $program >/dev/null || fail "$program is not installed"; done

umask 077
mkdir -p "$folder"
# No `cd`: files among the flags (--cacert) may be relative.
folder=$(realpath -e "$folder")
exec 9>"$folder/.lock"
flock -n 9 || fail "another backup is under way in $folder"
rm -f "$folder"/*.partial
name=feedd-$(date -u +%Y%m%dT%H%M%SZ).rdb
file=$folder/$name
log=$folder/.log
trap 'rm -f "$file.partial"' EXIT

redis-cli "$@" --rdb "$file.partial" >"$log" 2>&1 || fail "redis-cli: $(tail -n 1 "$log")"
redis-check-rdb "$file.partial" >"$log" 2>&1 || fail "what came is not whole: $(tail -n 1 "$log")"
keys=$(sed -nE 's/^\[info\] ([0-9]+) keys read$/\1/p' "$log")
sync "$file.partial"
sum=$(sha256sum <"$file.partial")
printf '%s  %s\n' "${sum%% *}" "$name" >"$file.sha256"
mv "$file.partial" "$file"
sync "$folder"
rm -f "$log"

mapfile -t old < <(find "$folder" -maxdepth 1 -name 'feedd-*.rdb' | sort -r | tail -n +$((keep + 1)))
for older in "${old[@]:+${old[@]}}"; do rm -f "$older" "$older.sha256"; done
say "$file: $(stat -c %s "$file") bytes, ${keys:-?} keys"
