#!/usr/bin/env bash
# Installs what `npm run demo`, `npm test`, `npm run bench` or `npm run test:spire` needs, and says so. Usage: scripts/setup.sh demo|test|bench|spire
set -euo pipefail
cd "$(dirname "$0")/.."

demo=(libnftables1 wireguard-go iproute2 iputils-ping tcpdump)
test=("${demo[@]}" wireguard-tools nftables iperf3 netcat-openbsd procps qemu-system-x86 busybox-static etcd-server etcd-client python3-prometheus-client)
case "${1:-test}" in
  demo) wanted=("${demo[@]}") ;;
  test | bench) wanted=("${test[@]}") ;;
  spire) wanted=("${test[@]}" gcc libc6-dev) ;;
  *) echo "setup: '$1' is not one of demo, test, bench, spire" >&2; exit 2 ;;
esac

node -e '
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) { console.error(`setup: Node 20.19 or newer is needed, this is ${process.version}`); process.exit(1); }
'

if [ "${1:-}" = spire ] && ! command -v go >/dev/null; then
  echo "setup: Go 1.25.3 or newer is needed to build SPIRE, and no 'go' is in PATH; Debian 12's is too old, so install one yourself" >&2; exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then echo "setup: these Debian packages are missing, run this as root or install them: ${missing[*]}" >&2; exit 1; fi
  echo "setup: installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "${missing[@]}" >/dev/null
fi

# The lock file's digest tells whether node_modules is what it says.
digest=$(sha256sum package-lock.json | cut -d' ' -f1)
if [ "$(cat node_modules/.isthmus-lock 2>/dev/null || true)" != "$digest" ]; then
  echo "setup: installing npm packages"
  npm ci --no-fund --no-audit --loglevel=error
  echo "$digest" > node_modules/.isthmus-lock
fi
