#!/usr/bin/env bash
# The main job, shown: a throw-away PKI, two network namespaces, Sallyport at both ends, a ping through the tunnel.
# Everything is removed at the end. As root with `ip netns`; without root in a user namespace (`unshare`), where the kernel
# allows it; where there are no namespaces or no tun device, over loopback with devices in memory (demo-memory.mjs).
#
#   scripts/demo.sh                   SALLYPORT_CLIENT=openvpn or SALLYPORT_SERVER=openvpn puts the C program at that end
#   scripts/demo.sh --memory          over loopback, whatever the machine allows
set -euo pipefail
source "$(dirname "$0")/setup.sh"

sallyport=(node "$root/bin/sallyport.js")
# program VARIABLE: the command of one end.
program() { if [[ ${!1:-sallyport} == openvpn ]]; then echo openvpn; else echo "${sallyport[*]}"; fi; }
name_of() { if [[ ${!1:-sallyport} == openvpn ]]; then echo "openvpn (in place of Sallyport)"; else echo Sallyport; fi; }
read -ra client <<<"$(program SALLYPORT_CLIENT)"
read -ra server <<<"$(program SALLYPORT_SERVER)"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { sed 's/^/    /'; }
stop() { echo "demo: $*" >&2; exit 1; }
has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }

# Tools that are missing, installed where this is possible.
install_tools() {
  local missing=() pair
  for pair in ip:iproute2 ping:iputils-ping; do has "${pair%%:*}" || missing+=("${pair##*:}"); done
  ((${#missing[@]} == 0)) && return
  ((EUID == 0)) && has apt-get || return 0
  echo "installing with apt: ${missing[*]}"
  { apt-get -qq update &&
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install --no-install-recommends -y "${missing[@]}"; } \
    >/dev/null 2>&1 || true
}

# Why the demo can't have two machines here; empty where it can.
refusal() {
  [[ -e /dev/net/tun ]] || { echo "there is no /dev/net/tun"; return; }
  { : <>/dev/net/tun; } 2>/dev/null || { echo "/dev/net/tun is not open to user $(id -un)"; return; }
  for tool in ip ping unshare; do has "$tool" || { echo "$tool is not installed"; return; }; done
  if ((EUID == 0)); then
    unshare --net --mount true 2>/dev/null || { echo "this container may not make network namespaces"; return; }
  else
    unshare --user --map-root-user --net --mount true 2>/dev/null ||
      { echo "this kernel gives unprivileged users no namespaces"; return; }
  fi
}

if [[ -z ${SALLYPORT_DEMO_INNER:-} ]]; then
  [[ $(uname -s) == Linux ]] || stop "the demo needs Linux"
  need_dependencies
  need_build
  reason='as asked for'
  if [[ ${1:-} != --memory ]]; then
    install_tools
    reason=$(refusal)
  fi
  if [[ -n $reason ]]; then
    echo "no network namespaces and tun devices ($reason):"
    echo "the same protocol runs over loopback, with devices in memory and a built-in echo."
    exec node scripts/demo-memory.mjs
  fi
  for end in SALLYPORT_CLIENT SALLYPORT_SERVER; do
    [[ ${!end:-sallyport} != openvpn ]] || has openvpn || stop "$end=openvpn: openvpn is not installed"
  done
  if ((EUID != 0)); then
    echo "not root: making a user namespace in which this user may set up networks"
    export SALLYPORT_DEMO_INNER=user PATH=$PATH:/usr/sbin:/sbin
    exec unshare --user --map-root-user --net --mount bash "$root/scripts/demo.sh"
  fi
fi
# Inside a user namespace `ip netns` needs a /run of its own.
[[ ${SALLYPORT_DEMO_INNER:-} == user ]] && mount -t tmpfs tmpfs /run && mkdir -p /run/netns

here=sally-demo-$$
dir=$(mktemp -d)
server_pid='' client_pid=''
finish() {
  local code=$?
  trap - EXIT INT TERM
  for pid in $client_pid $server_pid; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  for name in client server; do ip netns del "$here-$name" 2>/dev/null || true; done
  rm -rf "$dir"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

in_client() { ip netns exec "$here-client" "$@"; }

# wait_for FILE PATTERN PID WHAT: until a log has a line, at most 20 seconds, or until its process is gone.
wait_for() {
  local end=$((SECONDS + 20))
  until grep -qsE "$2" "$1"; do
    if ((SECONDS > end)) || ! kill -0 "$3" 2>/dev/null; then
      tail -n 20 "$1" | show
      stop "$4"
    fi
    read -rt 0.05 <> <(:) || true
  done
}

# end PID NAME FILE PATTERN: SIGTERM, the lines of the log about it, and the exit code, which has to be 0.
end() {
  local code=0
  kill -TERM "$1"
  wait "$1" || code=$?
  grep -E "$4" "$3" | tail -n 3 | show
  ((code == 0)) || stop "the $2 ended with exit code $code"
}

say "1. Keys: an authority, a server, a client (sallyport pki, EC P-256)"
pki() { "${sallyport[@]}" pki "$@" --dir "$dir/pki"; }
pki init --remote 192.0.2.1 --cn "Demo CA" --days 2 | head -n 1 | show
pki server demo-server --days 1 | head -n 1 | show
pki client demo --days 1 --out "$dir/office.ovpn" | head -n 2 | show

say "2. Two machines: network namespaces joined by a cable"
for name in client server; do
  ip netns add "$here-$name"
  ip -n "$here-$name" link set lo up
done
ip link add eth0 netns "$here-client" type veth peer name eth0 netns "$here-server"
ip -n "$here-client" addr add 192.0.2.2/24 dev eth0
ip -n "$here-server" addr add 192.0.2.1/24 dev eth0
ip -n "$here-client" link set eth0 up
ip -n "$here-server" link set eth0 up
# Behind the server: an office network that the client cannot reach by itself.
ip -n "$here-server" addr add 10.77.0.1/32 dev lo
echo "client 192.0.2.2  <-- cable -->  192.0.2.1 server, 10.77.0.1 office behind it" | show

say "3. The server: $(name_of SALLYPORT_SERVER), with an ordinary server.conf"
cat >"$dir/server.conf" <<END
dev tun
proto udp4
topology subnet
server 10.8.0.0 255.255.255.0
push "route 10.77.0.0 255.255.255.0"
ca $dir/pki/ca.crt
cert $dir/pki/issued/demo-server.crt
key $dir/pki/private/demo-server.key
dh none
tls-crypt-v2 $dir/pki/tls-crypt-v2-server.key
crl-verify $dir/pki/crl.pem
remote-cert-tls client
keepalive 10 60
explicit-exit-notify 1
verb 3
END
sed "s#$dir/##" "$dir/server.conf" | show
ip netns exec "$here-server" "${server[@]}" --config "$dir/server.conf" >"$dir/server.log" 2>&1 &
server_pid=$!
wait_for "$dir/server.log" 'Initialization Sequence Completed' "$server_pid" "the server did not start"
grep -E 'link local|Initialization Sequence' "$dir/server.log" | show

say "4. The client: $(name_of SALLYPORT_CLIENT), with the profile that pki wrote"
echo 'explicit-exit-notify 1' >>"$dir/office.ovpn"
# Keys stay unseen.
sed -E '/^<[a-z]/,/^<\//{/^<[a-z]/!d; s/$/ … /}; /^#/d' "$dir/office.ovpn" | show
in_client ping -c 1 -W 1 10.77.0.1 >/dev/null 2>&1 && stop "the office answers without a tunnel"
echo "(the office 10.77.0.1 does not answer yet)" | show
started=$(date +%s%N)
ip netns exec "$here-client" "${client[@]}" --config "$dir/office.ovpn" >"$dir/client.log" 2>&1 &
client_pid=$!
wait_for "$dir/client.log" 'Initialization Sequence Completed' "$client_pid" "the tunnel did not come up"
took=$((($(date +%s%N) - started) / 1000000))

say "5. What happened (from the client's log; $took ms from its start)"
grep -E 'link remote|TLS: Initial|VERIFY|Control Channel: |Peer Connection|PUSH: Received|TUN/TAP device|net_addr|net_route|Data Channel: cipher|Initialization Seq' \
  "$dir/client.log" | sed -E 's/^(.{149}).{2,}$/\1…/' | show
echo "and from the server's:" | show
grep -E 'HMAC challenge|VERIFY OK|Peer Connection|pool returned|Learn|Data Channel: cipher' "$dir/server.log" |
  sed -E 's/^(.{149}).{2,}$/\1…/' | show

say "6. The tunnel on the client's machine"
ip -n "$here-client" -br addr show dev tun0 | show
ip -n "$here-client" route | show

say "7. A ping through it, to the office behind the server"
in_client ping -n -c 3 -i 0.2 10.77.0.1 | show || stop "the ping did not cross"

say "8. SIGTERM: the client says good-bye and puts the machine back as it was"
end "$client_pid" client "$dir/client.log" 'SIGTERM|exit notification'
client_pid=''
wait_for "$dir/server.log" 'remote-exit|delayed-exit' "$server_pid" "the server did not hear of it"
grep -E 'remote-exit|delayed-exit' "$dir/server.log" | show

say "9. SIGTERM: the server goes, too"
end "$server_pid" server "$dir/server.log" 'SIGTERM\[hard'
server_pid=''
for name in client server; do
  ip -n "$here-$name" link show dev tun0 >/dev/null 2>&1 && stop "tun0 of the $name is still there"
done
echo "tun0 is gone at both ends" | show

say "Done. Both namespaces and the keys are being removed."
