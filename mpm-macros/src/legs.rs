//! The two ways that values take. A target enters; the code leaves that encodes arguments and decodes the result in
//! the parent, and the code that decodes the arguments and encodes the result in the worker.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;

use crate::signature::Argument;
use crate::target::{Callee, Target};
use crate::tokens::{allow, ends, pack, result_ident, spread};

/// Takes each argument off `from`, which is called `call` or `arguments`.
pub(crate) fn decode(home: &TokenStream, from: &Ident, arguments: &[Argument], locals: &[Ident]) -> TokenStream {
    let each = arguments.iter().zip(locals).map(|(Argument { name, lent, text, .. }, local)| {
        let method = if *lent { quote!(borrowed) } else { quote!(argument) };
        let name = name.unraw().to_string();
        quote!(let #local = #from.#method(&<#home>::#local(), #name, #text)?;)
    });
    quote!(#(#each)*)
}

/// The arguments as they are passed on once they are decoded.
pub(crate) fn pass(krate: &TokenStream, home: &TokenStream, arguments: &[Argument], locals: &[Ident]) -> Vec<TokenStream> {
    let each = arguments.iter().zip(locals).map(|(argument, local)| match argument.lent {
        true => quote!(#krate::__private::lend(&<#home>::#local(), &#local)),
        false => local.to_token_stream(),
    });
    each.collect()
}

/// Encodes each argument into `to`; `value` gives the reference to it.
pub(crate) fn encode<'a>(
    krate: &TokenStream,
    home: &TokenStream,
    to: &Ident,
    arguments: &'a [Argument],
    locals: &'a [Ident],
    value: impl Fn(&'a Argument, &'a Ident) -> TokenStream,
) -> TokenStream {
    let each = arguments.iter().zip(locals).map(|(argument, local)| {
        let Argument { name, lent, text, .. } = argument;
        let function = if *lent { quote!(put_lent) } else { quote!(put) };
        let (name, value) = (name.unraw().to_string(), value(argument, local));
        quote!(#krate::__private::#function(&<#home>::#local(), #value, #name, #text, #to)?;)
    });
    quote!(#(#each)*)
}

impl Target {
    /// What a worker runs: decode, call, encode.
    pub(crate) fn call(&self) -> TokenStream {
        let Target { krate, home, locals, arguments, result_text, .. } = self;
        let call = Ident::new("call", Span::mixed_site());
        let output = Ident::new("output", Span::mixed_site());
        let held = Ident::new("held", Span::mixed_site());
        let object = Ident::new("object", Span::mixed_site());
        let decode = decode(home, &call, arguments, locals);
        let pass = pass(krate, home, arguments, locals);
        let private = quote!(#krate::__private);
        let (describe, hold, run) = match &self.callee {
            Callee::Function(function) => (quote!(), quote!(), quote!(#function(#(#pass),*))),
            Callee::Method { object: ty, method } => (
                quote!(let #object = #call.object()?;),
                quote!(let mut #held = #private::hold::<#ty>(#call, #object)?;),
                quote!(#held.run(|#object| #method(#object, #(#pass),*))),
            ),
            Callee::Own { object: ty, method } => (
                quote!(),
                quote!(let mut #held = #private::hold::<#ty>(#call, #private::Described::OWN)?;),
                quote!(#held.run(|#object| #method(#object, #(#pass),*))),
            ),
        };
        let result = result_ident();
        quote! {
            #[doc(hidden)]
            fn call(#call: &mut #private::Call<'_>) -> ::core::result::Result<(), #private::CallError> {
                #describe
                #decode
                #hold
                #call.run()?;
                let #output = #run;
                ::core::result::Result::Ok(#call.finish(&<#home>::#result(), &#output, #result_text)?)
            }
        }
    }

    /// `impl Target`: what a pool needs. Errors in the arguments underline `inputs`.
    pub(crate) fn implementation(&self, inputs: &impl ToTokens) -> TokenStream {
        let Target { krate, ident, home, locals, arguments, result, result_text, cfgs, .. } = self;
        let args = Ident::new("args", Span::mixed_site());
        let to = Ident::new("to", Span::mixed_site());
        let object = Ident::new("object", Span::mixed_site());
        let is_described = matches!(self.callee, Callee::Method { .. });
        let types = arguments.iter().map(|Argument { ty, lent, .. }| match lent {
            true => quote!(&'job #ty),
            false => ty.to_token_stream(),
        });
        let packed = pack(is_described.then(|| quote!(&'job #krate::__private::Blueprint)).into_iter().chain(types));
        let unpack = pack(is_described.then_some(&object).into_iter().chain(locals));
        let describe = is_described.then(|| quote!(#object.put(#to)?;));
        let encode = encode(krate, home, &to, arguments, locals, |_, local| local.to_token_stream());
        let args_type = spread(ends(inputs), quote!(type), quote!(Args<'job> = #packed;));
        let output_type = spread(ends(result), quote!(type), quote!(Output = #result;));
        let codec = result_ident();
        let allow = allow();
        quote! {
            #allow
            #(#cfgs)*
            impl #krate::Target for #ident {
                const NAME: &'static ::core::primitive::str = <#home>::NAME;
                #args_type
                #output_type

                fn encode<'value>(
                    #args: &'value Self::Args<'_>,
                    #to: &mut #krate::__private::Encoder<'value>,
                ) -> ::core::result::Result<(), #krate::__private::CodecError> {
                    let #unpack = #args;
                    #describe
                    #encode
                    ::core::result::Result::Ok(())
                }

                fn decode_output(
                    bytes: #krate::__private::Cow<'_, [::core::primitive::u8]>,
                ) -> ::core::result::Result<Self::Output, #krate::__private::CodecError> {
                    #krate::__private::read(&<#home>::#codec(), bytes, #result_text)
                }

                fn index() -> &'static #krate::__private::Index {
                    static INDEX: #krate::__private::Index = #krate::__private::Index::new();
                    &INDEX
                }
            }
        }
    }
}
