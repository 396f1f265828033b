#!/usr/bin/env bash
# All that wants a GPU, in two halves of at most five minutes: the tests, the operator, whole steps, and, if
# time is left, a run on photographs. What is done is not done again; OUT/gpu.md has it all.
#
#   bash benchmarks/gpu.sh [--half 1|2] [--out work_dirs/gpu_cuda] [--voc VOC2012] [--device cpu --small]
set -uo pipefail
cd "$(dirname "$0")/.."
device=cuda half='' small='' out='' voc='' python=${PYTHON:-python}
while [ $# -gt 0 ]; do
  case $1 in
    --device | --half | --out | --voc)
      [ $# -gt 1 ] || { echo "gpu.sh: $1 needs a value" >&2 && exit 2; }
      declare "${1#--}=$2" && shift 2
      ;;
    --small) small=yes && shift ;;
    --help) sed -n '2,5s/^# *//p' "$0" && exit ;;
    *) echo "gpu.sh: unknown option $1" >&2 && exit 2 ;;
  esac
done
if [ "$device" = cuda ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo 'gpu.sh: torch finds no card; --device cpu --small is a rehearsal' >&2
  exit 2
fi
# A rehearsal is not taken for the real thing.
out=${out:-work_dirs/gpu_$device${small:+_small}}
mkdir -p "$out"
failed=0

# part HALF NAME SECONDS COMMAND...
part() {
  local of=$1 name=$2 limit=$3
  shift 3
  [ -n "$small" ] && limit=600
  [ -n "$half" ] && [ "$half" != "$of" ] && return
  [ -e "$out/$name.done" ] && return
  echo "== $name"
  if timeout --kill-after=10 "$limit" "$@" > "$out/$name.log" 2>&1; then
    touch "$out/$name.done"
  else
    echo "$name: exit status $? (see $out/$name.log)" && failed=1
  fi
  tail -n 5 "$out/$name.log"
}

cases=(r18 r18-b16 mobilenet v3-mobilenet whole-64 whole-128) operator=() step=(--crop 512 --batch 16)
dtypes=(float32 tf32 bfloat16 float16) teachers=(folded as_it_is channels_last bfloat16 compiled)
if [ -n "$small" ]; then
  cases=(r18) operator=(--side 64 --batch 1 --repeats 1 --no-memory)
  step=(--crop 256 --batch 2 --repeats 1 configs/tat/tat_deeplabv3_r101-d8_r18-d8_4xb4-40k_voc12aug-512x512.py)
  dtypes=(float32) teachers=(folded as_it_is)
fi

export MMRAZOR_TAT_DEVICE=$device CUBLAS_WORKSPACE_CONFIG=:4096:8
part 1 tests 100 "$python" -m pytest -q tests/test_gpu.py tests/test_mixed_precision
for case in "${cases[@]}"; do
  part 1 "operator_$case" 30 "$python" benchmarks/lean_operator.py --device "$device" --cases "$case" \
    "${operator[@]}" --out "$out/operator_$case"
done
part 1 operator_bfloat16 30 "$python" benchmarks/lean_operator.py --device "$device" --cases r18 \
  "${operator[@]}" --scales auto --dtype bfloat16 --methods batched ours --out "$out/operator_bfloat16"
for dtype in "${dtypes[@]}"; do
  part 2 "step_$dtype" 60 "$python" benchmarks/step.py --device "$device" "${step[@]}" --dtype "$dtype" \
    --teachers "${teachers[@]}" --out "$out/step_$dtype"
done
if [ -n "$voc" ]; then
  part 2 voc_small 600 "$python" tools/benchmark.py voc_small --only student tat --seeds 0 \
    --out "$out/voc_small" --cfg-options "data_root=$voc"
fi
{
  tail -n 1 "$out/tests.log"
  echo
  cat "$out"/operator*.md "$out"/step_*.md
} > "$out/gpu.md" 2> /dev/null
echo "$out/gpu.md, and a JSON file with the name of the card for each table"
exit $failed
