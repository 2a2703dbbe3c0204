#!/usr/bin/env bash
# The battles behind results/battles.md: `results/battles.sh 3s_vs_5z`, `5m_vs_6m`, `MMM2`; then the number of env steps and of seeds.
# QMIX and MAC-PO (PyMARL2's schedule) side by side, each on a core of its own; a run that was stopped goes on.
set -euo pipefail
map=${1:?a map: 3s_vs_5z, 5m_vs_6m or MMM2}
env="--env smac-jax --env.map $map --steps ${2:-2000000} --seeds ${3:-3}"
source "$(dirname "$0")/go.sh"

often="--test-interval 50000 --checkpoint-interval 500000"
go 0 "${map}_qmix" --algorithm qmix $often &
go 1 "${map}_macpo" --preset macpo $often &
wait
if [ "$map" = MMM2 ]; then # is it the weights or Q*'s targets?
  go 0 MMM2_qmix-central --algorithm qmix --algorithm.target-source central --seeds 1 $often
fi
