//! The objects of a worker: a key and the arguments of a constructor enter, the object leaves for one job and comes back after it.
//!
//! | state | entered | left |
//! |---|---|---|
//! | preloaded | `preload`, in the template or before a worker is ready | its first job: held |
//! | held | `hold`, by the job that is running | `Held` is dropped: kept; its method panics: gone, unless it is to be kept |
//! | kept | the end of a job | the next job: held; others need its place, or the worker ends in order: gone |
//!
//! All are on the thread that runs the jobs, but for what is preloaded: that may be built on another thread, and has to be `Send`.
//! An object is dropped by the process that has built it and by no copy of that: what is dropped in a copy would be freed page by
//! page in memory that it shares, and whatever an object does in its end it would do once for each copy.
//!
//! No borrow of the store lasts while code of the user's runs.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::panic::{apart, forget_panics, last_panic};
use super::serve::discard;
use crate::codec::{Arguments, Call, CallError, Cause, CodecError, Described, Key, Tag, Unbuilt, panic_message};
use crate::registry::{BuildError, Object};
use crate::start::current_process;
use crate::sys::say;

/// So many objects are kept where nobody says it: in single processes, which need one.
const KEPT: usize = 16;
/// After so many failures in a row an object is given up.
const TRIES: u32 = 3;
/// The failures of so many objects are remembered.
const FAILURES: usize = 16;

/// Which object, and where it comes from.
#[derive(Clone, Copy)]
struct About {
    ty: TypeId,
    key: Key,
    name: &'static str,
    /// The process that has built it, and not a copy of that.
    builder: u32,
    built: Instant,
}

impl About {
    fn is(&self, ty: TypeId, key: Key) -> bool {
        self.ty == ty && self.key == key
    }
}

struct Entry<O: ?Sized = dyn Any> {
    about: About,
    object: Box<O>,
}

struct Store {
    most: usize,
    /// The least recently used first.
    kept: Vec<Entry>,
    /// The oldest first.
    failures: Vec<(TypeId, Key, Unbuilt)>,
}

thread_local! {
    /// Not dropped with the thread: exit(3) would do that too, in the middle of a job.
    static STORE: RefCell<ManuallyDrop<Store>> =
        const { RefCell::new(ManuallyDrop::new(Store { most: KEPT, kept: Vec::new(), failures: Vec::new() })) };
}

/// What was built before there were workers, the oldest first, until it is used.
static PRELOADED: Mutex<Vec<Entry<dyn Any + Send>>> = Mutex::new(Vec::new());

fn with_preloaded<R>(change: impl FnOnce(&mut Vec<Entry<dyn Any + Send>>) -> R) -> R {
    change(&mut PRELOADED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// An object while a job has it.
#[doc(hidden)]
pub struct Held<T: Object> {
    about: About,
    /// `None` when its method has panicked.
    object: Option<Box<T>>,
}

/// Takes the object whose method a job calls, and builds it if it is not there.
#[doc(hidden)]
pub fn hold<T: Object>(call: &mut Call<'_>, described: Described<'_>) -> Result<Held<T>, CallError> {
    let key = described.key;
    if let Some(Entry { about, object }) = take_kept::<T>(key) {
        return Ok(Held { about, object: Some(object) });
    }
    call.build()?;
    let preloaded = take_preloaded::<T>(key);
    if preloaded.is_none()
        && let Some(unbuilt) = given_up(TypeId::of::<T>(), key)
    {
        return Err(CallError::NotBuilt(Box::new(unbuilt)));
    }
    make_room();
    let Entry { about, object } = preloaded.map_or_else(|| build::<T>(described), Ok)?;
    Ok(Held { about, object: Some(object) })
}

fn take_kept<T: Object>(key: Key) -> Option<Entry<T>> {
    STORE.with_borrow_mut(|store| {
        // The one that was used last stands at the end, and is as a rule the one that is wanted.
        let at = store.kept.iter().rposition(|entry| entry.about.is(TypeId::of::<T>(), key))?;
        let Entry { about, object } = store.kept.remove(at);
        object.downcast().ok().map(|object| Entry { about, object })
    })
}

fn take_preloaded<T: Object>(key: Key) -> Option<Entry<T>> {
    with_preloaded(|all| {
        let at = all.iter().position(|entry| entry.about.is(TypeId::of::<T>(), key))?;
        let Entry { about, object } = all.remove(at);
        (object as Box<dyn Any>).downcast().ok().map(|object| Entry { about, object })
    })
}

/// Drops what was not used for longest, until there is room for one more.
fn make_room() {
    while let Some(entry) = STORE.with_borrow_mut(|store| (store.kept.len() >= store.most).then(|| store.kept.remove(0))) {
        drop_object(entry);
    }
}

fn build<T: Object>(described: Described<'_>) -> Result<Entry<T>, CallError> {
    let (ty, key) = (TypeId::of::<T>(), described.key);
    let built = catch_unwind(AssertUnwindSafe(|| T::build(Arguments::new(described.arguments))));
    let cause = match built {
        Ok(Ok(object)) => {
            forget_panics();
            STORE.with_borrow_mut(|store| store.failures.retain(|(failed, of, _)| (*failed, *of) != (ty, key)));
            let about = About { ty, key, name: T::NAME, builder: std::process::id(), built: Instant::now() };
            return Ok(Entry { about, object: Box::new(object) });
        }
        Ok(Err(BuildError::Arguments(error))) => return Err(error.into()),
        Ok(Err(BuildError::Failed(reason))) => Cause::Failed(reason),
        Err(payload) => {
            let panic = last_panic(panic_message(&*payload));
            discard(payload);
            Cause::Panicked(panic)
        }
    };
    Err(CallError::NotBuilt(Box::new(note_failure(ty, key, T::NAME, cause))))
}

/// One more failure of this object.
fn note_failure(ty: TypeId, key: Key, name: &str, cause: Cause) -> Unbuilt {
    STORE.with_borrow_mut(|store| {
        let failures = &mut store.failures;
        let before = failures.iter().position(|(failed, of, _)| (*failed, *of) == (ty, key)).map(|at| failures.remove(at).2.builds);
        let builds = before.unwrap_or(0) + 1;
        let unbuilt = Unbuilt { object: name.to_owned(), cause, builds, gave_up: builds >= TRIES };
        if failures.len() >= FAILURES {
            failures.remove(0);
        }
        failures.push((ty, key, unbuilt.clone()));
        unbuilt
    })
}

/// The last failure of an object that will not be tried again.
fn given_up(ty: TypeId, key: Key) -> Option<Unbuilt> {
    STORE.with_borrow(|store| {
        let failure = store.failures.iter().find(|(failed, of, unbuilt)| (*failed, *of) == (ty, key) && unbuilt.gave_up);
        failure.map(|(_, _, unbuilt)| unbuilt.clone())
    })
}

impl<T: Object> Held<T> {
    /// Calls a method. The object is gone if that panics, unless it is to be kept.
    pub fn run<R>(&mut self, method: impl FnOnce(&mut T) -> R) -> R {
        let Some(object) = &mut self.object else { unreachable!("only a panic takes it away") };
        if T::KEPT_AFTER_PANIC {
            return method(object);
        }
        catch_unwind(AssertUnwindSafe(|| method(object))).unwrap_or_else(|payload| {
            // Here and not while this unwinds, where a drop that panics would end the process; nor later, when it would cost another job.
            let dropped = self.object.take().map(|object| Entry { about: self.about, object });
            apart(|| dropped.into_iter().for_each(drop_object));
            resume_unwind(payload)
        })
    }
}

impl<T: Object> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            STORE.with_borrow_mut(|store| store.kept.push(Entry { about: self.about, object }));
        }
    }
}

/// Drops an object, in the process that has built it.
fn drop_object<O: ?Sized>(Entry { about, object }: Entry<O>) {
    if about.builder != std::process::id() {
        mem::forget(object);
        return;
    }
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(object))) {
        let (worker, message) = (current_process(), panic_message(&*payload));
        say(&format!("mpm: {}: the drop of an object `{}` panicked: {message}", worker.name(), about.name));
        discard(payload);
        forget_panics();
    }
}

/// How many objects are kept.
pub(super) fn keep_at_most(most: usize) {
    STORE.with_borrow_mut(|store| store.most = most.max(1));
}

/// Drops all objects of this process, the youngest first: it ends in order.
pub(crate) fn drop_objects() {
    let kept = STORE.with_borrow_mut(|store| mem::take(&mut store.kept));
    let unused =
        with_preloaded(mem::take).into_iter().map(|Entry { about, object }| Entry { about, object: object as Box<dyn Any> });
    let mut all: Vec<Entry> = kept.into_iter().chain(unused).collect();
    all.sort_unstable_by_key(|entry| entry.about.built);
    all.into_iter().rev().for_each(drop_object);
}

/// First choice: an object that can be built by one thread for another one.
#[doc(hidden)]
pub trait PreloadSend {
    /// Builds the object, for whichever job comes first.
    fn __mpm_preload(&self, call: &mut Call<'_>) -> Result<(), CallError>;
}

impl<T: Object + Send> PreloadSend for &Tag<T> {
    fn __mpm_preload(&self, call: &mut Call<'_>) -> Result<(), CallError> {
        let described = call.object()?;
        call.build()?;
        // Asked for twice, it is built once.
        if !with_preloaded(|all| all.iter().any(|entry| entry.about.is(TypeId::of::<T>(), described.key))) {
            let Entry { about, object } = build::<T>(described)?;
            with_preloaded(|all| all.push(Entry { about, object }));
        }
        Ok(())
    }
}

/// Second choice: `Builder::preload` does not take it, so nobody comes here.
#[doc(hidden)]
pub trait PreloadNever {
    /// Refuses.
    fn __mpm_preload(&self, call: &mut Call<'_>) -> Result<(), CallError>;
}

impl<T: Object> PreloadNever for Tag<T> {
    fn __mpm_preload(&self, _call: &mut Call<'_>) -> Result<(), CallError> {
        Err(CodecError::refused(format!("`{}` is not `Send`", T::NAME)).into())
    }
}
