//! What is left of a panic when it travels. The payload of a panic enters, text leaves.

use std::any::Any;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::call::CallError;
use super::object::Unbuilt;

/// A panic in a target, as the parent gets to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Panic {
    /// What the panic said.
    pub message: String,
    /// File, line and column, as in `src/main.rs:3:5`.
    pub location: Option<String>,
    /// The stack at the panic, if the environment asks for backtraces.
    pub backtrace: Option<String>,
}

impl Panic {
    /// A panic with this message, of which nothing else is known.
    pub fn new(message: impl Into<String>) -> Self {
        Panic { message: message.into(), location: None, backtrace: None }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

/// Why a call has no value to give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NoValue {
    Panicked(Panic),
    BadArguments(String),
    BadResult(String),
    NotBuilt(Box<Unbuilt>),
}

impl From<CallError> for NoValue {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Codec(error) if error.is_argument() => Self::BadArguments(error.to_string()),
            CallError::Codec(error) => Self::BadResult(error.to_string()),
            CallError::NotBuilt(unbuilt) => Self::NotBuilt(unbuilt),
        }
    }
}

/// As the end of a sentence that begins with the target's name.
impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::BadArguments(reason) | Self::BadResult(reason) => write!(f, "failed: {reason}"),
            Self::NotBuilt(unbuilt) => unbuilt.fmt(f),
        }
    }
}

/// The message of a panic, from what `catch_unwind` returns or a hook is given.
#[doc(hidden)]
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        (*message).to_owned()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else {
        "a panic whose payload is not a string".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;

    use super::panic_message;

    #[test]
    fn the_message_of_a_panic_is_found() {
        let told = |payload: Box<dyn Any + Send>| panic_message(&*payload);
        assert_eq!(told(Box::new("a literal")), "a literal");
        assert_eq!(told(Box::new(String::from("formatted"))), "formatted");
        assert_eq!(told(Box::new(7)), "a panic whose payload is not a string");
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new("thrown"))).expect_err("a panic");
        assert_eq!(panic_message(&*caught), "thrown");
    }
}
