//! Decides whether a function can be a target. A [`syn::Signature`] enters; [`Argument`]s and the result type leave,
//! or every reason against it, each on the tokens that are the reason.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{FnArg, Ident, Lifetime, Pat, PatType, Receiver, ReceiverKind, ReturnType, Safety, Signature, Type, TypeReference};

use crate::errors::Errors;

/// One argument of a target.
#[derive(Clone)]
pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// The type behind the `&` for a lent argument, the whole type otherwise.
    pub(crate) ty: Type,
    pub(crate) lent: bool,
    /// The type as the user would say it.
    pub(crate) text: String,
}

/// Checks `sig` and takes its arguments apart.
pub(crate) fn check(sig: &Signature, errors: &mut Errors) -> Vec<Argument> {
    check_qualifiers(sig, errors);
    check_generics(sig, errors);
    if let ReturnType::Type(_, ty) = &sig.output {
        check_result(ty, errors);
    }
    sig.inputs.iter().filter_map(|input| check_argument(input, errors)).collect()
}

/// As [`check`], for a method with this `self`, which is no argument.
pub(crate) fn check_method(sig: &Signature, receiver: &Receiver, errors: &mut Errors) -> Vec<Argument> {
    match &receiver.kind {
        ReceiverKind::Reference(_, None, _) => {}
        ReceiverKind::Reference(_, Some(lifetime), _) => {
            errors.at(lifetime, "a job has the object as long as it runs: write `self` without a lifetime");
        }
        _ => errors.at(
            receiver,
            "an object stays in its worker: take `&self` or `&mut self`, or leave this method out with `#[worker(skip)]`",
        ),
    }
    let mut sig = sig.clone();
    sig.inputs = sig.inputs.into_iter().skip(1).collect();
    check(&sig, errors)
}

/// As [`check`], for a constructor, whose result stays where it is.
pub(crate) fn check_constructor(sig: &Signature, errors: &mut Errors) -> Vec<Argument> {
    if let Some(token) = &sig.asyncness {
        errors.at(token, "a constructor is not `async`: wait in it, or leave what has to wait to a method");
    }
    const RETURNS: &str = "a constructor returns `Self` or a `Result<Self, E>`";
    match &sig.output {
        ReturnType::Default => errors.at(&sig.ident, RETURNS),
        ReturnType::Type(_, ty) if !may_be_made(ty) => errors.at(ty, RETURNS),
        ReturnType::Type(..) => {}
    }
    let sig = Signature { asyncness: None, output: ReturnType::Default, ..sig.clone() };
    check(&sig, errors)
}

/// Whether a constructor may return this, as far as can be told from its name; the compiler knows what it stands for.
fn may_be_made(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| !["Option", "Box", "Rc", "Arc"].iter().any(|other| last.ident == other))
        }
        Type::Paren(inner) => may_be_made(&inner.elem),
        Type::Group(inner) => may_be_made(&inner.elem),
        Type::Macro(_) => true,
        _ => false,
    }
}

/// `Vec < u8 >` as the user wrote it: `Vec<u8>`.
pub(crate) fn type_text(ty: &Type) -> String {
    let mut text = quote::quote!(#ty).to_string();
    for (from, to) in [
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" :: ", "::"),
        (":: ", "::"),
        (" ,", ","),
        (" ;", ";"),
        ("[ ", "["),
        (" ]", "]"),
        ("( ", "("),
        (" )", ")"),
        (" !", "!"),
    ] {
        text = text.replace(from, to);
    }
    text
}

/// The one token that stands best for a type: the name in a path, the brackets of a tuple or an array.
pub(crate) fn type_span(ty: &Type) -> Span {
    match ty {
        Type::Path(path) => path.path.segments.last().map_or_else(|| ty.span(), |segment| segment.ident.span()),
        Type::Paren(inner) => type_span(&inner.elem),
        Type::Group(inner) => type_span(&inner.elem),
        other => other.span(),
    }
}

fn check_qualifiers(sig: &Signature, errors: &mut Errors) {
    if let Some(token) = &sig.asyncness {
        errors.at(token, "an `async fn` as a target needs the feature `tokio`, which this version of mpm does not have yet");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        errors.at(token, "an unsafe function cannot be a target: nobody in the worker could keep its contract");
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, "a target is called from Rust only: remove `extern`");
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, "a target takes a fixed number of arguments");
    }
}

fn check_generics(sig: &Signature, errors: &mut Errors) {
    let generics = &sig.generics;
    if !generics.params.is_empty() {
        errors
            .at(&generics.params, "a target has no generic parameters: the worker finds it by name, and one name is one function");
    }
    if let Some(clause) = &generics.where_clause {
        errors.at(clause, "a target has no `where` clause");
    }
}

fn check_argument(input: &FnArg, errors: &mut Errors) -> Option<Argument> {
    let typed = match input {
        FnArg::Typed(typed) => typed,
        FnArg::Receiver(receiver) => {
            errors.at(receiver, "a method is a target by `#[worker]` on the `impl` block around it");
            return None;
        }
    };
    if let Some(attr) = typed.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
        errors.at(attr, "an argument of a target cannot come and go with `cfg`: put it on two functions");
    }
    let name = argument_name(typed, errors);
    let argument = argument_type(&typed.ty, errors);
    let (lent, ty) = argument?;
    Some(Argument { name: name?, ty, lent, text: type_text(&typed.ty) })
}

fn argument_name(typed: &PatType, errors: &mut Errors) -> Option<Ident> {
    match &*typed.pat {
        Pat::Ident(pat) if pat.subpat.is_none() => return Some(pat.ident.clone()),
        Pat::Wild(_) => errors.at(&typed.pat, "give this argument a name, for example `_unused`"),
        _ => errors.at(&typed.pat, "give this argument a name, and take it apart in the body"),
    }
    None
}

fn argument_type(ty: &Type, errors: &mut Errors) -> Option<(bool, Type)> {
    match ty {
        Type::Paren(inner) => argument_type(&inner.elem, errors),
        Type::Group(inner) => argument_type(&inner.elem, errors),
        Type::Reference(reference) => Some((true, lent_type(reference, errors)?)),
        _ => inside(ty, "argument", errors).then(|| (false, ty.clone())),
    }
}

fn lent_type(reference: &TypeReference, errors: &mut Errors) -> Option<Type> {
    let mut good = true;
    if let Some(lifetime) = reference.lifetime.as_ref().filter(|lifetime| lifetime.ident != "_") {
        errors.at(lifetime, "a borrowed argument lives as long as the job: write the reference without a lifetime");
        good = false;
    }
    if let Some(token) = &reference.mutability {
        errors.at(token, "a worker cannot change the caller's memory: take `&` or an owned argument, and return what changed");
        good = false;
    }
    good &= inside(&reference.elem, "argument", errors);
    good.then(|| (*reference.elem).clone())
}

fn check_result(ty: &Type, errors: &mut Errors) {
    if let Type::Never(_) = ty {
        errors.at(ty, "a target returns: what should the caller wait for?");
    } else if let Type::Reference(_) = ty {
        errors.at(ty, BORROWED_RESULT);
    } else {
        inside(ty, "result", errors);
    }
}

const BORROWED_RESULT: &str =
    "a result owns what it holds, because it travels to another process: return an owned type, for example `String`";

/// Looks for what cannot be anywhere inside an argument or result type.
fn inside(ty: &Type, role: &'static str, errors: &mut Errors) -> bool {
    struct Inside<'e> {
        role: &'static str,
        errors: &'e mut Errors,
        good: bool,
    }
    impl Inside<'_> {
        fn bad(&mut self, tokens: impl quote::ToTokens, message: impl std::fmt::Display) {
            self.errors.at(tokens, message);
            self.good = false;
        }
        fn borrowed(&mut self, tokens: impl quote::ToTokens) {
            if self.role == "result" {
                self.bad(tokens, BORROWED_RESULT);
            } else {
                self.bad(tokens, "only an argument as a whole may be borrowed, not a part of it: take an owned type here");
            }
        }
    }
    impl<'ast> Visit<'ast> for Inside<'_> {
        fn visit_type_reference(&mut self, node: &'ast TypeReference) {
            self.borrowed(node);
        }
        fn visit_lifetime(&mut self, node: &'ast Lifetime) {
            if node.ident != "static" {
                self.borrowed(node);
            }
        }
        fn visit_type_impl_trait(&mut self, node: &'ast syn::TypeImplTrait) {
            let role = self.role;
            self.bad(node, format!("`impl Trait` cannot be the {role} of a target: name the type, it must travel"));
        }
        fn visit_type_trait_object(&mut self, node: &'ast syn::TypeTraitObject) {
            self.bad(node, "a trait object cannot travel: the other process does not know the type behind it");
        }
        fn visit_type_ptr(&mut self, node: &'ast syn::TypePtr) {
            self.bad(node, "a raw pointer cannot travel: it means nothing in another process");
        }
        fn visit_type_fn_ptr(&mut self, node: &'ast syn::TypeFnPtr) {
            self.bad(node, "a function pointer cannot travel: targets are found by name, not by address");
        }
    }
    let mut inside = Inside { role, errors, good: true };
    visit::visit_type(&mut inside, ty);
    inside.good
}
