#!/usr/bin/env bash
# The runs behind results/README.md: `results/predator_prey.sh 0` and `results/predator_prey.sh -2`.
# Runs go to runs/results/, two at a time, each on a core of its own; a run that was stopped goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
macpo=${MACPO:-.venv/bin/macpo}
out=runs/results
mkdir -p "$out"

go() { # core, name, flags…
  local core=$1 name=$2
  shift 2
  if [ -d "$out/$name/checkpoints" ]; then
    nice taskset -c "$core" "$macpo" resume "$out/$name"
  else
    rm -rf "${out:?}/$name"
    nice taskset -c "$core" "$macpo" train --env predator-prey --out "$out/$name" "$@"
  fi >>"$out/$name.log" 2>&1
}

case "${1:?punishment: 0 or -2}" in
  0) # PyMARL2's schedule: 8 environments, one update of 128 episodes after each 8
    schedule="--steps 300000 --seeds 3"
    ;;
  -2) # PyMARL's and Weighted QMIX's schedule: an update of 32 episodes after each one
    schedule="--preset pymarl --env.punishment -2 --steps ${STEPS:-300000} --seeds 3 --test-interval 20000"
    ;;
esac

(
  go 0 "punishment${1}_owqmix" --weighting owqmix $schedule
  go 0 "punishment${1}_qmix" --weighting uniform $schedule
) &
(
  go 1 "punishment${1}_macpo" --preset macpo $schedule
  go 1 "punishment${1}_macpo-official" --preset macpo-official $schedule
) &
wait
