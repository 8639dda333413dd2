#!/usr/bin/env bash
# Passwords for the Redis users, the page's token, and the users.acl that Redis reads, which has their sums alone. What is there is kept.
#
#   secrets.sh [--containers] FOLDER
#
# redis-service, redis-client, redis-reader, redis-worker, redis-ops, redis-replica, redis-sentinel, token, users.acl. Folder and files are
# their owner's alone. With --containers whoever is handed a file may read it (Docker hands over the file as it is, and a container runs as
# somebody else); the folder is its owner's alone all the same.
set -euo pipefail

mode=600
[ "${1:-}" != --containers ] || { mode=644; shift; }
[[ $# -eq 1 && $1 != -* ]] || { printf 'usage: %s [--containers] FOLDER\n' "$(basename "$0")" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Installed, the users' rights lie beside this script.
rights=$here
[ -e "$rights/redis-acl.conf" ] || rights=$here/../deploy
umask 077
mkdir -p "$1"
chmod 700 "$1"
cd "$1"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
[ -s token ] || printf '%s\n' "$(random)" >token
sed -E 's/[[:space:]]+$//' "$rights/redis-acl.conf" "$rights/redis/replication-acl.conf" | while IFS= read -r line; do
    if [[ $line =~ \>change-me-([a-z]+) ]]; then
        file=redis-${BASH_REMATCH[1]}
        [ -s "$file" ] || printf '%s\n' "$(random)" >"$file"
        sum=$(head -n 1 "$file" | tr -d '\n' | sha256sum)
        line=${line/"${BASH_REMATCH[0]}"/"#${sum%% *}"}
    fi
    printf '%s\n' "$line"
done >users.acl.new
mv users.acl.new users.acl
chmod "$mode" token redis-* users.acl
printf 'in %s: %s\n' "$PWD" "$(echo token redis-* users.acl)"
