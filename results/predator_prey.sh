#!/usr/bin/env bash
# The runs behind results/README.md: `results/predator_prey.sh 0`, `-2`, `weightings`, `ablations`, `others`, `algorithms`,
# `between`, `table`.
# Runs go to runs/results/, two at a time, each on a core of its own; a run that was stopped goes on.
set -euo pipefail
env="--env predator-prey"
source "$(dirname "$0")/go.sh"

# PyMARL2's schedule: 8 environments, one update of 128 episodes after each 8
pymarl2="--steps 300000 --seeds 3"
at_2="--env.punishment -2 --steps 300000 --seeds 3 --test-interval 20000"
# PyMARL's and Weighted QMIX's schedule: an update of 32 episodes after each single one
pymarl="--preset pymarl $at_2"
# actor-critics keep their own schedules (docs/algorithms.md)
schedule() { case $1 in qplex | cwqmix) echo "$pymarl" ;; *) echo "$at_2" ;; esac; }

case "${1:?0, -2, weightings, ablations, others, algorithms, between or table}" in
  0)
    (go 0 punishment0_owqmix --weighting owqmix $pymarl2; go 0 punishment0_qmix --weighting uniform $pymarl2) &
    (go 1 punishment0_macpo --preset macpo $pymarl2; go 1 punishment0_macpo-official --preset macpo-official $pymarl2) &
    ;;
  -2)
    (go 0 punishment-2_owqmix --weighting owqmix $pymarl; go 0 punishment-2_qmix --weighting uniform $pymarl) &
    (go 1 punishment-2_macpo --preset macpo $pymarl; go 1 punishment-2_macpo-official --preset macpo-official $pymarl) &
    ;;
  weightings) # the other weightings of the paper's Figure 1, at punishment -2
    (for w in per pser remern; do go 0 "punishment-2_$w" --weighting "$w" $pymarl; done) &
    (for w in discor macpo-approx; do go 1 "punishment-2_$w" --weighting "$w" $pymarl; done) &
    ;;
  ablations) # one seed each of MAC-PO without a factor and with its other switches, at punishment -2
    one="$pymarl --seeds 1"
    (
      go 0 punishment-2_macpo-no-bellman --weighting macpo-no-bellman $one
      go 0 punishment-2_macpo-no-joint --weighting macpo-no-joint $one
      go 0 punishment-2_qmix-central --weighting uniform --algorithm.target-source central $one
    ) &
    (
      go 1 punishment-2_macpo-no-value --weighting macpo-no-value $pymarl # the one that hunts
      go 1 punishment-2_macpo-raw --preset macpo --weighting.normalise none $one
      go 1 punishment-2_macpo-unmasked --preset macpo --weighting.include-unavailable $one
      go 1 punishment-2_macpo-temperature10 --preset macpo --weighting.value-temperature 10 $one
    ) &
    ;;
  others) # the weightings outside the paper's figures: one short run each
    short="--preset pymarl --steps 100000 --test-interval 20000"
    (for w in per-rank per-pal reaper relo laber; do go 0 "punishment0_$w" --weighting "$w" $short; done) &
    (for w in remert discor-net remern-net differ; do go 1 "punishment0_$w" --weighting "$w" $short; done
      go 1 punishment0_cwqmix-short --weighting cwqmix $short) &
    ;;
  algorithms) # the algorithms of the paper's Figure 2 that the other runs leave out
    (
      for a in vdac qplex cwqmix; do
        go 0 "punishment0_$a" --algorithm $a $pymarl2
        go 0 "punishment-2_$a" --algorithm $a $(schedule $a)
      done
    ) &
    (
      for a in dop fop; do
        go 1 "punishment0_$a" --algorithm $a $pymarl2
        go 1 "punishment-2_$a" --algorithm $a $(schedule $a)
      done
    ) &
    ;;
  between) # Figure 2's other punishments, one seed each
    for core in 0 1; do
      [ $core = 0 ] && p=-0.5 || p=-1.5
      (
        at="--env.punishment $p --steps 300000 --test-interval 20000"
        go $core "punishment${p}_macpo" --weighting macpo --preset pymarl $at
        for a in qmix cwqmix owqmix qplex; do go $core "punishment${p}_$a" --algorithm $a --preset pymarl $at; done
        for a in vdac fop dop; do go $core "punishment${p}_$a" --algorithm $a $at; done
      ) &
    done
    ;;
  table) # algorithms with replay: uniform weights (what `algorithms` leaves out), MAC-PO's; one seed
    (
      for a in iql vdn qmix qtran; do go 0 "punishment0_${a}_uniform" --algorithm $a --steps 300000; done
      for a in iql vdn qmix qtran; do go 0 "punishment0_${a}_macpo" --algorithm $a --weighting macpo --steps 300000; done
    ) &
    (
      go 1 punishment0_owqmix_uniform --algorithm owqmix --steps 300000
      for a in cwqmix owqmix qplex dop fop; do go 1 "punishment0_${a}_macpo" --algorithm $a --weighting macpo --steps 300000; done
    ) &
    ;;
esac
wait
