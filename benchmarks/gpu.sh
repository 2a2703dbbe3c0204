#!/usr/bin/env bash
# The figures of a GPU, the most telling first:
#
#     benchmarks/gpu.sh FOLDER [STEP...]
#
# Each step writes FOLDER/STEP.json (and STEP.log) and ends within three minutes; one that fails or takes
# longer is reported, and the next one begins. JAX must see the GPU (pip install 'macpo[cuda]'); torch and
# jaxmarl are compared with where installed.
#
#     MACPO=macpo         the command, such as "python -m macpo"
#     TRIAL=1             tiny sizes, to try the script out; the figures mean nothing
#     ROUNDS=3            rounds of each comparison
#     BUDGET=laptop       of the last step, fig2, which goes on where an earlier call has ended
set -uo pipefail
cd "$(dirname "$0")/.."
folder=${1:?benchmarks/gpu.sh FOLDER [STEP...]}
shift
steps=(${@:-update seeds update-float32 rollout env memory compile battles algorithms fig2})
mkdir -p "$folder"

bench() {
  ${MACPO:-macpo} bench "$@" --rounds "${ROUNDS:-3}" ${TRIAL:+--trial} --json "$folder/$step.json"
}

# shellcheck disable=SC2317  # called by name
run() {
  case $step in
    update-float32) JAX_DEFAULT_MATMUL_PRECISION=float32 bench update ;;
    battles) bench battles --maps 5m_vs_6m MMM2 ;;
    fig2) ${MACPO:-macpo} reproduce fig2 --budget "${BUDGET:-laptop}" --out "$folder/fig2" ;;
    *) bench "$step" ;;
  esac
}

failed=0
for step in "${steps[@]}"; do
  export step folder
  start=$SECONDS
  timeout --kill-after=10 175 bash -c "$(declare -f bench run); run" >"$folder/$step.log" 2>&1
  code=$?
  case $code in
    0) echo "$step: $((SECONDS - start)) s" ;;
    124 | 137) echo "$step: stopped after $((SECONDS - start)) s, $folder/$step.log" ;;
    *) echo "$step: failed, $folder/$step.log" && failed=1 ;;
  esac
done
exit $failed
