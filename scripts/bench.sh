#!/usr/bin/env bash
# Time to connect and throughput beside the C program, as ratios, in about two minutes. As root.
#
#   npm run bench [-- --runs 15 --seconds 5 --clients sallyport,openvpn,openvpn-2.7]
set -euo pipefail
source "$(dirname "$0")/setup.sh"

[[ $(uname -s) == Linux ]] || { echo "bench: network namespaces need Linux" >&2; exit 1; }
((EUID == 0)) || { echo "bench: network namespaces need root" >&2; exit 1; }
need_dependencies
[[ " $* " == *" --clients "* ]] || need_build
bash scripts/peers.sh
exec node --import tsx bench/bench.ts "$@"
