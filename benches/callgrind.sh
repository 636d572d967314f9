#!/usr/bin/env bash
# Instructions of one job, in the parent and in the worker: `benches/callgrind.sh [RUNS [JOBS]]`. Needs valgrind and cc.
#
# The figure that stays the same while the machine's speed drifts. All runs on one CPU: mpm spins only where there are several, so
# nothing depends on how long somebody waited. Both processes set their counts to zero when they are warm and write them after
# the last job, so starts do not count; the median over the runs and the smallest and largest are printed. What the kernel
# does is not in it. `benches/target/callgrind` keeps the last run of each way for `callgrind_annotate`.
set -euo pipefail
cd "$(dirname "$0")"
runs=${1:-5} jobs=${2:-10000}
out=$PWD/target/callgrind
rm -rf "$out"
mkdir -p "$out"
cargo build --quiet --release --bin count
cc -O2 -shared -fPIC -o "$out/valgrind.so" src/valgrind.c -ldl

# count WAY: "parent worker" of one run, in instructions.
count() {
    local parent worker
    rm -f "$out/$1".*
    read -r parent worker < <(LD_PRELOAD=$out/valgrind.so taskset -c 0 timeout 300 valgrind --tool=callgrind --fair-sched=yes \
        --trace-children=yes --callgrind-out-file="$out/$1.%p" target/release/count "$1" "$jobs" 2>"$out/$1.log")
    echo "$(awk '/^summary:/ { print $2 }' "$out/$1.$parent.1") $(awk '/^summary:/ { print $2 }' "$out/$1.$worker.1")"
}

# row TITLE, with a count a line as input: its median, smallest and largest for one job.
row() {
    sort -n | awk -v jobs="$jobs" -v title="$1" \
        '{ n[NR] = $1 / jobs } END { printf "| %s | %.0f | %.0f – %.0f |\n", title, n[int((NR + 1) / 2)], n[1], n[NR] }'
}

echo "Instructions a job, $jobs jobs a run, $runs runs, 1 worker."
echo
echo "| way, process | median | smallest – largest |"
echo "|---|---|---|"
for way in run submit map; do
    counts=$(for _ in $(seq "$runs"); do count "$way"; done)
    cut -d' ' -f1 <<<"$counts" | row "$way, parent"
    cut -d' ' -f2 <<<"$counts" | row "$way, worker"
    awk '{ print $1 + $2 }' <<<"$counts" | row "$way, both"
done
