//! One target, whatever it is made of: a function, a method or a struct. What is known of it enters; the pieces of generated code
//! leave that all of them have in common. Those that decode and encode are in `legs.rs`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{ReturnType, Signature};

use crate::options::Options;
use crate::signature::{self, Argument};
use crate::tokens::{option, result_ident};

/// What is called.
pub(crate) enum Callee {
    Function(Ident),
    /// A method of an object, which is described in front of the arguments.
    Method {
        object: TokenStream,
        method: TokenStream,
    },
    /// The one method of an object that needs no description.
    Own {
        object: TokenStream,
        method: TokenStream,
    },
}

/// Everything the templates need to know.
pub(crate) struct Target {
    pub(crate) krate: TokenStream,
    /// The type that is the target.
    pub(crate) ident: TokenStream,
    /// The generated type on which the pieces are; the same one, as a rule.
    pub(crate) home: TokenStream,
    pub(crate) callee: Callee,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) result: TokenStream,
    result_span: Span,
    pub(crate) result_text: String,
    /// Local names of generated code: they cannot meet a name of the user's.
    pub(crate) locals: Vec<Ident>,
    /// The `cfg` attributes on which it depends.
    pub(crate) cfgs: Vec<TokenStream>,
}

impl Target {
    pub(crate) fn new(options: &Options, home: TokenStream, callee: Callee, arguments: Vec<Argument>, output: &ReturnType) -> Self {
        let (result, result_text, result_span) = match output {
            ReturnType::Default => (quote!(()), "()".to_owned(), Span::call_site()),
            ReturnType::Type(_, ty) => (ty.to_token_stream(), signature::type_text(ty), signature::type_span(ty)),
        };
        Target {
            krate: options.krate(),
            ident: home.clone(),
            home,
            callee,
            locals: locals(&arguments),
            arguments,
            result,
            result_span,
            result_text,
            cfgs: Vec::new(),
        }
    }

    /// What stands on the generated type beside its name: codecs, and what a worker runs.
    pub(crate) fn pieces(&self) -> TokenStream {
        let codecs = codecs(&self.krate, &self.arguments, &self.locals);
        let result = codec(&self.krate, &result_ident(), &self.result, self.result_span, &quote!(Codec));
        let call = self.call();
        quote!(#codecs #result #call)
    }

    /// The entry in the registry.
    pub(crate) fn registration(&self, sig: &Signature, options: &Options) -> TokenStream {
        let Target { krate, home, cfgs, .. } = self;
        register(krate, home, cfgs, &sig.to_token_stream().to_string(), options)
    }
}

/// An entry in the registry, of the target whose name and function are on `home`.
pub(crate) fn register(
    krate: &TokenStream,
    home: &TokenStream,
    cfgs: &[TokenStream],
    signature: &str,
    options: &Options,
) -> TokenStream {
    let timeout = option(options.timeout.map(|timeout| {
        let (seconds, nanos) = (timeout.as_secs(), timeout.subsec_nanos());
        quote!(::core::time::Duration::new(#seconds, #nanos))
    }));
    let retries = option(options.retries);
    quote! {
        #(#cfgs)*
        #krate::__private::inventory::submit! {
            #krate::__private::Registration {
                name: <#home>::NAME,
                file: ::core::file!(),
                line: ::core::line!(),
                column: ::core::column!(),
                signature: #signature,
                timeout: #timeout,
                retries: #retries,
                call: <#home>::call,
            }
        }
    }
}

/// A local name for each argument.
pub(crate) fn locals(arguments: &[Argument]) -> Vec<Ident> {
    (0..arguments.len()).map(|at| format_ident!("value{at}", span = Span::mixed_site())).collect()
}

/// For each argument a function that returns its codec.
pub(crate) fn codecs(krate: &TokenStream, arguments: &[Argument], locals: &[Ident]) -> TokenStream {
    let each = arguments.iter().zip(locals).map(|(argument, local)| {
        let bound = if argument.lent { quote!(Lend) } else { quote!(Codec) };
        codec(krate, local, &argument.ty.to_token_stream(), signature::type_span(&argument.ty), &bound)
    });
    quote!(#(#each)*)
}

/// A function that returns the codec of one type. Picking it is the one place of the expansion where a type has to
/// prove that it can travel; behind `impl`, all uses of the codec take it as proven. So a type that cannot is one
/// error, which underlines the name of the method: therefore it has the place of the user's type.
fn codec(krate: &TokenStream, name: &Ident, ty: &TokenStream, span: Span, bound: &TokenStream) -> TokenStream {
    let pick = Ident::new("__mpm_codec", span);
    quote! {
        #[doc(hidden)]
        fn #name() -> impl #krate::__private::#bound<#ty> {
            use #krate::__private::{PickBytes as _, PickInner as _, PickOuter as _, PickSerde as _};
            (&&&&#krate::__private::Tag::<#ty>::NEW).#pick()
        }
    }
}
