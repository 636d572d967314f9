//! Collects mistakes, so that one build shows all of them. `syn` errors enter; the `compile_error!` tokens leave.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes found in one use of a macro.
#[derive(Default)]
pub(crate) struct Errors {
    all: Option<syn::Error>,
}

impl Errors {
    /// Adds a mistake that is already an error.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.all {
            Some(all) => all.combine(error),
            None => self.all = Some(error),
        }
    }

    /// Adds a mistake that underlines `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds all mistakes of `others`.
    pub(crate) fn push_all(&mut self, others: Errors) {
        if let Some(error) = others.all {
            self.push(error);
        }
    }

    /// Whether nothing was found so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_none()
    }

    /// The errors as code; nothing if there are none.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.all.map(|all| all.to_compile_error()).unwrap_or_default()
    }
}
