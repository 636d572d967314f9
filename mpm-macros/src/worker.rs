//! `#[worker]`: turns a function into a target. The attribute's and the item's tokens enter; the item leaves as it was,
//! and beside it a type of the same name that describes jobs, and the registration that the worker finds by name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ReturnType;
use syn::ext::IdentExt;

use crate::errors::Errors;
use crate::item::{Function, parse_function};
use crate::options::{self, Options};
use crate::signature::{self, Argument};
use crate::tokens::{allow, option, pack, result_ident};

/// Expands the attribute.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(options, options::WORKER, &mut errors);
    let generated = match parse_function(&item, "`#[worker]` goes on functions only in this version") {
        Ok(function) => target(&function, &options, &mut errors),
        Err(error) => {
            errors.push(error);
            TokenStream::new()
        }
    };
    let errors = errors.into_tokens();
    quote!(#item #generated #errors)
}

/// Everything the templates below need to know.
pub(crate) struct Target<'a> {
    pub(crate) krate: TokenStream,
    pub(crate) ident: &'a Ident,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) result: TokenStream,
    result_span: Span,
    pub(crate) result_text: String,
    /// Local names of generated code: they cannot meet a name of the user's.
    pub(crate) locals: Vec<Ident>,
}

/// The generated items, or nothing where the signature was refused. A mistake in the options alone keeps them, so
/// that it is not followed by a "cannot find `f`" at every caller.
fn target(function: &Function, options: &Options, errors: &mut Errors) -> TokenStream {
    let mut refused = Errors::default();
    let sig = &function.sig;
    let arguments = signature::check(sig, &mut refused);
    if !refused.is_empty() {
        errors.push_all(refused);
        return TokenStream::new();
    }
    let (result, result_text, result_span) = match &sig.output {
        ReturnType::Default => (quote!(()), "()".to_owned(), Span::call_site()),
        ReturnType::Type(_, ty) => (ty.to_token_stream(), signature::type_text(ty), signature::type_span(ty)),
    };
    let locals = (0..arguments.len()).map(|at| format_ident!("value{at}", span = Span::mixed_site())).collect();
    let target = Target { krate: options.krate(), ident: &sig.ident, result_span, arguments, result, result_text, locals };
    let face = target.face(function, options);
    let implementation = target.implementation(function);
    let registration = target.registration(function, options);
    quote!(#face #implementation #registration)
}

impl Target<'_> {
    /// The type, and `job` and `NAME` on it: what users see.
    fn face(&self, function: &Function, options: &Options) -> TokenStream {
        let Target { krate, ident, locals, .. } = self;
        let vis = &function.vis;
        // Documentation tests in the text would otherwise run twice: for the function and for the type.
        let docs = function.attrs.iter().filter(|attr| attr.path().is_ident("doc")).map(|attr| {
            let meta = &attr.meta;
            quote!(#[cfg_attr(not(doctest), #meta)])
        });
        let name = match &options.name {
            Some(name) => name.to_token_stream(),
            None => {
                let text = ident.unraw().to_string();
                quote!(::core::concat!(::core::module_path!(), "::", #text))
            }
        };
        let parameters = self.arguments.iter().map(|Argument { name, ty, lent, .. }| match lent {
            true => quote!(#name: &'job #ty),
            false => quote!(#name: #ty),
        });
        let names = self.arguments.iter().map(|argument| &argument.name);
        let arguments = pack(names);
        let codecs = self.arguments.iter().zip(locals).map(|(argument, local)| {
            let bound = if argument.lent { quote!(Lend) } else { quote!(Codec) };
            self.codec(local, &argument.ty.to_token_stream(), signature::type_span(&argument.ty), &bound)
        });
        let result = self.codec(&result_ident(), &self.result, self.result_span, &quote!(Codec));
        let call = self.call();
        let allow = allow();
        quote! {
            #(#docs)*
            #allow
            #vis enum #ident {}

            #allow
            impl #ident {
                /// The name under which workers find this target.
                pub const NAME: &'static ::core::primitive::str = #name;

                /// Describes one call: the same arguments as the function, which runs when a pool gets the job.
                pub fn job<'job>(#(#parameters),*) -> #krate::Job<'job, #ident> {
                    #krate::Job::new(#arguments)
                }

                #(#codecs)*
                #result
                #call
            }
        }
    }

    /// A function that returns the codec of one type. Picking it is the one place of the expansion where a type has to
    /// prove that it can travel; behind `impl`, all uses of the codec take it as proven. So a type that cannot is one
    /// error, which underlines the name of the method: therefore it has the place of the user's type.
    fn codec(&self, name: &Ident, ty: &TokenStream, span: Span, bound: &TokenStream) -> TokenStream {
        let krate = &self.krate;
        let pick = Ident::new("__mpm_codec", span);
        quote! {
            #[doc(hidden)]
            fn #name() -> impl #krate::__private::#bound<#ty> {
                use #krate::__private::{PickBytes as _, PickInner as _, PickOuter as _, PickSerde as _};
                (&&&&#krate::__private::Tag::<#ty>::NEW).#pick()
            }
        }
    }

    /// The entry in the registry.
    fn registration(&self, function: &Function, options: &Options) -> TokenStream {
        let Target { krate, ident, .. } = self;
        let signature = function.sig.to_token_stream().to_string();
        let timeout = option(options.timeout.map(|timeout| {
            let (seconds, nanos) = (timeout.as_secs(), timeout.subsec_nanos());
            quote!(::core::time::Duration::new(#seconds, #nanos))
        }));
        let retries = option(options.retries);
        quote! {
            #krate::__private::inventory::submit! {
                #krate::__private::Registration {
                    name: #ident::NAME,
                    file: ::core::file!(),
                    line: ::core::line!(),
                    column: ::core::column!(),
                    signature: #signature,
                    timeout: #timeout,
                    retries: #retries,
                    call: #ident::call,
                }
            }
        }
    }
}
