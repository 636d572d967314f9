//! The table of all targets: registrations enter, places and a fingerprint leave.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use super::registration::Registration;
use super::target::Target;
use super::unknown::{DuplicateTarget, UnknownTarget};

/// All targets of this program, sorted by name. The place of a target is its number on the wire; the fingerprint makes
/// sure that both ends count alike.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registry {
    targets: Vec<&'static Registration>,
    fingerprint: u64,
}

impl Registry {
    /// The registry of this program, built when it is first asked for.
    pub fn global() -> Result<&'static Registry, &'static DuplicateTarget> {
        static REGISTRY: OnceLock<Result<Registry, DuplicateTarget>> = OnceLock::new();
        REGISTRY.get_or_init(|| Registry::build(inventory::iter::<Registration>().collect())).as_ref()
    }

    /// The target at this place.
    pub fn get(&self, index: u32) -> Option<&'static Registration> {
        self.targets.get(usize::try_from(index).ok()?).copied()
    }

    /// The place of `F`. Only the first call searches, so this is for the one registry of the program.
    pub fn index_of<F: Target>(&'static self) -> Result<u32, UnknownTarget> {
        let index = *F::index().get_or_init(|| self.position(F::NAME));
        index.ok_or_else(|| UnknownTarget::new(F::NAME, &self.targets))
    }

    /// The place of the target of this name.
    pub(crate) fn find(&self, name: &str) -> Result<u32, UnknownTarget> {
        self.position(name).ok_or_else(|| UnknownTarget::new(name, &self.targets))
    }

    /// A number that differs, as good as certainly, if the names or signatures differ.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn build(mut targets: Vec<&'static Registration>) -> Result<Self, DuplicateTarget> {
        targets.sort_unstable_by_key(|target| target.name);
        if let Some([first, second]) = targets.array_windows().find(|[first, second]| first.name == second.name) {
            return Err(DuplicateTarget::new(first, second));
        }
        // The same program at both ends has the same hasher.
        let mut hasher = DefaultHasher::new();
        for target in &targets {
            (target.name, target.signature).hash(&mut hasher);
        }
        Ok(Registry { targets, fingerprint: hasher.finish() })
    }

    fn position(&self, name: &str) -> Option<u32> {
        let index = self.targets.binary_search_by_key(&name, |target| target.name).ok()?;
        u32::try_from(index).ok()
    }
}
