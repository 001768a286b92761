#!/usr/bin/env bash
# What needs a GPU, or hours without one, in order of value:
#
#     bash benchmarks/gpu.sh DATA [STEP ...]
#
# The steps are tests, rows (all of CIFAR-10 with the small network and its encoder),
# full (with a ResNet18) and speed; without any, all of them. Rows that are there are
# skipped, so that a run that was stopped goes on. ROWS and OUT are a file and a folder
# to write to, WORKERS the number of rows at the same time, PRETRAIN other arguments of
# pretrain.py. "PROTOCOL=dry FULL=dry DEVICE=cpu benchmarks/gpu.sh -" tries the script.
set -euo pipefail
data=$(realpath -m -- "$1")
cd "$(dirname "$0")/.."
steps=${*:2}
protocol=${PROTOCOL:-cifar10_cpu} full=${FULL:-cifar10} device=${DEVICE:-cuda}
workers=${WORKERS:-$(($(env -u OMP_NUM_THREADS nproc) - 1))}
few=$((workers < 2 ? workers : 2))
rows=${ROWS:-benchmarks/accuracy.jsonl} out=${OUT:-benchmarks/.cache}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
mkdir -p "$out"

# Small networks leave most of a GPU idle: with CUDA's multi-process service, eight
# trainings share a H200 at the speed of one, and fifteen take twice as long.
if [ "$device" = cuda ] && command -v nvidia-cuda-mps-control >/dev/null; then
  CUDA_MPS_PIPE_DIRECTORY=${CUDA_MPS_PIPE_DIRECTORY:-$(mktemp -d)}
  CUDA_MPS_LOG_DIRECTORY=$(mktemp -d)
  export CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
  nvidia-cuda-mps-control -d && trap 'echo quit | nvidia-cuda-mps-control' EXIT
fi

accuracy() { # PROTOCOL, number of rows at the same time, then other arguments
  nice -n "${level:-0}" python3 benchmarks/accuracy.py --data "$data" --rows "$rows" \
    --device "$device" --protocol "$1" --workers "$2" "${@:3}"
}

middle="symmetric_inclusive:0.5 instance_dependent:0.4"
high="symmetric_inclusive:0.8 asymmetric_cifar10:0.4"
noises=${NOISES:-$middle $high symmetric_inclusive:0.2 none}

run_tests() {
  SKNOISY_TEST_DEVICE=$device python3 -m pytest -q -n "$workers" -m gpu \
    tests/test_gpu.py tests/test_faults.py
}

run_rows() {
  local job failed=0 fewer=$((workers > 2 ? workers - 2 : 1))
  # Alone: beside fifteen trainings, an epoch of the pre-training took four times as long.
  python3 benchmarks/pretrain.py --data "$data" --device "$device" \
    --protocol "$protocol" ${PRETRAIN:-}
  # Long ones first; the short ones fill the gaps.
  accuracy "$protocol" "$workers" --noises $noises \
    --methods simclr+ssr simclr+dividemix simclr+ido simclr+disc &
  accuracy "$protocol" "$few" --noises ${NOISES:-$middle} \
    --methods contrastive_framework:simclr+ce idn_hybrid:simclr+ce &
  accuracy "$protocol" "$few" --noises ${NOISES:-$middle} \
    --methods bootstrap_progressive --tag power3+restoration+clustering \
    --clf '{"loss__power": 3, "regularizers": ["restoration", "clustering"]}' &
  level=10 accuracy "$protocol" "$fewer" --noises $noises \
    --methods simclr+elr simclr+ce simclr+gce simclr+sop ce elr gce sop || failed=1
  for job in $(jobs -p); do wait "$job" || failed=1; done
  return "$failed"
}

run_full() {
  python3 benchmarks/pretrain.py --data "$data" --device "$device" \
    --protocol "$full" ${PRETRAIN:-}
  accuracy "$full" "$workers" --noises $high $middle \
    --methods simclr+elr simclr+nfl_rce simclr+ce ce elr nfl_rce
  accuracy "$full" "$few" --noises symmetric_inclusive:0.8 \
    --methods simclr+ssr simclr+dividemix simclr+ido simclr+disc
}

run_speed() {
  python3 benchmarks/speed.py --device "$device" --out "$out/speed.json" \
    --without lightly "lightly, not channels_last" ${CONFIGS:+--configs $CONFIGS}
}

for step in ${steps:-tests rows full speed}; do
  echo "== $step, after $SECONDS seconds"
  "run_$step"
done
