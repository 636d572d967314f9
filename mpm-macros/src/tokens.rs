//! Small pieces of generated code. Parts enter, tokens leave.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Attribute;

use crate::options::Options;
use crate::signature::Argument;

/// Generated code does not repeat warnings that the item itself already gets.
pub(crate) fn allow() -> TokenStream {
    quote! {
        #[allow(
            clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, dead_code, deprecated, missing_docs, non_camel_case_types, non_snake_case,
            private_bounds, private_interfaces, unreachable_pub, unused_imports
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

/// The name that the options give, or else another one, as an expression.
pub(crate) fn option_name(options: &Options, otherwise: impl FnOnce() -> TokenStream) -> TokenStream {
    options.name.as_ref().map_or_else(otherwise, ToTokens::to_token_stream)
}

/// The documentation among `attrs`. Documentation tests in it would otherwise run twice: for the item and for what is generated.
pub(crate) fn docs(attrs: &[Attribute]) -> Vec<TokenStream> {
    let docs = attrs.iter().filter(|attr| attr.path().is_ident("doc"));
    let each = docs.map(|attr| {
        let meta = &attr.meta;
        quote!(#[cfg_attr(not(doctest), #meta)])
    });
    each.collect()
}

/// The parameters of a function that describes a job with these arguments.
pub(crate) fn parameters(arguments: &[Argument]) -> Vec<TokenStream> {
    let each = arguments.iter().map(|Argument { name, ty, lent, .. }| match lent {
        true => quote!(#name: &'job #ty),
        false => quote!(#name: #ty),
    });
    each.collect()
}

/// Puts `ty` wherever `Self` stands.
pub(crate) fn without_self(tokens: TokenStream, ty: &TokenStream) -> TokenStream {
    let each = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(word) if word == "Self" => {
            let span = word.span();
            let ty = ty.clone().into_iter().map(|mut token| {
                token.set_span(span);
                token
            });
            ty.collect()
        }
        TokenTree::Group(group) => {
            let mut inside = Group::new(group.delimiter(), without_self(group.stream(), ty));
            inside.set_span(group.span());
            inside.to_token_stream()
        }
        other => other.to_token_stream(),
    });
    each.collect()
}
