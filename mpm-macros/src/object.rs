//! `#[worker]` on an `impl` block: its constructor and its methods enter, or every reason against them; what is made of them is in
//! `remote.rs`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, ItemImpl, PathArguments, ReturnType, Signature, Type, Visibility};

use crate::block::Block;
use crate::errors::Errors;
use crate::item::Function;
use crate::options::{self, Options};
use crate::signature::{self, Argument};
use crate::tokens::without_self;

/// A type whose objects live in workers.
pub(crate) struct Object<'a> {
    pub(crate) krate: TokenStream,
    /// The type, as the user names it.
    pub(crate) ty: TokenStream,
    /// Its last name.
    pub(crate) ident: Ident,
    /// The prefix of the targets' names, as an expression.
    pub(crate) options: &'a Options,
    pub(crate) constructor: Constructor,
    pub(crate) methods: Vec<Method>,
}

/// The function that makes the object.
pub(crate) struct Constructor {
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) arguments: Vec<Argument>,
    /// What it returns.
    pub(crate) result: Type,
}

/// A method that jobs can call.
pub(crate) struct Method {
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) options: Options,
    pub(crate) arguments: Vec<Argument>,
}

/// Expands the attribute. The item always comes back.
pub(crate) fn expand(options: &Options, item: &TokenStream, errors: &mut Errors) -> TokenStream {
    let block = match Block::parse(item) {
        Ok(block) => block,
        Err(error) => {
            errors.push(error);
            return item.clone();
        }
    };
    let mut refused = Errors::default();
    let object = check(&block, options, &mut refused);
    // A mistake in the options alone keeps what is generated, so that it is not followed by others at every caller.
    let generated = object.filter(|_| refused.is_empty()).map(|object| object.generate());
    errors.push_all(refused);
    quote!(#block #generated)
}

fn check<'a>(block: &Block, options: &'a Options, errors: &mut Errors) -> Option<Object<'a>> {
    let ident = check_head(&block.head, errors);
    let ty = block.head.self_ty.to_token_stream();
    let mut constructor = None;
    let (mut is_there, mut methods) = (false, Vec::new());
    for (function, told) in block.functions() {
        let sig = &function.sig;
        if sig.ident == "new" {
            if is_there {
                errors.at(&sig.ident, "an object has one constructor: put `cfg` on what differs inside of it");
            }
            is_there = true;
            constructor = check_new(function, told, &ty, errors);
        } else if sig.ident == "remote" {
            errors.at(&sig.ident, "`remote` is the function that `#[worker]` makes: give this one another name");
        } else if sig.receiver().is_some() {
            methods.extend(check_method(function, told, &ty, errors));
        } else if let Some(attr) = told.first() {
            errors.at(attr, "this function has no `self`: jobs do not call it, and it takes no options");
        }
    }
    if !is_there {
        let message = "an object needs a constructor in this block: `fn new(…) -> Self`, or `-> Result<Self, E>`";
        errors.at(&block.head.self_ty, message);
    }
    Some(Object { krate: options.krate(), ty, ident: ident?, options, constructor: constructor?, methods })
}

/// The last name of the type, if it is one that can be an object.
fn check_head(head: &ItemImpl, errors: &mut Errors) -> Option<Ident> {
    if let Some((path, _)) = &head.trait_ {
        errors.at(path, "jobs call a type's own methods: put `#[worker]` on an `impl` block without a trait");
    }
    if !head.generics.params.is_empty() {
        errors.at(&head.generics.params, "an object has no generic parameters: the worker finds its methods by name");
    }
    if let Some(clause) = &head.generics.where_clause {
        errors.at(clause, "an object has no `where` clause");
    }
    let path = match &*head.self_ty {
        Type::Path(path) if path.qself.is_none() => &path.path,
        other => {
            errors.at(other, "an object is a type with a name of its own: a struct, an enum or a union");
            return None;
        }
    };
    let last = path.segments.last()?;
    if !matches!(last.arguments, PathArguments::None) && head.generics.params.is_empty() {
        errors.at(&last.arguments, "an object has no generic parameters: the worker finds its methods by name");
    }
    Some(last.ident.unraw())
}

/// The signature without `Self`, which means something else where it is repeated.
fn plain(sig: &Signature, ty: &TokenStream, errors: &mut Errors) -> Option<Signature> {
    syn::parse2(without_self(sig.to_token_stream(), ty)).map_err(|error| errors.push(error)).ok()
}

fn check_new(function: &Function, told: &[Attribute], ty: &TokenStream, errors: &mut Errors) -> Option<Constructor> {
    if let Some(attr) = told.first() {
        errors.at(attr, "a constructor takes no options");
    }
    if let Some(attr) = function.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
        errors.at(attr, "a constructor cannot come and go with `cfg`: put it on what differs inside of it");
    }
    if let Some(receiver) = function.sig.receiver() {
        errors.at(receiver, "a constructor has no `self`: it makes one");
        return None;
    }
    let sig = plain(&function.sig, ty, errors)?;
    let arguments = signature::check_constructor(&sig, errors);
    let result = match &sig.output {
        ReturnType::Default => return None,
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    Some(Constructor { vis: function.vis.clone(), docs: function.attrs.clone(), arguments, result, sig })
}

fn check_method(function: &Function, told: &[Attribute], ty: &TokenStream, errors: &mut Errors) -> Option<Method> {
    let options = match told {
        [] => Options::default(),
        [attr] => Options::of(attr, options::METHOD, errors),
        [_, second, ..] => {
            errors.at(second, "put all options of a method into one `#[worker(…)]`");
            Options::default()
        }
    };
    if options.skip {
        return None;
    }
    let sig = plain(&function.sig, ty, errors)?;
    let arguments = signature::check_method(&sig, sig.receiver()?, errors);
    Some(Method { vis: function.vis.clone(), attrs: function.attrs.clone(), options, arguments, sig })
}

impl Object<'_> {
    /// The type that describes an object.
    pub(crate) fn remote(&self) -> Ident {
        let mut ident = format_ident!("{}Remote", self.ident);
        ident.set_span(self.ident.span());
        ident
    }

    /// The name of the generated type that stands for a function of the object.
    pub(crate) fn home(&self, function: &Ident) -> Ident {
        format_ident!("{}_{}", self.ident, function.unraw(), span = function.span())
    }
}
