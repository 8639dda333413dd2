#!/usr/bin/env bash
# Passwords for the users of Redis and of Sentinel, the page's token, and two files made with them: users.acl, which Redis reads and which
# has sums alone, and sentinel.conf, which has those passwords that Sentinel itself must say. Passwords that are there are kept.
#
#   secrets.sh [--containers] FOLDER
#
# redis-service, redis-client, redis-reader, redis-worker, redis-ops, redis-replica, redis-sentinel, redis-search and redis-peer (who may
# ask Sentinels), token, users.acl, sentinel.conf. What a proxy asks for is not made here. Folder and files are their owner's alone. With
# --containers whoever is handed a file may read it (Docker hands over the file as it is, and a container runs as somebody else); the folder
# is its owner's alone all the same.
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

# with_passwords FILE…: the text, a password in place of each `change-me-NAME`, its sum in place of `>change-me-NAME`.
placeholder='(>?)change-me-([a-z]+)'
with_passwords() {
    local line file word
    sed -E 's/[[:space:]]+$//' "$@" | while IFS= read -r line; do
        if [[ $line =~ $placeholder ]]; then
            file=redis-${BASH_REMATCH[2]}
            [ -s "$file" ] || printf '%s\n' "$(random)" >"$file"
            word=$(head -n 1 "$file")
            if [ -n "${BASH_REMATCH[1]}" ]; then
                word=$(printf %s "$word" | sha256sum)
                word="#${word%% *}"
            fi
            line=${line/"${BASH_REMATCH[0]}"/"$word"}
        fi
        printf '%s\n' "$line"
    done
}
with_passwords "$rights/redis-acl.conf" "$rights/redis/replication-acl.conf" >users.acl.new
with_passwords "$rights/redis/sentinel.conf" >sentinel.conf.new
for file in users.acl sentinel.conf; do mv $file.new $file; done
chmod "$mode" token redis-* users.acl sentinel.conf
printf 'in %s: %s\n' "$PWD" "$(echo token redis-* users.acl sentinel.conf)"
