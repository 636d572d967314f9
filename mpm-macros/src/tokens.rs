//! Small pieces of generated code. Parts enter, tokens leave.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

/// Generated code does not repeat warnings that the function itself already gets.
pub(crate) fn allow() -> TokenStream {
    quote! {
        #[allow(
            clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, dead_code, deprecated, missing_docs, non_camel_case_types, non_snake_case,
            private_interfaces, unreachable_pub, unused_imports
        )]
    }
}

/// Nothing is `()`, one thing stays bare, several are a tuple.
pub(crate) fn pack(parts: impl IntoIterator<Item = impl ToTokens>) -> TokenStream {
    let parts: Vec<_> = parts.into_iter().collect();
    match &parts[..] {
        [one] => one.to_token_stream(),
        _ => quote!((#(#parts),*)),
    }
}

/// An `Option` as the code that makes it.
pub(crate) fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// The name of the function that returns the result's codec.
pub(crate) fn result_ident() -> Ident {
    Ident::new("result", Span::call_site())
}

/// The spans of the first and the last token.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut all = tokens.to_token_stream().into_iter();
    let first = all.next();
    let span = |token: Option<&TokenTree>| token.map_or_else(Span::call_site, |token| token.span());
    let last = all.last();
    (span(first.as_ref()), span(last.as_ref().or(first.as_ref())))
}

/// Makes an item that errors underline as the user's tokens from the first to the last of `ends`: `head` gets the span
/// of the one, the last token of `tail` (its `;`) that of the other.
pub(crate) fn spread(ends: (Span, Span), head: TokenStream, tail: TokenStream) -> TokenStream {
    let (first, last) = ends;
    let head = head.into_iter().map(|mut token| {
        token.set_span(first);
        token
    });
    let mut tail: Vec<_> = tail.into_iter().collect();
    if let Some(token) = tail.last_mut() {
        token.set_span(last);
    }
    head.chain(tail).collect()
}
