#!/usr/bin/env bash
# Instructions of one job, in the parent and in the worker: `benches/callgrind.sh [RUNS [JOBS]]`. Needs valgrind and cc.
#
# The figure that stays the same while the machine's speed drifts. All runs on one CPU: mpm spins only where there are several, so
# nothing depends on how long somebody waited. Both processes set their counts to zero when they are warm and write them after
# the last job, so starts do not count; the median over the runs and the smallest and largest are printed. What the kernel
# does is not in it. `target/callgrind/functions.txt` then has what each function costs and how often it is called.
set -euo pipefail
cd "$(dirname "$0")"
runs=${1:-5} jobs=${2:-10000}
out=$PWD/target/callgrind
rm -rf "$out"
mkdir -p "$out"
cargo build --quiet --release --bin count
# valgrind counts `rep stosb` and `rep movsb` byte by byte; so the C library does without.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_stosb_threshold=1000000000:glibc.cpu.x86_rep_movsb_threshold=1000000000
cc -O2 -shared -fPIC -o "$out/valgrind.so" src/valgrind.c -ldl

# count WAY: "parent worker" of one run, in instructions.
count() {
    local parent worker
    rm -f "$out/$1".*
    read -r parent worker < <(LD_PRELOAD=$out/valgrind.so taskset -c 0 timeout 300 valgrind --tool=callgrind --fair-sched=yes \
        --trace-children=yes --callgrind-out-file="$out/$1.%p" target/release/count "$1" "$jobs" 2>"$out/$1.log")
    mv "$out/$1.$parent.1" "$out/$1-parent"
    mv "$out/$1.$worker.1" "$out/$1-worker"
    awk '/^summary:/ { printf "%s ", $2 } END { print "" }' "$out/$1-parent" "$out/$1-worker"
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

for way in run submit map; do
    for process in parent worker; do
        printf '\n%s, %s: instructions, calls, function, for one job\n' "$way" "$process"
        awk -v jobs="$jobs" -f src/callgrind.awk "$out/$way-$process" | sort -rn
    done
done >"$out/functions.txt"
