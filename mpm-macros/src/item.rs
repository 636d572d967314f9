//! Reads the item under an attribute: its head is parsed, its body stays the tokens that the user wrote, so that
//! half-typed bodies still get completion and errors of their own. Token streams enter; a [`Function`] leaves.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Signature, Visibility};

/// A function whose body was not looked into.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Function { attrs: input.call(Attribute::parse_outer)?, vis: input.parse()?, sig: input.parse()?, body: input.parse()? })
    }
}

impl Function {
    /// Puts `statement` in front of the body and leaves every token of the body where it was.
    pub(crate) fn prepend(&mut self, statement: TokenStream) {
        let span = self.body.span();
        let mut rest = TokenStream::new();
        let mut inner = TokenStream::new();
        let mut tokens = self.body.stream().into_iter().peekable();
        // Inner attributes must stay in front of the first statement.
        while let Some(token) = tokens.next() {
            let opens = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#')
                && matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
            if !opens {
                rest.append(token);
                break;
            }
            inner.append(token);
            inner.extend(tokens.by_ref().take(2));
        }
        rest.extend(tokens);
        self.body = Group::new(self.body.delimiter(), quote!(#inner #statement #rest));
        self.body.set_span(span);
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attrs);
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// Parses `item` as a function. If it is something else, `otherwise` underlines the word that says so (`struct`,
/// `impl`).
pub(crate) fn parse_function(item: &TokenStream, otherwise: &str) -> syn::Result<Function> {
    match other_keyword(item) {
        Some(keyword) => Err(syn::Error::new(keyword.span(), otherwise)),
        None => syn::parse2(item.clone()),
    }
}

/// The keyword that makes `item` something else than a function. Attributes and bodies are groups, so the first
/// keyword outside of groups decides.
pub(crate) fn other_keyword(item: &TokenStream) -> Option<Ident> {
    const OTHERS: [&str; 9] = ["struct", "enum", "union", "impl", "trait", "mod", "static", "type", "use"];
    const QUALIFIERS: [&str; 4] = ["fn", "async", "unsafe", "extern"];
    let mut tokens = item.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        let TokenTree::Ident(word) = token else {
            continue;
        };
        let constant =
            word == "const" && !matches!(tokens.peek(), Some(TokenTree::Ident(next)) if QUALIFIERS.iter().any(|word| next == word));
        if constant || OTHERS.iter().any(|other| word == other) {
            return Some(word);
        }
        if word == "fn" {
            return None;
        }
    }
    None
}
