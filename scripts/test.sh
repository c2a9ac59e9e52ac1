#!/usr/bin/env bash
# Every test, with all of its own set-up: dependencies, build, real peers. What cannot run here is named, with the
# reason. The last line counts cases. With CI=true a skipped case is a failure.
#
#   scripts/test.sh [vitest filters]        SALLYPORT_CLIENT=openvpn proves the interop suite with the C program,
#                                           SALLYPORT_SERVER=openvpn the server's part of it
set -euo pipefail
source "$(dirname "$0")/setup.sh"

need_dependencies
[[ ${SALLYPORT_CLIENT:-sallyport} == sallyport || ${SALLYPORT_SERVER:-sallyport} == sallyport ]] && need_build

# Certificates for the tests; without it the suites that need them are left out and named (vitest.config.ts).
if ! command -v openssl >/dev/null && ((EUID == 0)) && command -v apt-get >/dev/null; then
  echo "installing with apt: openssl"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y openssl; } \
    >/dev/null 2>&1 || true
fi

skip_interop=()
[[ $(uname -s) == Linux ]] || skip_interop+=("network namespaces need Linux")
((EUID == 0)) || skip_interop+=("network namespaces need root")
[[ -r /dev/net/tun && -w /dev/net/tun ]] || skip_interop+=("/dev/net/tun is not there, or not open to this user")
if ((${#skip_interop[@]} == 0)); then
  bash scripts/peers.sh || skip_interop+=("the real peers could not be fetched")
fi
for reason in "${skip_interop[@]}"; do
  echo "skipping the interop suite (test/interop, real OpenVPN peers): $reason"
done

report=$(mktemp)
trap 'rm -f "$report"' EXIT
# The interop cases mostly wait for a peer: three files at once keep two cores busy.
node_modules/.bin/vitest run --maxWorkers="${SALLYPORT_TEST_WORKERS:-3}" \
  --reporter=default --reporter=json --outputFile.json="$report" "$@" &
vitest=$!
# A signal is passed on; what the tests have started goes with them (test/lab/caretaker.ts).
trap 'kill -TERM "$vitest" 2>/dev/null || true' HUP INT TERM
code=0
wait "$vitest" || code=$?
# The shell's wait ends with a signal, too.
while kill -0 "$vitest" 2>/dev/null; do
  code=0
  wait "$vitest" || code=$?
done
# For npm run docs:tested, which writes the README's counts from a whole run.
(($# == 0)) && mkdir -p .cache && cp "$report" .cache/test-report.json
node scripts/test-summary.mjs "$report" "$code"
