#!/usr/bin/env bash
# Two sites, one network service, one encrypted connection: only nsmctl, as you would type it.
# Usage: examples/two-sites/run.sh [--keep]     (as root, after `npm run build`; `npm run demo` does both)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
prefix=${DEMO_PREFIX:-demo} # tests have their own
case "${1:-}" in
  "") keep= ;;
  --keep) keep=1 ;;
  *) echo "demo: '$1' is not known; the only option is --keep" >&2; exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then echo "demo: run it as root: it makes network namespaces" >&2; exit 1; fi
if [ ! -f "$root/dist/cli/main.js" ]; then echo "demo: run \`npm run build\` first" >&2; exit 1; fi

nsmctl() { node "$root/dist/cli/main.js" --prefix "$prefix" "$@"; }
field() { node -e 'const v = JSON.parse(require("fs").readFileSync(0, "utf8"))[process.argv[1]]; console.log(Array.isArray(v) ? v[0] : v)' "$1"; }
step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
shown() { echo "  \$ nsmctl $*"; nsmctl "$@" | sed 's/^/  /'; }

tmp=$(mktemp -d)
captures=()
ours= # only a lab that we raised is ours to take down
finish() {
  local code=$?
  trap - EXIT
  trap '' INT TERM # what follows is not to be cut short
  for pid in "${captures[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  if [ -n "$ours" ] && { [ -z "$keep" ] || [ "$code" != 0 ]; }; then
    nsmctl lab down >/dev/null || code=1
    if [ "$code" != 0 ]; then echo "demo: failed, and took everything down again" >&2; fi
  fi
  rm -rf "$tmp"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Writes what passes in a namespace of the lab to a file, from the moment this returns.
capture() { # file, namespace, device
  nsmctl lab exec "$2" -- tcpdump -n --immediate-mode -U -i "$3" -w "$1" >"$1.log" 2>&1 &
  captures+=($!)
  for _ in $(seq 100); do grep -q 'listening on' "$1.log" && return; sleep 0.1; done
  echo "demo: tcpdump does not start:" >&2; cat "$1.log" >&2; return 1
}
# How often a file holds the pings' pattern.
occurrences() { { grep -aoF "isthmus-demo" "$1" || true; } | wc -l; }

step "1. Two sites with a WAN between them; in every node a manager and a forwarder, real programs"
shown lab up --sites paris=1,tokyo=1 | head -2
ours=1
nsmctl lab pod add server --node tokyo-1 >/dev/null
nsmctl lab pod add client --node paris-1 >/dev/null

step "2. A pod in tokyo serves a network service; a pod in paris asks for it by its name"
shown --node tokyo-1 serve icmp --pod server --cidr 172.16.1.0/24 --detach
echo "  \$ nsmctl --node paris-1 request-connection icmp --pod client"
nsmctl --node paris-1 request-connection icmp --pod client -o json >"$tmp/connection"
id=$(field id <"$tmp/connection"); peer=$(field peerAddresses <"$tmp/connection"); peer=${peer%/*}
echo "  connected in $(field establishedMs <"$tmp/connection") ms: $(field interface <"$tmp/connection"), $(field addresses <"$tmp/connection"), mechanism $(field mechanism <"$tmp/connection"), encrypted: $(field encrypted <"$tmp/connection")"

step "3. The way that the request took"
shown --node paris-1 trace "$id"

step "4. The client's pod got an interface, and nothing else"
shown lab exec client -- ip -br address

step "5. It works: five pings filled with the text 'isthmus-demo', while the WAN and the server's pod are watched"
capture "$tmp/wan" wan lan-paris
capture "$tmp/pod" server any
pattern=$(printf 'isthmus-demo' | od -An -tx1 | tr -d ' \n')
nsmctl lab exec client -- ping -n -c 5 -i 0.2 -W 2 -p "$pattern" "$peer" | tail -3 | sed 's/^/  /'
for pid in "${captures[@]}"; do kill "$pid"; wait "$pid" || true; done
captures=()

step "6. What the WAN saw of it"
tcpdump -n -t -r "$tmp/wan" 'udp port 51820' 2>/dev/null | tail -2 | sed 's/^/  /'
tunnel=$(tcpdump -n -r "$tmp/wan" 'udp port 51820' 2>/dev/null | wc -l)
inside=$(occurrences "$tmp/pod"); outside=$(occurrences "$tmp/wan")
echo "  packets of the encrypted tunnel (UDP 51820): $tunnel"
echo "  'isthmus-demo' read in the server's pod: $inside times, on the WAN: $outside times"
if [ "$tunnel" = 0 ] || [ "$inside" = 0 ] || [ "$outside" != 0 ]; then echo "demo: that is not what should be seen" >&2; exit 1; fi

if [ -n "$keep" ]; then
  step "It stays up. Try next:"
  try() { printf '  npx nsmctl --prefix %s %-38s %s\n' "$prefix" "$1" "$2"; }
  try "lab status" "every program, its pid and its log"
  try "lab exec client -- ping $peer" "and meanwhile, in another terminal:"
  try "lab kill" "kill every program: not one packet is lost"
  try "lab start" "they adopt what is there"
  try "lab down" "leaves nothing"
else
  step "Done; everything is taken down again. \`npm run demo -- --keep\` leaves it up to play with."
fi
