//! Tests of the wire format with bytes that no worker in its right mind would send: each ends in an error, soon and in
//! little memory.

use std::collections::{BTreeMap, HashMap, LinkedList, VecDeque};

use serde::{Deserialize, Serialize};

use super::tests::{Everything, Shape, read, same, write};

/// Announces 2^60 elements, and has none.
const ENDLESS: [u8; 9] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];

#[test]
fn an_announced_length_takes_no_memory() {
    type Big = [u64; 32];
    assert!(read::<Vec<u8>>(&ENDLESS).is_err());
    assert!(read::<Vec<Big>>(&ENDLESS).is_err());
    assert!(read::<String>(&ENDLESS).is_err());
    assert!(read::<HashMap<u64, Big>>(&ENDLESS).is_err());
    assert!(read::<BTreeMap<String, Big>>(&ENDLESS).is_err());
    assert!(read::<VecDeque<Vec<Vec<Big>>>>(&ENDLESS.repeat(1000)).is_err());
}

#[derive(Serialize, Deserialize)]
struct Nothing;

#[test]
fn elements_that_take_no_bytes_are_counted() {
    same(vec![(); 1000]);
    for error in [
        read::<Vec<()>>(&ENDLESS).map(drop).expect_err("endless"),
        read::<Vec<Box<Nothing>>>(&ENDLESS).map(drop).expect_err("endless"),
        read::<LinkedList<((), ())>>(&ENDLESS).map(drop).expect_err("endless"),
        read::<HashMap<(), ()>>(&ENDLESS).map(drop).expect_err("endless"),
        read::<Vec<Vec<()>>>(&[2, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x3f]).map(drop).expect_err("endless together"),
    ] {
        assert_eq!(error.to_string(), "more than 1048576 elements that take no bytes");
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Chain {
    End,
    Option(Option<Box<Chain>>),
    List(Vec<Chain>),
    Named { next: Box<Chain> },
}

#[test]
fn nesting_is_limited_at_both_ends() {
    let wraps: [fn(Chain) -> Chain; 3] = [
        |chain| Chain::Option(Some(Box::new(chain))),
        |chain| Chain::List(vec![chain]),
        |chain| Chain::Named { next: Box::new(chain) },
    ];
    for wrap in wraps {
        let mut chain = Chain::End;
        let mut last = Vec::new();
        let error = loop {
            match write(&chain) {
                Ok(bytes) => last = bytes,
                Err(error) => break error,
            }
            chain = wrap(chain);
        };
        assert_eq!(error.to_string(), "the value nests more than 256 levels deep");
        read::<Chain>(&last).expect("what could be written can be read");
    }
    // What no writer of ours would write: it would need a stack of gigabytes.
    for hostile in [[1, 1].repeat(1 << 24), [2, 1].repeat(1 << 24), vec![3; 1 << 24]] {
        let error = read::<Chain>(&hostile).expect_err("too deep");
        assert_eq!(error.to_string(), "the value nests more than 256 levels deep");
    }
}

#[test]
fn no_bytes_can_do_harm() {
    // A generator of numbers that anybody can repeat; what it reads does not matter, only that it ends.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..next() % 40).map(|_| (next() >> (next() % 8)) as u8).collect();
        let _ = read::<Everything>(&bytes);
        let _ = read::<Chain>(&bytes);
        let _ = read::<(String, HashMap<String, Vec<Shape>>)>(&bytes);
    }
}
