#!/usr/bin/env bash
# Four hosts emulated by network namespaces on a bridge, two ranks on each, messages by TCP only: the main job keeps the
# same units as one rank. Skipped (77) where namespaces may not be made, or the MPI is not Open MPI.
#   ESPALIER: program   MPIEXEC: mpirun   SOURCE: top folder   SCRATCH: folder of this test
set -euo pipefail

readonly hosts=4 ranks=8 bridge=espalier0
here=$SOURCE/tests/hosts model=$SOURCE/tests/models/gpt2

version=$("$MPIEXEC" --version 2>&1) && [[ $version == *"Open MPI"* || $version == *OpenRTE* ]] || exit 77
((EUID == 0)) && command -v ip >/dev/null && ip netns add espalier1 2>/dev/null || exit 77

remove_hosts() {
  for ((i = 1; i <= hosts; i++)); do
    ip netns pids espalier$i 2>/dev/null | xargs -r kill -KILL || true
    ip netns del espalier$i 2>/dev/null || true
  done
  ip link del $bridge 2>/dev/null || true
}
trap remove_hosts EXIT

add_host() { # NUMBER
  local host=espalier$1
  ((${1} == 1)) || ip netns add "$host"
  ip link add "veth$1" type veth peer name eth0 netns "$host"
  ip link set "veth$1" master $bridge up
  ip -n "$host" address add "10.213.77.$1/24" dev eth0
  ip -n "$host" link set eth0 up
  ip -n "$host" link set lo up
}

ip link add $bridge type bridge || exit 77
ip link set $bridge up
rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"
cd "$SCRATCH"
for ((i = 1; i <= hosts; i++)); do
  add_host $i
  echo "10.213.77.$i slots=$((ranks / hosts))" >>hostfile
done

prune=(prune "$model" --data "$model/calibration.h5" --samples 16 --micro-batch 2 --sites ffn=0.5
       --repair least-squares --keep-stats --json -)
checksum() { sed -n 's/.*"selection_checksum": "\([0-9a-f]*\)".*/\1/p' "$1"; }

"$MPIEXEC" -n 1 "$ESPALIER" "${prune[@]}" -o one.h5 -q >one.json
"$here/agent" 10.213.77.1 "cd '$SCRATCH' && '$MPIEXEC' -n $ranks --hostfile hostfile \
  --mca plm_rsh_agent '$here/agent' --mca pml ob1 --mca btl self,tcp --mca btl_tcp_if_include eth0 \
  --mca oob_tcp_if_include eth0 '$ESPALIER' ${prune[*]} -o many.h5 -q >many.json"

sent=$(ip netns exec espalier2 cat /sys/class/net/eth0/statistics/tx_bytes)
echo "one rank: $(checksum one.json); $ranks ranks on $hosts hosts: $(checksum many.json); the second host sent $sent bytes"
[[ $(checksum one.json) && $(checksum one.json) == "$(checksum many.json)" ]]
cmp one.h5.stats.h5 many.h5.stats.h5
((sent > 100000))
