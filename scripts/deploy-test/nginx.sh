# nginx in front of the page. Sourced by deploy-test.sh.

events() { grep -c '^data:' "$logs/$1.log" || true; }
part_nginx() {
    if ! has nginx || ! has curl || ! has openssl; then skip "nginx, curl or openssl is not installed"; return; fi
    make_users
    make_authority
    certificate feedd DNS:feedd.example.org
    start_exchange
    start_redis primary
    start_feedd feedd --redis "unix://$work/primary.sock" --redis-user feed-service --redis-password-file "$work/secrets/redis-service" \
        --flux btcusdt:1s --ops-host feedd.example.org --ops-token-file "$work/secrets/token"
    holds "feedd: ready" is_ready
    local port token
    port=$(free_port)
    token=$(cat "$work/secrets/token")
    sed -E "s/127.0.0.1:8090/$ops/; s/listen .*443/listen 127.0.0.1:$port/; s,/etc/nginx/feedd,$work/tls/feedd," deploy/nginx.conf |
        awk '!/listen/ || !seen++' >"$work/feedd.conf"
    cat >"$work/nginx.conf" <<END
daemon off;
pid $work/nginx.pid;
error_log $logs/nginx-error.log;
events {}
http {
    access_log off;
    client_body_temp_path $work/nginx-body; proxy_temp_path $work/nginx-proxy; fastcgi_temp_path $work/nginx-fastcgi;
    uwsgi_temp_path $work/nginx-uwsgi; scgi_temp_path $work/nginx-scgi;
    include $work/feedd.conf;
}
END
    nginx -t -c "$work/nginx.conf" >>"$logs/checks.log" 2>&1 || fail "nginx refuses the snippet: $(tail -n 2 "$logs/checks.log")"
    start nginx nginx -c "$work/nginx.conf"
    local site=https://feedd.example.org:$port
    ask() { curl -sS --max-time 10 --cacert "$work/tls/ca.crt" --resolve "feedd.example.org:$port:127.0.0.1" "$@"; }
    code() { ask -o /dev/null -w '%{http_code}\n' "$@"; }
    holds "the page" contains '<title>' ask "$site/"
    says 421 code -H "Host: evil.example" "$site/livez" || fail "a foreign name is let in"
    says 401 code "$site/metrics" || fail "/metrics without the token"
    holds "/metrics with the token" contains '^feedd_live 1' ask -H "Authorization: Bearer $token" "$site/metrics"
    ask -c "$work/jar" -D "$work/head" -H 'Content-Type: application/json' -H "Origin: $site" -d "{\"token\":\"$token\"}" "$site/login" >/dev/null
    grep -qiE '^set-cookie:.*secure' "$work/head" || fail "the session's cookie may go over plain HTTP: $(cat "$work/head")"
    holds "logged in: the overview" contains '"service"\|"state"' ask -b "$work/jar" "$site/api/overview"
    ask -b "$work/jar" -H 'Content-Type: application/json' -H "Origin: $site" -d '{"symbols":["ethusdt"],"interval":"1s"}' \
        "$site/api/fluxes" >"$work/created"
    grep -q '1s_ethusdt' "$work/created" || fail "a flux cannot be created through nginx: $(cat "$work/created")"
    says 403 code -b "$work/jar" -H 'Content-Type: application/json' -H "Origin: https://evil.example" \
        -d '{"symbols":["bnbusdt"],"interval":"1s"}' "$site/api/fluxes" || fail "a foreign origin may create a flux"
    say "  logged in: a flux is created, not from a foreign origin"
    start through curl -sSN --max-time 120 --cacert "$work/tls/ca.crt" --resolve "feedd.example.org:$port:127.0.0.1" -b "$work/jar" \
        "$site/events?view=overview"
    start direct curl -sSN --max-time 120 -H "Host: feedd.example.org" -H "Authorization: Bearer $token" "http://$ops/events?view=overview"
    # Nobody collects them: each is through before feedd has sent two more.
    local number
    for number in 1 2 3 4 5; do
        until [ "$(events through)" -ge $number ]; do
            alive
            [ "$(events direct)" -lt $((number + 2)) ] || fail "events do not come one by one: $logs/through.log, $logs/direct.log"
            sleep 0.1
        done
    done
    say "  events one by one"
    for name in through direct nginx feedd exchange primary; do end $name; done
    redis_port=0
}
