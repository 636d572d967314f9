//! Scratch.
use mpm::{Pool, Worker, worker};
use std::rc::Rc;
struct Counter {
    n: Rc<u64>,
    calls: u64,
}
#[worker]
impl Counter {
    fn new(start: u64, name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("no name".to_owned());
        }
        Ok(Counter { n: Rc::new(start), calls: 0 })
    }
    fn next(&mut self, by: u64) -> u64 {
        self.calls += 1;
        *self.n + by + self.calls
    }
    fn name(&self, text: &str) -> String {
        format!("{text} {}", self.n)
    }
    #[worker(skip)]
    fn into(self) -> u64 {
        *self.n
    }
    fn merge(&mut self, others: Vec<u64>) -> (u64, Vec<u64>) {
        (self.calls, others)
    }
}
#[worker]
#[derive(Default)]
struct Short(u64);
impl Worker for Short {
    type Args = u64;
    type Output = u64;
    fn run(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
}

#[mpm::test]
fn it() {
    let pool = Pool::builder().workers(1).preload(&Short::remote()).build().unwrap();
    let c = Counter::remote(10, "x");
    println!("{c:?}");
    assert_eq!(pool.run(c.next(1)).unwrap(), 12);
    assert_eq!(pool.run(c.next(1)).unwrap(), 13);
    assert_eq!(pool.run(c.clone().next(1)).unwrap(), 14);
    assert_eq!(pool.run(c.name("a")).unwrap(), "a 10");
    let all: Result<Vec<u64>, _> = pool.map_jobs((0..1000).map(|n| c.next(n))).collect();
    println!("{:?}", all.unwrap().len());
    let bad = Counter::remote(10, "");
    for _ in 0..4 {
        println!("{}", pool.run(bad.next(1)).unwrap_err());
    }
    assert_eq!(pool.run(Short::job(1)).unwrap(), 1);
    assert_eq!(pool.run(Short::job(1)).unwrap(), 2);
    assert_eq!(pool.map::<Short>([1, 2]).map(Result::unwrap).collect::<Vec<_>>(), [3, 5]);
    let _ = Counter::into;
}
