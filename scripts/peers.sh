#!/usr/bin/env bash
# Fetches the real OpenVPN programs that the interop suite talks to, and the tools it needs. Idempotent.
#
#   openvpn 2.6   Debian's own package, installed with apt (as root, and only when something is missing)
#   openvpn 2.7   from Debian sid, unpacked into a cache directory, not installed
#   openvpn 2.5   from Debian bullseye, likewise; a peer without TLS exporter keys. Optional: an old release
#                 leaves the mirrors one day
#   network-manager  Debian's NetworkManager, its OpenVPN plugin, dnsmasq and the system bus's policy, unpacked, not
#                 installed, with the libraries that this machine lacks
#   2.6-deaf      Debian's 2.6 as a copy that cannot find IV_PROTO in a client's peer info, and therefore
#                 behaves as servers before 2.5 do: PRF keys, DATA_V1, exit notice on the data channel
#   resolvers     systemd-resolved, dnsmasq, openresolv and Debian's resolvconf, unpacked, not installed
#   2.7-source    OpenVPN's own test scripts and sample keys, out of Debian's source of 2.7; run, never copied
#
# The mirror is the one the machine's apt already uses; apt itself checks signatures, sizes and hashes. Of the source
# the checksums stand here.
# SALLYPORT_PEERS names the cache directory (default ${XDG_CACHE_HOME:-~/.cache}/sallyport/peers).
# `--print-dir` prints that directory and does nothing else.
set -euo pipefail

cache=${SALLYPORT_PEERS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sallyport/peers}
[[ ${1:-} == --print-dir ]] && { echo "$cache"; exit 0; }

say() { echo "peers: $*"; }
fail() { echo "peers: $*" >&2; exit 1; }

# command and the Debian package that has it
tools=(openvpn:openvpn ip:iproute2 ping:iputils-ping openssl:openssl tcpdump:tcpdump iperf3:iperf3
  ps:procps mount:mount unshare:util-linux microsocks:microsocks tinyproxy:tinyproxy-bin danted:dante-server
  dbus-daemon:dbus-daemon zsh:zsh fish:fish)

install_tools() {
  local missing=() pair
  for pair in "${tools[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
  [[ $(uname -m) != x86_64 ]] || ldconfig -p | grep -q 'libIPSec_MB\.so\.[12] ' || missing+=(libipsec-mb1)
  if ((${#missing[@]} == 0)); then
    say "openvpn and the tools of the suite are installed: $(openvpn --version | head -n 1 | cut -d ' ' -f 1,2)"
    return
  fi
  ((EUID == 0)) || fail "missing: ${missing[*]}; run this as root once, or: apt-get install ${missing[*]}"
  say "installing with apt: ${missing[*]}"
  apt-get -qq update
  # No service of Debian's package is to be started on this machine.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
}

# The first Debian archive of the machine's own apt configuration, in either of its two formats.
mirror() {
  { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
    grep -v '^[[:space:]]*#' | grep -oE 'https?://[^ ]+/debian/?([[:space:]]|$)' | head -n 1 | tr -d '[:space:]'
}

# fetch VERSION SUITE: openvpn and its libraries of another Debian release, unpacked side by side.
fetch() {
  local version=$1 suite=$2
  local home=$cache/$version wrapper=$cache/openvpn-$version
  if [[ -x $wrapper ]] && "$wrapper" --version >/dev/null 2>&1; then
    say "openvpn $version is there: $("$wrapper" --version | head -n 1 | cut -d ' ' -f 1,2)"
    return
  fi
  local archive
  archive=$(mirror)
  [[ -n $archive ]] || { say "no Debian mirror in this machine's apt configuration"; return 1; }
  say "fetching openvpn $version from Debian $suite"
  rm -rf "$home" "$wrapper"
  mkdir -p "$home"/{etc,root,state/lists/partial,cache/archives/partial}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$home/etc/sources.list"
  local apt=(apt-get -qq -o Dir::Etc::sourcelist="$home/etc/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferencesparts=/dev/null -o Dir::State="$home/state" -o Dir::State::status=/dev/null
    -o Dir::Cache="$home/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none
    -o Acquire::Retries=2 -o Debug::NoLocking=true)
  "${apt[@]}" update >/dev/null || return 1
  # With an empty package status this is openvpn with everything it depends on.
  "${apt[@]}" install --no-install-recommends --download-only -y openvpn >/dev/null || return 1
  local deb
  for deb in "$home"/cache/archives/{openvpn,lib}*.deb; do dpkg-deb -x "$deb" "$home/root"; done
  rm -rf "$home/cache" "$home/state"
  local loader libraries
  loader=$(find "$home/root" -name 'ld-linux-*.so.*' | sort | head -n 1)
  [[ -n $loader ]] || { say "no dynamic loader among the packages of $suite"; return 1; }
  libraries=$(find "$home/root" -type d -name "*-linux-gnu*" -path '*/lib/*' -prune | paste -sd :)
  printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$libraries" "$home/root/usr/sbin/openvpn" >"$wrapper"
  chmod 755 "$wrapper"
  "$wrapper" --version >/dev/null || { rm -f "$wrapper"; return 1; }
  say "openvpn $version: $("$wrapper" --version | head -n 1 | cut -d ' ' -f 1,2)"
}

# What NetworkManager and its OpenVPN plugin are made of, for test/lab/network-manager.ts, which lays it over a private view
# of /usr. Libraries come along where this machine has not got them installed.
nm_packages=(network-manager network-manager-openvpn dnsmasq-base dbus-system-bus-common)
nm_libraries=(libaudit1 libblkid1 libbluetooth3 libbrotli1 libcap-ng0 libcap2 libcom-err2 libcurl3-gnutls libdbus-1-3 libffi8
  libgcrypt20 libglib2.0-0 libgmp10 libgnutls30 libgpg-error0 libgssapi-krb5-2 libhogweed6 libidn2-0 libjansson4 libk5crypto3
  libkeyutils1 libkrb5-3 libkrb5support0 libldap-2.5-0 liblz4-1 liblzma5 libmm-glib0 libmnl0 libmount1 libndp0
  libnetfilter-conntrack3 libnettle8 libnewt0.52 libnfnetlink0 libnftables1 libnftnl11 libnghttp2-14 libnm0 libp11-kit0
  libpcre2-8-0 libpsl5 libreadline8 librtmp1 libsasl2-2 libselinux1 libssh2-1 libssl3 libsystemd0 libtasn1-6 libteamdctl0
  libtinfo6 libudev1 libunistring2 libxtables12 libzstd1 zlib1g)

fetch_network_manager() {
  local home=$cache/network-manager package debs=("${nm_packages[@]}")
  [[ -e $home/complete ]] && { say "NetworkManager and its OpenVPN plugin are there"; return; }
  rm -rf "$home"
  mkdir -p "$home"/{debs,root}
  for package in "${nm_libraries[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || debs+=("$package")
  done
  say "fetching NetworkManager and its OpenVPN plugin"
  (cd "$home/debs" && apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=2 download "${debs[@]}" >/dev/null) ||
    return 1
  for package in "$home"/debs/*.deb; do dpkg-deb -x "$package" "$home/root"; done
  # Some libraries are still packed for the time before /lib and /usr/lib were one.
  if [[ -d $home/root/lib ]]; then
    cp -a "$home/root/lib/." "$home/root/usr/lib/"
    rm -r "$home/root/lib"
  fi
  rm -r "$home/debs"
  local libraries
  libraries=$(find "$home/root/usr/lib" -maxdepth 1 -type d -name '*-linux-gnu*' | paste -sd :)
  LD_LIBRARY_PATH=$libraries "$home/root/usr/sbin/NetworkManager" --version >/dev/null || return 1
  touch "$home/complete"
  say "NetworkManager and its OpenVPN plugin are there"
}

# The releases of 2.7 whose source Debian's pool may have, newest first, with the SHA-256 of the archive.
sources=(
  2.7.8:c070d1d2440b5a6fca6c2c68645c98cd492116ac36ef4f0946177115532c8e36
  2.7.7:3ab8f48fd6c26d49ba2333a092433949afdb5c85c0e6a1ff265784fbc04a2463
)

# tests/ and sample/ of the first of them that is there, in $cache/2.7-source beside a file VERSION.
fetch_source() {
  local home=$cache/2.7-source archive pair release
  if [[ -e $home/VERSION ]]; then
    say "the test scripts of openvpn $(<"$home/VERSION") are there"
    return
  fi
  archive=$(mirror)
  [[ -n $archive ]] || { say "no Debian mirror in this machine's apt configuration"; return 1; }
  rm -rf "$home" "$home.new"
  mkdir -p "$home.new"
  for pair in "${sources[@]}"; do
    release=${pair%%:*}
    say "fetching the source of openvpn $release for its test scripts"
    /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=2 download-file \
      "${archive%/}/pool/main/o/openvpn/openvpn_$release.orig.tar.gz" "$home.new/source.tar.gz" "SHA256:${pair##*:}" \
      >/dev/null 2>&1 || continue
    tar -xzf "$home.new/source.tar.gz" -C "$home.new" --strip-components 1 --wildcards '*/tests/t_*' '*/sample/sample-*'
    rm "$home.new/source.tar.gz"
    echo "$release" >"$home.new/VERSION"
    mv "$home.new" "$home"
    say "the test scripts of openvpn $release are there"
    return
  done
  rm -rf "$home.new"
  return 1
}

# Resolvers that the machine's own must not be replaced by: Debian's packages, unpacked, each where a test can lay it over
# a private view of the file system.
fetch_resolvers() {
  local home=$cache/resolvers pair
  [[ -e $home/complete ]] && { say "systemd-resolved, dnsmasq, openresolv and resolvconf are there"; return; }
  rm -rf "$home"
  mkdir -p "$home/debs"
  for pair in systemd-resolved:root libsystemd-shared:root dnsmasq-base:root libnftables1:root libnetfilter-conntrack3:root \
    libnfnetlink0:root libnftnl11:root libjansson4:root openresolv:openresolv resolvconf:resolvconf; do
    (cd "$home/debs" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "${pair%%:*}" >/dev/null) || return 1
    dpkg-deb -x "$home/debs/${pair%%:*}"_*.deb "$home/${pair##*:}"
  done
  rm -rf "$home/debs"
  touch "$home/complete"
  say "systemd-resolved, dnsmasq, openresolv and resolvconf are there"
}

# One search string changed to one of the same length: the copy never sees what a client says of its protocol.
deafen() {
  local wrapper=$cache/openvpn-2.6-deaf original
  original=$(command -v openvpn)
  if [[ ! -e $wrapper || $original -nt $wrapper ]]; then
    LC_ALL=C sed 's/\x00IV_PROTO=\x00/\x00IV_DEAF_=\x00/' "$original" >"$wrapper.new"
    cmp -s "$original" "$wrapper.new" && { rm -f "$wrapper.new"; say "2.6-deaf: the string is not where it was"; return 1; }
    chmod 755 "$wrapper.new"
    mv "$wrapper.new" "$wrapper"
  fi
  say "openvpn 2.6-deaf is there"
}

[[ $(uname -s) == Linux ]] && command -v apt-get >/dev/null ||
  fail "this fetches Debian packages; on another system install openvpn 2.6, iproute2, iputils, openssl, tcpdump and iperf3 yourself"
install_tools
mkdir -p "$cache"
# Tests run peers as other users, too.
chmod 755 "$cache"
fetch_network_manager || { [[ ${CI:-} != true ]] || fail "NetworkManager could not be fetched"
  say "NetworkManager could not be fetched (its packages are those of Debian 12); its tests are left out"; }
fetch 2.7 sid || fail "openvpn 2.7 could not be fetched"
fetch 2.5 bullseye || say "openvpn 2.5 could not be fetched; its cases are left out"
fetch_source || say "the source of openvpn 2.7 could not be fetched; its own test scripts are left out"
fetch_resolvers || say "resolvers could not be fetched; the tests of DNS against real ones are left out"
deafen || fail "openvpn 2.6-deaf could not be made"
