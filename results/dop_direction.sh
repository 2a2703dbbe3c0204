#!/usr/bin/env bash
# DOP with its critic's updates backward and forward in time (docs/algorithms.md): `results/dop_direction.sh`, then
# `python results/dop_direction.py runs/dop_direction results`.
# Runs go to runs/dop_direction/, one direction on each of two cores; a run that was stopped goes on.
set -euo pipefail
source "$(dirname "$0")/go.sh"
out=runs/dop_direction
mkdir -p "$out"

for core in 0 1; do
  [ $core = 0 ] && direction=forward || direction=backward
  dop="--algorithm dop --algorithm.sweep-direction $direction --seeds 3"
  (
    for game in matrix-game two-step; do
      env="--env $game"
      go $core "${game}_$direction" $dop --steps 20000 --test-interval 2000
    done
    env="--env predator-prey"
    go $core "punishment0_$direction" $dop --steps 300000 --checkpoint-interval 20000
  ) &
done
wait
