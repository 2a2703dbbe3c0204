# Sourced by the scripts in this folder, which set `env`: the flags that choose the environment.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
macpo=${MACPO:-.venv/bin/macpo}
out=runs/results
mkdir -p "$out"

go() { # core, name, flags…: train into runs/results/NAME, or go on with a run that was stopped
  local core=$1 name=$2
  shift 2
  if [ -d "$out/$name/checkpoints" ]; then
    taskset -c "$core" "$macpo" resume "$out/$name"
  else
    rm -rf "${out:?}/$name"
    taskset -c "$core" "$macpo" train $env --out "$out/$name" "$@"
  fi >>"$out/$name.log" 2>&1
}
