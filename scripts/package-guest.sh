#!/usr/bin/env bash
# What package-test.sh runs inside of its machine, as root, once it has booted. Not to be run anywhere else: it changes the system.
set -euo pipefail
exec 2>&1

fail() {
    printf 'FAILED: %s\n' "$*"
    journalctl --no-pager -n 200 >/guest.journal
    exit 1
}
trap 'fail "line $LINENO"' ERR
begun=$SECONDS
holds() { printf '%4d s  %s\n' $((SECONDS - begun)) "$*"; }
# eventually SECONDS WHAT COMMAND…
eventually() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || fail "$what: not within the time"
        sleep 0.2
    done
    holds "$what"
}
equal() { [ "$2" = "$3" ] || fail "$1: '$2' instead of '$3'"; holds "$1"; }
pid() { systemctl show feedd -p MainPID --value; }
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(pid)/status"; }
files() { find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/log \
    -o -path /var/lib/dpkg -o -path /var/lib/redis -o -path /var/cache -o -path /etc/redis -o -path '/guest*' \
    -o -path '/var/lib/systemd/*' \) -prune -o -print | sort; }
redis() { REDISCLI_AUTH=$(cat /etc/feedd/secrets/redis-reader 2>/dev/null) redis-cli --user feed-reader "$@"; }
as_client() { feedd "$@" --redis-user feed-client --redis-password-file /etc/feedd/secrets/redis-client; }
count() { [ "$(redis XLEN "candles:{$1}:1s")" -ge "$2" ]; }

# Fresh: installed, it runs against the Redis beside it.
files >/tmp/before
dpkg -i /feedd.deb
eventually 15 "installed: it runs and lives" feedd health --live
equal "its unit says that it is ready" "$(systemctl show feedd -p ActiveState --value)" active
equal "enabled for the next boot" "$(systemctl is-enabled feedd)" enabled
[[ $(systemctl show feedd -p StatusText --value) ]] || fail "it has no status text"

# Set up as the documents say: passwords, the Redis of deploy/, a token, an exchange by name.
/usr/share/feedd/secrets.sh /etc/feedd/secrets
install -m 640 -g redis /usr/share/feedd/redis/redis.conf /etc/redis/redis.conf
install -m 640 -o redis -g redis /etc/feedd/secrets/users.acl /etc/redis/users.acl
systemctl restart redis-server
feedd simulate --port 9443 --symbols 5 --push-ms 100 >/tmp/exchange.log 2>&1 </dev/null &
cat >/etc/feedd/feedd.json <<'END'
{
  "redis": "redis://feed-service@localhost:6379",
  "redis-password-file": "/run/credentials/feedd.service/secrets_redis-service",
  "ops-redis-user": "feed-ops",
  "ops-redis-password-file": "/run/credentials/feedd.service/secrets_redis-ops",
  "ops-token-file": "/run/credentials/feedd.service/secrets_token",
  "venue-ws": "ws://localhost:9443",
  "venue-rest": "http://localhost:9443",
  "threading": "dedicated"
}
END
chmod 600 /etc/feedd/feedd.json
systemctl restart feedd
eventually 20 "its credentials are read: ready" feedd health --ready
as_client create btcusdt,ethusdt 1s
feedd list --config /etc/feedd/feedd.json >/dev/null || fail "root's commands do not work with the service's own settings"
eventually 30 "candles are stored" count btcusdt 5
equal "nothing without the token" "$(curl -so /dev/null -w '%{http_code}' http://127.0.0.1:8090/metrics)" 401
metrics=$(curl -s -H "Authorization: Bearer $(cat /etc/feedd/secrets/token)" http://127.0.0.1:8090/metrics)
equal "no line of /metrics is lost to the sandbox" "$(grep -cE '^process_[a-z_]+ [0-9.]*[1-9]' <<<"$metrics")" 6

# What it may do.
equal "capabilities" "$(status CapEff) $(status CapPrm) $(status CapBnd)" "0000000000000000 0000000000000000 0000000000000000"
equal "the system call filter" "$(status Seccomp)" 2
equal "no new privileges" "$(status NoNewPrivs)" 1
[ "$(status Uid | cut -f1)" -ge 61184 ] || fail "it runs as user $(status Uid)"
pins=$(for thread in /proc/"$(pid)"/task/*; do sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$thread/status"; done | grep -cxE '[0-9]+' || true)
if [ "$(nproc)" -gt 1 ]; then equal "reader and sink are pinned" "$pins" 2; else printf 'pins: skipped, there is one core\n'; fi
equal "no secret in its arguments" "$(tr '\0' ' ' <"/proc/$(pid)/cmdline")" "/usr/bin/feedd run --config /run/credentials/feedd.service/config "
for secret in /etc/feedd/secrets/redis-service /etc/feedd/secrets/token; do
    ! journalctl --no-pager | grep -qF "$(cat $secret)" || fail "the journal has $secret"
done
holds "no secret in the journal"
equal "it has its own secrets alone" "$(cd /run/credentials/feedd.service && find . -type f -size +1c -printf '%f\n' | sort | tr '\n' ' ')" \
    "config secrets_redis-ops secrets_redis-search secrets_redis-service secrets_token "

# Over Redis's socket, which belongs to the group redis.
mkdir -p /etc/systemd/system/feedd.service.d
printf '[Service]\nSupplementaryGroups=redis\n' >/etc/systemd/system/feedd.service.d/socket.conf
sed -i 's,redis://feed-service@localhost:6379,unix:///run/redis/redis-server.sock,; s,"ops-redis-user",  "redis-user": "feed-service"\,\n  &,' /etc/feedd/feedd.json
systemctl daemon-reload
systemctl restart feedd
eventually 20 "over Redis's socket" feedd health --ready

# Over TLS, with certificates both ways, by the documents' commands.
mkdir /tmp/tls
cd /tmp/tls
{
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=redis authority" -keyout ca.key -out ca.crt
    for name in redis-1 client; do
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
        openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 \
            -extfile <(echo "subjectAltName=DNS:$name.example.org") -out $name.crt
    done
} >/tmp/openssl.log 2>&1
cp /etc/feedd/feedd.json /tmp/socket.json
install -D -m 640 -g redis -t /etc/redis/tls ca.crt
for kind in crt key; do install -m 640 -g redis redis-1.$kind /etc/redis/tls/redis.$kind; done
install -m 640 -g redis /usr/share/feedd/redis/tls.conf /etc/redis/tls.conf
echo 'include /etc/redis/tls.conf' >>/etc/redis/redis.conf
install -m 600 -t /etc/feedd/secrets ca.crt client.crt client.key
secrets=/run/credentials/feedd.service/secrets
sed -i "s,unix:///run/redis/redis-server.sock\",rediss://redis-1.example.org:6379\"\,\n  \"redis-ca-file\": \"${secrets}_ca.crt\"\,\n  \"redis-cert-file\": \"${secrets}_client.crt\"\,\n  \"redis-key-file\": \"${secrets}_client.key\"," /etc/feedd/feedd.json
systemctl restart redis-server feedd
eventually 20 "over TLS" feedd health --ready
[ -z "$(redis-cli -p 6379 PING 2>/dev/null)" ] || fail "Redis answers without TLS"
sed -i '/tls.conf/d' /etc/redis/redis.conf
cp /tmp/socket.json /etc/feedd/feedd.json
systemctl restart redis-server feedd
eventually 20 "and without" feedd health --ready

# A Redis of its own, in the service's state.
cp /etc/feedd/feedd.json /tmp/feedd.json
printf '{"redis": "embedded:/var/lib/feedd/redis", "venue-ws": "ws://localhost:9443", "venue-rest": "http://localhost:9443"}\n' >/etc/feedd/feedd.json
systemctl restart feedd
eventually 20 "with a Redis of its own" feedd health --ready
cp /tmp/feedd.json /etc/feedd/feedd.json
systemctl restart feedd
eventually 20 "back" feedd health --ready

# It hangs: the watchdog ends it, and it comes back with its fluxes.
hung=$(pid)
kill -STOP "$hung"
again() { [ "$(pid)" != "$hung" ] && [ "$(systemctl show feedd -p NRestarts --value)" -ge 1 ]; }
eventually 60 "stopped for good, the watchdog has ended it" again
journalctl --no-pager -u feedd | grep -q 'Watchdog timeout' || fail "the journal has no watchdog"
eventually 20 "and it is back" feedd health --ready
eventually 10 "with its flux" bash -c 'feedd list --redis-user feed-client --redis-password-file /etc/feedd/secrets/redis-client | grep -q btcusdt'

# A backup as its user, and what a wrong setting does: it is not started again and again.
/usr/share/feedd/backup.sh --password-file /etc/feedd/secrets/redis-replica /var/tmp/backups --user feed-replica
printf '{"batch-sizes": 1}\n' >/etc/feedd/feedd.json
systemctl restart feedd >/dev/null 2>&1 || true
eventually 10 "a wrong setting: failed, not in circles" systemctl is-failed feedd
equal "with exit code 2" "$(systemctl show feedd -p ExecMainStatus --value)" 2
cp /tmp/feedd.json /etc/feedd/feedd.json
systemctl restart feedd

# Another version over it: the settings stay, and it runs on.
before=$(pid)
dpkg -i /feedd.deb >/dev/null
eventually 20 "upgraded: it runs" feedd health --ready
[ "$(pid)" != "$before" ] || fail "the upgrade has not started it anew"
cmp /tmp/feedd.json /etc/feedd/feedd.json

# Gone.
rm -r /etc/systemd/system/feedd.service.d
systemctl daemon-reload
dpkg --purge feedd >/dev/null
files >/tmp/after
equal "purged, its state is left" "$(comm -13 /tmp/before /tmp/after | grep -vE '^/var/lib/private(/feedd/redis.*)?$' | tr '\n' ' ')" \
    "/var/lib/feedd /var/lib/private/feedd "
equal "and nothing else is missing" "$(comm -23 /tmp/before /tmp/after)" ""
printf 'all of it holds\n'
