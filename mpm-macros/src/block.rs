//! Reads an `impl` block: heads are parsed, bodies stay the tokens that the user wrote. A token stream enters; a [`Block`] leaves,
//! which gives the item back without the attributes that are for `#[worker]`.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Attribute, ImplItem, ItemImpl, Visibility};

use crate::item::Function;

/// An `impl` block.
pub(crate) struct Block {
    /// All but what is inside.
    pub(crate) head: ItemImpl,
    head_tokens: TokenStream,
    body: Group,
    inner: Vec<Attribute>,
    pub(crate) members: Vec<Member>,
}

/// What stands in it.
pub(crate) enum Member {
    /// With what `#[worker]` is told about it, which is not among its attributes any more.
    Function {
        function: Box<Function>,
        told: Vec<Attribute>,
    },
    Other(Box<ImplItem>),
}

impl Block {
    pub(crate) fn parse(item: &TokenStream) -> syn::Result<Self> {
        let mut tokens: Vec<TokenTree> = item.clone().into_iter().collect();
        let Some(TokenTree::Group(body)) = tokens.pop() else {
            return Err(syn::Error::new_spanned(item, "this `impl` has no body"));
        };
        let head_tokens: TokenStream = tokens.into_iter().collect();
        let mut empty = Group::new(body.delimiter(), TokenStream::new());
        empty.set_span(body.span());
        let head = syn::parse2(quote!(#head_tokens #empty))?;
        let (inner, members) = read_members.parse2(body.stream())?;
        Ok(Block { head, head_tokens, body, inner, members })
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = (&Function, &[Attribute])> {
        self.members.iter().filter_map(|member| match member {
            Member::Function { function, told } => Some((&**function, &**told)),
            Member::Other(_) => None,
        })
    }
}

impl ToTokens for Block {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Block { head_tokens, body, inner, members, .. } = self;
        let mut inside = TokenStream::new();
        inside.append_all(inner);
        for member in members {
            match member {
                Member::Function { function, .. } => function.to_tokens(&mut inside),
                Member::Other(item) => item.to_tokens(&mut inside),
            }
        }
        head_tokens.to_tokens(tokens);
        let mut group = Group::new(body.delimiter(), inside);
        group.set_span(body.span());
        tokens.append(group);
    }
}

impl Parse for Member {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // Whether it is a function is seen behind its attributes and visibility.
        let ahead = input.fork();
        ahead.call(Attribute::parse_outer)?;
        ahead.parse::<Visibility>()?;
        let is_function = ahead.fork().parse::<syn::Signature>().is_ok();
        if !is_function {
            return Ok(Member::Other(Box::new(input.parse()?)));
        }
        let ahead = input.fork();
        let mut function: Box<Function> = Box::new(ahead.parse()?);
        input.advance_to(&ahead);
        let is_told = |attr: &Attribute| attr.path().segments.last().is_some_and(|segment| segment.ident == "worker");
        let (told, attrs) = std::mem::take(&mut function.attrs).into_iter().partition(is_told);
        function.attrs = attrs;
        Ok(Member::Function { function, told })
    }
}

fn read_members(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, Vec<Member>)> {
    let inner = input.call(Attribute::parse_inner)?;
    let mut members = Vec::new();
    while !input.is_empty() {
        members.push(input.parse()?);
    }
    Ok((inner, members))
}
