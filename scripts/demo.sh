#!/usr/bin/env bash
# The main job, shown: a throw-away PKI, two network namespaces, Debian's openvpn as the server, Sallyport as the
# client, a ping through the tunnel. Everything is removed at the end. As root with `ip netns`; without root in a user
# namespace (`unshare`), where the kernel allows it.
#
#   scripts/demo.sh                          SALLYPORT_CLIENT=openvpn shows the same with the C client
set -euo pipefail
source "$(dirname "$0")/setup.sh"

client_name=Sallyport
client=(node "$root/bin/sallyport.js")
if [[ ${SALLYPORT_CLIENT:-sallyport} == openvpn ]]; then
  client_name='openvpn (in place of Sallyport)'
  client=(openvpn)
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { sed 's/^/    /'; }
stop() { echo "demo: $*" >&2; exit 1; }

if [[ -z ${SALLYPORT_DEMO_INNER:-} ]]; then
  [[ $(uname -s) == Linux ]] || stop "the demo needs Linux: network namespaces and a tun device"
  need_dependencies
  [[ $client_name == Sallyport ]] && need_build
  if ((EUID == 0)); then
    missing=()
    for pair in openvpn:openvpn ip:iproute2 ping:iputils-ping openssl:openssl; do
      command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    if ((${#missing[@]} > 0)); then
      command -v apt-get >/dev/null || stop "please install: ${missing[*]}"
      echo "installing with apt: ${missing[*]}"
      apt-get -qq update
      DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
    fi
  else
    for tool in openvpn ip ping openssl unshare; do
      PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
        stop "$tool is missing; run once as root, or: sudo apt-get install openvpn iproute2 iputils-ping openssl util-linux"
    done
    unshare --user --map-root-user --net --mount true 2>/dev/null ||
      stop "this kernel gives unprivileged users no namespaces; run the demo as root"
  fi
  [[ -e /dev/net/tun ]] || stop "/dev/net/tun is missing: the tun module is not loaded, or this container has no tun device"
  [[ -r /dev/net/tun && -w /dev/net/tun ]] || stop "/dev/net/tun is not open to user $(id -un); run the demo as root"
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

say "1. A throw-away PKI: an authority, a server, a client (openssl, EC P-256)"
issue() { # NAME USAGE
  openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj "/CN=demo-$1" \
    -keyout "$dir/$1.key" -out "$dir/$1.csr" 2>/dev/null
  openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
    -extfile <(printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=%s\n' "$2") \
    -out "$dir/$1.crt" 2>/dev/null
}
openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj "/CN=Demo CA" -days 2 \
  -keyout "$dir/ca.key" -out "$dir/ca.crt" 2>/dev/null
issue server serverAuth
issue client clientAuth
openvpn --genkey secret "$dir/shared.key" >/dev/null
openssl x509 -in "$dir/server.crt" -noout -subject -issuer | show

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

say "3. The server: $(openvpn --version | head -n 1 | cut -d ' ' -f 1,2) from Debian"
cat >"$dir/server.conf" <<END
dev tun
proto udp4
topology subnet
server 10.8.0.0 255.255.255.0
push "route 10.77.0.0 255.255.255.0"
ca $dir/ca.crt
cert $dir/server.crt
key $dir/server.key
dh none
tls-crypt $dir/shared.key
keepalive 10 60
verb 3
END
ip netns exec "$here-server" openvpn --config "$dir/server.conf" >"$dir/server.log" 2>&1 &
server_pid=$!
wait_for "$dir/server.log" 'Initialization Sequence Completed' "$server_pid" "the server did not start"
grep -E 'link local|Initialization Sequence' "$dir/server.log" | show

say "4. The client: $client_name, with an ordinary profile"
cat >"$dir/office.ovpn" <<END
client
dev tun
remote 192.0.2.1 1194 udp4
nobind
remote-cert-tls server
explicit-exit-notify 1
verb 3
<ca>
$(cat "$dir/ca.crt")
</ca>
<cert>
$(cat "$dir/client.crt")
</cert>
<key>
$(cat "$dir/client.key")
</key>
<tls-crypt>
$(cat "$dir/shared.key")
</tls-crypt>
END
grep -vE '^[A-Za-z0-9+/=]{20,}$|^[0-9a-f]{32}$|^#|-----' "$dir/office.ovpn" | show
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

say "6. The tunnel on the client's machine"
ip -n "$here-client" -br addr show dev tun0 | show
ip -n "$here-client" route | show

say "7. A ping through it, to the office behind the server"
in_client ping -n -c 3 -i 0.2 10.77.0.1 | show || stop "the ping did not cross"

say "8. SIGTERM: the client says good-bye and puts the machine back as it was"
kill -TERM "$client_pid"
client_code=0
wait "$client_pid" || client_code=$?
client_pid=''
grep -E 'SIGTERM|exit notification' "$dir/client.log" | show
echo "exit code $client_code; tun0 is $(ip -n "$here-client" link show dev tun0 2>/dev/null | grep -q . && echo still there || echo gone)" | show
((client_code == 0)) || stop "the client ended with exit code $client_code"

say "Done. Both namespaces, the server and the keys are being removed."
