#!/usr/bin/env bash
# A thousand clients at one server, ours beside the C program in the same run. As root, in about five minutes.
#
#   npm run bench:server [-- --servers sallyport,openvpn-2.7,openvpn --sessions 1000 --rounds 2 --renegotiate 40]
#   npm run bench:server -- flood [--packets 1000000 --servers sallyport,openvpn-2.7]
set -euo pipefail
source "$(dirname "$0")/setup.sh"

[[ $(uname -s) == Linux ]] || { echo "bench: network namespaces need Linux" >&2; exit 1; }
((EUID == 0)) || { echo "bench: network namespaces need root" >&2; exit 1; }
need_dependencies
need_build
bash scripts/peers.sh
# One socket for each client.
ulimit -n "$(ulimit -Hn)"
bench=server-load
[[ ${1:-} == flood ]] && { bench=server-flood; shift; }
exec node --import tsx "bench/$bench.ts" "$@"
