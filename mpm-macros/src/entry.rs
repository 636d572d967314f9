//! `#[mpm::main]` and `#[mpm::test]`: put one statement in front of a function's body. The attribute's and the item's
//! tokens enter; the function with that statement leaves.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::errors::Errors;
use crate::item::{Function, parse_function};
use crate::options::{self, Options};

/// Expands `#[mpm::main]`.
pub(crate) fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, "mpm::main", |function, krate| {
        function.prepend(quote!(#krate::init();));
        function.to_token_stream()
    })
}

/// Expands `#[mpm::test]`.
pub(crate) fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, "mpm::test", |function, krate| {
        let name = function.sig.ident.to_string();
        function.prepend(quote! {
            #krate::__private::enter_test(::core::concat!(::core::module_path!(), "::", #name));
        });
        quote!(#[::core::prelude::v1::test] #function)
    })
}

fn expand(
    options: TokenStream,
    item: TokenStream,
    attribute: &str,
    change: impl FnOnce(&mut Function, TokenStream) -> TokenStream,
) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(options, options::ENTRY, &mut errors);
    match parse_function(&item, &format!("`#[{attribute}]` goes on functions only")) {
        Ok(mut function) => {
            let mut refused = Errors::default();
            check(&function, attribute, &mut refused);
            if refused.is_empty() {
                let errors = errors.into_tokens();
                let changed = change(&mut function, options.krate());
                return quote!(#changed #errors);
            }
            errors.push_all(refused);
        }
        Err(error) => errors.push(error),
    }
    let errors = errors.into_tokens();
    quote!(#item #errors)
}

fn check(function: &Function, attribute: &str, errors: &mut Errors) {
    let sig = &function.sig;
    if let Some(token) = &sig.asyncness {
        errors.at(
            token,
            format!("an `async fn` under `#[{attribute}]` needs the feature `tokio`, which this version of mpm does not have yet"),
        );
    }
    if !sig.inputs.is_empty() {
        errors.at(&sig.inputs, format!("a function under `#[{attribute}]` takes no arguments"));
    }
    if !sig.generics.params.is_empty() {
        errors.at(&sig.generics.params, format!("a function under `#[{attribute}]` has no generic parameters"));
    }
    if attribute == "mpm::test"
        && let Some(attr) = function.attrs.iter().find(|attr| attr.path().is_ident("test"))
    {
        errors.at(attr, "`#[mpm::test]` already makes this a test: remove `#[test]`");
    }
}
