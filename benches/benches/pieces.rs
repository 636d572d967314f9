//! Single pieces of the way of a job, by Criterion: `cargo bench --manifest-path benches/Cargo.toml [-- NAME]`.
//!
//! It tells by how much a piece has changed since the last run on this machine. How mpm stands beside others is what the program
//! of this crate tells; what stays the same from machine to machine, `callgrind.sh`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use mpm::{Pool, worker};

#[worker]
fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[worker]
fn add_seven(a: u32) -> u32 {
    a + 7
}

#[worker]
fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[worker]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

fn pool(workers: usize) -> Pool {
    let pool = Pool::builder().workers(workers).queue(1 << 15).build().expect("a pool");
    pool.run(add::job(1, 2)).expect("warm up");
    pool
}

fn jobs(criterion: &mut Criterion) {
    criterion.bench_function("encode a job", |bencher| bencher.iter(|| add::job(black_box(1), black_box(7)).encode()));
    let one = pool(1);
    criterion.bench_function("submit and wait", |bencher| {
        bencher.iter(|| one.submit(add::job(black_box(1), 7)).expect("submit").wait().expect("add"));
    });
    criterion.bench_function("run", |bencher| bencher.iter(|| one.run(add::job(black_box(1), 7)).expect("add")));
}

fn many(criterion: &mut Criterion) {
    let two = pool(2);
    let mut group = criterion.benchmark_group("many");
    group.throughput(Throughput::Elements(1000)).sample_size(20);
    group.bench_function("submit 1,000 and wait for all", |bencher| {
        bencher.iter(|| {
            let handles: Vec<_> = (0..1000).map(|i| two.submit(add::job(i, 7)).expect("submit")).collect();
            handles.into_iter().map(|handle| u64::from(handle.wait().expect("add"))).sum::<u64>()
        });
    });
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("map over 10,000", |bencher| {
        bencher.iter(|| two.map::<add_seven>(0..10_000).map(|sum| u64::from(sum.expect("add"))).sum::<u64>());
    });
}

fn bytes(criterion: &mut Criterion) {
    let one = pool(1);
    let mut group = criterion.benchmark_group("bytes");
    for kib in [1, 16, 64, 256, 1024] {
        let bytes = vec![7; kib << 10];
        group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
        group.bench_function(format!("echo of {kib} KiB"), |bencher| {
            let call = |bytes| one.run(echo::job(bytes)).expect("echo");
            bencher.iter_batched(|| bytes.clone(), call, BatchSize::PerIteration);
        });
        group.bench_function(format!("{kib} KiB lent"), |bencher| {
            bencher.iter(|| one.run(length::job(black_box(&bytes))).expect("length"));
        });
    }
}

fn main() {
    mpm::init();
    let mut criterion = Criterion::default().configure_from_args();
    jobs(&mut criterion);
    many(&mut criterion);
    bytes(&mut criterion);
    criterion.final_summary();
}
