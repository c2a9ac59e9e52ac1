#!/usr/bin/env bash
# The package's units under a real systemd, with their hardening enforced: a server and a client of it, in namespaces of their
# own over an overlay of this machine's files, which stay as they are. As root, where systemd is installed; some 5 seconds.
#
#   packaging/try-units.sh dist/sallyport_*.deb
#
# Prints what systemctl says of both, the filters and capabilities of the client, name servers before and after, and ends with
# "the units work" and exit code 0, or with what is missing and 1.
set -euo pipefail

deb=$(realpath "${1:?which package? packaging/try-units.sh dist/sallyport_VERSION_ARCHITECTURE.deb}")
root=$(realpath "$(dirname "$0")/..")
((EUID == 0)) || { echo "try-units: namespaces need root" >&2; exit 1; }
[[ -x /lib/systemd/systemd ]] || { echo "try-units: systemd is not installed" >&2; exit 1; }

work=$(mktemp -d)
chmod 755 "$work"
group=sallyport-units-$$
# One of the three layouts: version 2 alone, or version 1 with systemd's own hierarchy and perhaps version 2 beside it.
groups=()
for each in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  if [[ -w $each/cgroup.procs ]]; then groups+=("$each/$group"); fi
done
clear_away() {
  for each in "${groups[@]}"; do find "$each" -depth -type d -exec rmdir {} \; 2>/dev/null || true; done
  rm -rf "$work"
}
trap clear_away EXIT

mkdir "$work/pki" "$work/out" "$work/host"
(
  cd "$work/pki"
  node "$root/bin/sallyport.js" server init --remote 127.0.0.1 >/dev/null
  node "$root/bin/sallyport.js" pki client alice >/dev/null
)

cat >"$work/inside.sh" <<'INSIDE'
set -euo pipefail
work=$1 deb=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$work/host"
cd "$work/host"
mkdir upper scratch root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/scratch" root
cd root
dpkg-deb --fsys-tarfile "$deb" | tar x --keep-directory-symlink
mount -t proc proc proc
mount -t sysfs sysfs sys
for each in run tmp var/lib; do mount -t tmpfs tmpfs $each; done
if [[ -d /sys/fs/cgroup/systemd ]]; then
  mount -t tmpfs tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
else
  mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
mount -t tmpfs tmpfs dev
while read -r name major minor; do mknod -m 666 "dev/$name" c "$major" "$minor"; done <<NODES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
console 1 3
NODES
mkdir dev/net dev/pts dev/shm
mknod -m 666 dev/net/tun c 10 200
mount -t devpts devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s /proc/self/fd dev/fd
ln -s null dev/kmsg
ip link set lo up

mkdir -p etc/openvpn/client etc/openvpn/server
cp -r "$work/pki/pki" "$work/pki/crl.pem" etc/openvpn/server/
sed "s|$work/pki|/etc/openvpn/server|" "$work/pki/server.conf" >etc/openvpn/server/units.conf
{ cat "$work/pki/alice.ovpn"; echo 'dhcp-option DNS 192.0.2.53'; } >etc/openvpn/client/units.conf
rm -f etc/resolv.conf
echo 'nameserver 192.0.2.1' >etc/resolv.conf

units=etc/systemd/system
cat >$units/try.target <<UNIT
[Unit]
DefaultDependencies=no
Wants=try.service sallyport-server@units.service sallyport-client@units.service
UNIT
cat >$units/try.service <<UNIT
[Unit]
DefaultDependencies=no
After=sallyport-client@units.service
[Service]
Type=oneshot
StandardOutput=append:/mnt/said
StandardError=inherit
ExecStart=/bin/sh /etc/try.sh
ExecStopPost=/bin/systemctl --no-block --force --force poweroff
UNIT
for end in client server; do
  mkdir "$units/sallyport-$end@units.service.d"
  {
    printf '[Unit]\nDefaultDependencies=no\nWants=\n'
    [[ $end == server ]] || echo 'After=sallyport-server@units.service'
    printf '[Service]\nStandardOutput=file:/mnt/%s\nStandardError=inherit\n' "$end"
  } >"$units/sallyport-$end@units.service.d/try.conf"
done
cat >etc/try.sh <<'TRY'
ends='sallyport-server@units sallyport-client@units'
# They are ready once their configuration is read; the tunnel comes a little later.
for _ in $(seq 100); do
  [ "$(systemctl show -p StatusText --value $ends | grep -c 'Initialization Sequence Completed')" = 2 ] && break
  sleep 0.1
done
systemctl --no-pager --lines=0 status $ends
echo "filters: $(grep -E '^(Seccomp|NoNewPrivs|CapEff)' /proc/$(systemctl show -p MainPID --value sallyport-client@units)/status | tr '\n\t' '  ')"
echo "name server while up: $(grep -m1 ^nameserver /etc/resolv.conf)"
systemctl reload sallyport-server@units && echo "reloaded: $(systemctl is-active $ends | tr '\n' ' ')"
systemctl stop sallyport-client@units
echo "name server afterwards: $(cat /etc/resolv.conf)"
systemctl stop sallyport-server@units
echo "ended: $(systemctl show -p Result --value $ends | tr '\n' ' ')"
TRY
mount --bind "$work/out" mnt
exec chroot . /usr/bin/env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=try.target --log-target=null --show-status=0
INSIDE

for each in "${groups[@]}"; do mkdir "$each"; done
(
  for each in "${groups[@]}"; do echo "$BASHPID" >"$each/cgroup.procs"; done
  exec timeout -s KILL 60 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net \
    bash "$work/inside.sh" "$work" "$deb"
) || true

cat "$work/out/said" 2>/dev/null || true
missing=()
for words in 'Status: "Initialization Sequence Completed"' 'NoNewPrivs: 1' 'Seccomp: 2' 'name server while up: nameserver 192.0.2.53' \
  'reloaded: active active' 'name server afterwards: nameserver 192.0.2.1' 'ended: success  success'; do
  grep -qF -- "$words" "$work/out/said" 2>/dev/null || missing+=("$words")
done
if ((${#missing[@]} > 0)); then
  tail -n 20 "$work/out/client" "$work/out/server" 2>/dev/null || true
  printf 'try-units: not seen: %s\n' "${missing[@]}" >&2
  exit 1
fi
echo 'the units work'
