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
struct Target<'a> {
    krate: TokenStream,
    ident: &'a Ident,
    arguments: Vec<Argument>,
    result: TokenStream,
    result_span: Span,
    result_text: String,
    /// Local names of generated code: they cannot meet a name of the user's.
    locals: Vec<Ident>,
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

    /// What a worker runs: decode, call, encode.
    fn call(&self) -> TokenStream {
        let Target { krate, ident, locals, result_text, .. } = self;
        let call = Ident::new("call", Span::mixed_site());
        let output = Ident::new("output", Span::mixed_site());
        let decode = self.arguments.iter().zip(locals).map(|(Argument { name, lent, text, .. }, local)| {
            let method = if *lent { quote!(borrowed) } else { quote!(argument) };
            let name = name.unraw().to_string();
            quote!(let #local = #call.#method(&#ident::#local(), #name, #text)?;)
        });
        let pass = self.arguments.iter().zip(locals).map(|(argument, local)| match argument.lent {
            true => quote!(#krate::__private::lend(&#ident::#local(), &#local)),
            false => local.to_token_stream(),
        });
        let result = result_ident();
        quote! {
            #[doc(hidden)]
            fn call(
                #call: &mut #krate::__private::Call<'_>,
            ) -> ::core::result::Result<(), #krate::__private::CodecError> {
                #(#decode)*
                #call.run()?;
                let #output = #ident(#(#pass),*);
                #call.finish(&#ident::#result(), &#output, #result_text)
            }
        }
    }

    /// `impl Target`: what a pool needs.
    fn implementation(&self, function: &Function) -> TokenStream {
        let Target { krate, ident, locals, result, result_text, .. } = self;
        let types = self.arguments.iter().map(|Argument { ty, lent, .. }| match lent {
            true => quote!(&'job #ty),
            false => ty.to_token_stream(),
        });
        let packed = pack(types);
        let args_type = spread(ends(&function.sig.inputs), quote!(type), quote!(Args<'job> = #packed;));
        let output_type = spread(ends(result), quote!(type), quote!(Output = #result;));
        let args = Ident::new("args", Span::mixed_site());
        let to = Ident::new("to", Span::mixed_site());
        let unpack = pack(locals);
        let encode = self.arguments.iter().zip(locals).map(|(Argument { name, lent, text, .. }, local)| {
            let function = if *lent { quote!(put_lent) } else { quote!(put) };
            let name = name.unraw().to_string();
            quote!(#krate::__private::#function(&#ident::#local(), #local, #name, #text, #to)?;)
        });
        let codec = result_ident();
        let allow = allow();
        quote! {
            #allow
            impl #krate::Target for #ident {
                const NAME: &'static ::core::primitive::str = #ident::NAME;
                #args_type
                #output_type

                fn encode(
                    #args: &Self::Args<'_>,
                    #to: &mut #krate::__private::Vec<::core::primitive::u8>,
                ) -> ::core::result::Result<(), #krate::__private::CodecError> {
                    let #unpack = #args;
                    #(#encode)*
                    ::core::result::Result::Ok(())
                }

                fn decode_output(
                    bytes: #krate::__private::Vec<::core::primitive::u8>,
                ) -> ::core::result::Result<Self::Output, #krate::__private::CodecError> {
                    #krate::__private::read(&#ident::#codec(), bytes, #result_text)
                }

                fn index() -> &'static #krate::__private::Index {
                    static INDEX: #krate::__private::Index = #krate::__private::Index::new();
                    &INDEX
                }
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

/// Generated code does not repeat warnings that the function itself already gets.
fn allow() -> TokenStream {
    quote! {
        #[allow(
            clippy::all, dead_code, deprecated, missing_docs, non_camel_case_types, non_snake_case,
            private_interfaces, unreachable_pub, unused_imports
        )]
    }
}

/// Nothing is `()`, one thing stays bare, several are a tuple.
fn pack(parts: impl IntoIterator<Item = impl ToTokens>) -> TokenStream {
    let parts: Vec<_> = parts.into_iter().collect();
    match &parts[..] {
        [one] => one.to_token_stream(),
        _ => quote!((#(#parts),*)),
    }
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

fn result_ident() -> Ident {
    Ident::new("result", Span::call_site())
}

/// The spans of the first and the last token.
fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut all = tokens.to_token_stream().into_iter();
    let first = all.next();
    let span = |token: Option<&proc_macro2::TokenTree>| token.map_or_else(Span::call_site, |token| token.span());
    let last = all.last();
    (span(first.as_ref()), span(last.as_ref().or(first.as_ref())))
}

/// Makes an item that errors underline as the user's tokens from the first to the last of `ends`: `head` gets the span
/// of the one, the last token of `tail` (its `;`) that of the other.
fn spread(ends: (Span, Span), head: TokenStream, tail: TokenStream) -> TokenStream {
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
