//! An object that is expensive to make and cheap to use: a model that tells languages apart. Each worker builds it once and keeps it;
//! preloaded, it is built once for all of them.
//!
//! ```console
//! $ cargo run --release --example classifier
//! $ MPM_START_METHOD=spawn cargo run --release --example classifier
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::process;
use std::time::{Duration, Instant};

use mpm::{JobError, Pool, Worker, worker};

/// What there is to learn from.
const SAMPLES: [(&str, &str); 3] = [
    (
        "English",
        "all human beings are born free and equal in dignity and rights they are endowed with reason and conscience and should act \
         towards one another in a spirit of brotherhood",
    ),
    (
        "German",
        "alle menschen sind frei und gleich an wurde und rechten geboren sie sind mit vernunft und gewissen begabt und sollen einander \
         im geist der bruderlichkeit begegnen",
    ),
    (
        "French",
        "tous les etres humains naissent libres et egaux en dignite et en droits ils sont doues de raison et de conscience et doivent \
         agir les uns envers les autres dans un esprit de fraternite",
    ),
];

/// What is to be told apart.
const TEXTS: [&str; 6] = [
    "the right to freedom of thought",
    "das recht auf freiheit der gedanken",
    "le droit a la liberte de pensee",
    "no one shall be held in slavery",
    "niemand darf in sklaverei gehalten werden",
    "nul ne sera tenu en esclavage",
];

/// So many different triples of letters are told apart.
const FEATURES: usize = 8192;
const ROUNDS: usize = 2000;
/// How long this waits until every worker has answered.
const PATIENCE: Duration = Duration::from_secs(100);

// ANCHOR: object
/// Knows some languages.
struct Classifier {
    weights: BTreeMap<String, Vec<f32>>,
    builder: u32,
}

#[worker]
impl Classifier {
    /// Learns the languages, which takes its time. Runs in a worker, once.
    fn new(languages: Vec<String>) -> Result<Self, UnknownLanguage> {
        let mut classifier = Classifier { weights: BTreeMap::new(), builder: process::id() };
        for language in languages {
            let sample = SAMPLES.iter().find(|(known, _)| *known == language);
            let Some((_, text)) = sample else { return Err(UnknownLanguage(language)) };
            classifier.weights.insert(language, learn(text));
        }
        Ok(classifier)
    }

    /// The language of a text.
    fn classify(&self, text: &str) -> String {
        let score = |weights: &[f32]| features(text).map(|feature| weights[feature]).sum::<f32>();
        let best = self.weights.iter().max_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)));
        best.map(|(language, _)| language.clone()).unwrap_or_default()
    }

    /// The process that this runs in, and the one that has built the object.
    fn origin(&self) -> (u32, u32) {
        (process::id(), self.builder)
    }

    /// Learns one more language. No job can call this.
    #[worker(skip)]
    fn add(&mut self, language: &str, text: &str) {
        self.weights.insert(language.to_owned(), learn(text));
    }
}
// ANCHOR_END: object

// ANCHOR: error
/// Why there is no classifier. It stays in the worker; its text travels.
#[derive(Debug)]
struct UnknownLanguage(String);

impl Error for UnknownLanguage {}

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is nothing to learn {} from", self.0)
    }
}
// ANCHOR_END: error

// ANCHOR: short
/// How many words it has seen in this worker.
#[worker]
#[derive(Default)]
struct WordCount(usize);

impl Worker for WordCount {
    type Args = String;
    type Output = usize;

    fn run(&mut self, text: String) -> usize {
        self.0 += text.split_whitespace().count();
        self.0
    }
}
// ANCHOR_END: short

/// The triples of letters in a text, each as a number.
fn features(text: &str) -> impl Iterator<Item = usize> {
    text.as_bytes().windows(3).map(|three| three.iter().fold(0, |sum, byte| sum * 31 + usize::from(*byte)) % FEATURES)
}

/// Weighs what is frequent in a text, a little more in each round.
fn learn(text: &str) -> Vec<f32> {
    let mut weights = vec![0.0; FEATURES];
    for _ in 0..ROUNDS {
        features(text).for_each(|feature| weights[feature] += 1.0);
        weights.iter_mut().for_each(|weight| *weight *= 0.999);
    }
    weights
}

/// How often the model was built for so many workers, once all of them have said who has built theirs.
fn builds(pool: &Pool, classifier: &ClassifierRemote, workers: usize) -> Result<usize, Box<dyn Error>> {
    let until = Instant::now() + PATIENCE;
    let mut builders = BTreeMap::new();
    while builders.len() < workers {
        if Instant::now() > until {
            return Err(format!("only {} of {workers} workers have answered within {PATIENCE:?}", builders.len()).into());
        }
        let origins: Result<Vec<_>, _> = pool.map_jobs((0..100).map(|_| classifier.origin())).collect();
        builders.extend(origins?);
    }
    Ok(builders.into_values().collect::<BTreeSet<u32>>().len())
}

#[mpm::main]
fn main() -> Result<(), Box<dyn Error>> {
    // ANCHOR: jobs
    let pool = Pool::builder().workers(2).build()?;
    // This describes the object and builds nothing.
    let classifier = Classifier::remote(SAMPLES.map(|(language, _)| language.to_owned()).to_vec());
    for (text, language) in TEXTS.iter().zip(pool.map_jobs(TEXTS.map(|text| classifier.classify(text)))) {
        println!("{}: {text}", language?);
    }
    println!("models for 2 workers: {}", builds(&pool, &classifier, 2)?);
    // ANCHOR_END: jobs

    // ANCHOR: preload
    let pool = Pool::builder().workers(2).preload(&classifier).build()?;
    println!("preloaded, by {}: {}", pool.start_method(), builds(&pool, &classifier, 2)?);
    // ANCHOR_END: preload

    // ANCHOR: not_built
    let elvish = Classifier::remote(vec!["Elvish".to_owned()]);
    for _ in 0..3 {
        match pool.run(elvish.classify("aiya")) {
            Err(JobError::NotBuilt(report)) => println!("not built: {}; given up: {}", report.reason, report.gave_up),
            other => println!("{other:?}"),
        }
    }
    // ANCHOR_END: not_built

    // ANCHOR: map
    let pool = Pool::builder().workers(1).build()?;
    let counts: Result<Vec<usize>, _> = pool.map::<WordCount>(TEXTS.map(str::to_owned)).collect();
    println!("words so far: {:?}", counts?);
    // ANCHOR_END: map

    // The type is still an ordinary one.
    let mut here = Classifier::new(vec!["English".to_owned()])?;
    here.add("Elvish", "a elbereth gilthoniel silivren penna miriel o menel aglar elenath");
    assert_eq!(here.classify("gilthoniel a elbereth"), "Elvish");
    Ok(())
}
