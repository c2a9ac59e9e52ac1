#!/usr/bin/env bash
# Time to connect and throughput beside the C program, as ratios, in about two minutes. As root.
#
#   npm run bench [-- --runs 15 --seconds 5 --clients sallyport,openvpn,openvpn-2.7]
#   npm run bench -- throughput [--pairs sallyport/sallyport,openvpn-2.7/openvpn-2.7 --rounds 5 --seconds 5 --flows 1]
#                                                   throughput and CPU with each pair of programs at the two ends
#   npm run bench -- round-trip [--pairs … --rounds 5 --pings 40 --interval 0.1]
#                                                   round trips through an idle tunnel
#   npm run bench -- losses [--pairs … --rounds 3 --length 64]
#                                                   where datagrams are lost, and who has the processors meanwhile
set -euo pipefail
source "$(dirname "$0")/setup.sh"

[[ $(uname -s) == Linux ]] || { echo "bench: network namespaces need Linux" >&2; exit 1; }
((EUID == 0)) || { echo "bench: network namespaces need root" >&2; exit 1; }
need_dependencies
[[ " $* " == *" --clients "* ]] || need_build
bash scripts/peers.sh
case ${1:-} in
  throughput) exec node --import tsx bench/throughput.ts "${@:2}" ;;
  losses) exec node --import tsx bench/losses.ts "${@:2}" ;;
  round-trip) exec node --import tsx bench/round-trip.ts "${@:2}" ;;
esac
exec node --import tsx bench/bench.ts "$@"
