//! `#[worker]`: makes targets of a function, of the methods of an `impl` block, or of a struct. The attribute's and the item's tokens
//! enter; the item leaves as it was, and beside it what describes jobs, and the registrations that workers find by name.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;
use crate::item::{other_keyword, parse_function};
use crate::options::{self, Options};
use crate::{function, object, short};

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let keyword = other_keyword(&item).map(|keyword| keyword.to_string());
    let expanded = match keyword.as_deref() {
        Some("impl") => object::expand(&Options::parse(options, options::OBJECT, &mut errors), &item, &mut errors),
        Some("struct") => {
            let generated = short::expand(&Options::parse(options, options::STRUCT, &mut errors), &item, &mut errors);
            quote!(#item #generated)
        }
        _ => {
            let options = Options::parse(options, options::FUNCTION, &mut errors);
            let generated = match parse_function(&item, "`#[worker]` goes on functions, on `impl` blocks and on structs") {
                Ok(function) => function::target(&function, &options, &mut errors),
                Err(error) => {
                    errors.push(error);
                    TokenStream::new()
                }
            };
            quote!(#item #generated)
        }
    };
    let errors = errors.into_tokens();
    quote!(#expanded #errors)
}
