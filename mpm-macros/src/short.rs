//! `#[worker]` on a struct: the struct becomes a target itself, whose jobs run its `mpm::Worker::run`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{ItemStruct, ReturnType, Type, parse_quote, parse_quote_spanned};

use crate::errors::Errors;
use crate::options::Options;
use crate::remote::{ObjectImpl, object_impl};
use crate::signature::Argument;
use crate::target::{Callee, Target, register};
use crate::tokens::{allow, option_name};

/// The generated items.
pub(crate) fn expand(options: &Options, item: &TokenStream, errors: &mut Errors) -> TokenStream {
    let item: ItemStruct = match syn::parse2(item.clone()) {
        Ok(item) => item,
        Err(error) => {
            errors.push(error);
            return TokenStream::new();
        }
    };
    if !item.generics.params.is_empty() {
        errors.at(&item.generics.params, "a worker has no generic parameters: it is found by its name");
        return TokenStream::new();
    }
    if let Some(clause) = &item.generics.where_clause {
        errors.at(clause, "a worker has no `where` clause");
        return TokenStream::new();
    }
    generate(options, &item)
}

fn generate(options: &Options, item: &ItemStruct) -> TokenStream {
    let (krate, ident, vis) = (options.krate(), &item.ident, &item.vis);
    let text = ident.unraw().to_string();
    let home = format_ident!("{}_run", ident.unraw(), span = ident.span());
    let maker = format_ident!("{}_default", ident.unraw(), span = ident.span());
    let span = ident.span();
    let args: Type = parse_quote_spanned!(span=> <#ident as #krate::Worker>::Args);
    let output: Type = parse_quote_spanned!(span=> <#ident as #krate::Worker>::Output);
    let argument = Argument { name: Ident::new("args", span), ty: args.clone(), lent: false, text: format!("{text}::Args") };
    let result: ReturnType = parse_quote!(-> #output);
    let object = ident.to_token_stream();
    let callee = Callee::Own { object: object.clone(), method: quote!(<#ident as #krate::Worker>::run) };
    let mut target = Target::new(options, home.to_token_stream(), callee, vec![argument], &result);
    (target.ident, target.result_text) = (object.clone(), format!("{text}::Output"));
    let name = option_name(options, || quote!(::core::concat!(::core::module_path!(), "::", #text)));
    let constructor = match &options.name {
        Some(name) => quote!(::core::concat!(#name, "::default")),
        None => quote!(::core::concat!(::core::module_path!(), "::", #text, "::default")),
    };
    // A struct that has none is told so at its name.
    let default = quote_spanned!(span=> <#ident as ::core::default::Default>::default());
    let from = Ident::new("arguments", Span::mixed_site());
    let object_impl = object_impl(&ObjectImpl {
        krate: &krate,
        ty: &object,
        home: &maker.to_token_stream(),
        object: name.clone(),
        keeps: options.keeps,
        build: quote! {
            #from.end()?;
            ::core::result::Result::Ok(#default)
        },
        from: &from,
    });
    let implementation = target.implementation(ident);
    let (pieces, allow) = (target.pieces(), allow());
    let signature = format!("struct {text}");
    let registration = register(&krate, &home.to_token_stream(), &[], &signature, options);
    let maker_registration = register(&krate, &maker.to_token_stream(), &[], &signature, &Options::default());
    quote! {
        #allow
        impl #ident {
            /// Describes one job: what `run` gets, in a worker.
            #vis fn job<'job>(args: #args) -> #krate::Job<'job, #ident> {
                #krate::Job::new(args)
            }

            /// Describes the one object of this type that each worker has, to be preloaded.
            #vis fn remote() -> #krate::OwnRemote<#ident> {
                #krate::OwnRemote::NEW
            }
        }

        #[doc(hidden)]
        #allow
        #vis enum #home {}

        #allow
        impl #home {
            const NAME: &'static ::core::primitive::str = #name;

            #pieces
        }

        #[doc(hidden)]
        #allow
        #vis enum #maker {}

        #allow
        impl #maker {
            const NAME: &'static ::core::primitive::str = #constructor;
        }

        #implementation
        #registration
        #object_impl
        #maker_registration
    }
}
