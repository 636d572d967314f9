//! The two ways that values take. A target enters; the code leaves that encodes arguments and decodes the result in
//! the parent, and the code that decodes the arguments and encodes the result in the worker.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;

use crate::item::Function;
use crate::signature::Argument;
use crate::tokens::{allow, ends, pack, result_ident, spread};
use crate::worker::Target;

impl Target<'_> {
    /// What a worker runs: decode, call, encode.
    pub(crate) fn call(&self) -> TokenStream {
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
    pub(crate) fn implementation(&self, function: &Function) -> TokenStream {
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

                fn encode<'value>(
                    #args: &'value Self::Args<'_>,
                    #to: &mut #krate::__private::Encoder<'value>,
                ) -> ::core::result::Result<(), #krate::__private::CodecError> {
                    let #unpack = #args;
                    #(#encode)*
                    ::core::result::Result::Ok(())
                }

                fn decode_output(
                    bytes: #krate::__private::Cow<'_, [::core::primitive::u8]>,
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
}
