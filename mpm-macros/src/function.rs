//! `#[worker]` on a function: beside it comes a type of the same name that describes jobs.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;

use crate::errors::Errors;
use crate::item::Function;
use crate::options::Options;
use crate::signature::{self, Argument};
use crate::target::{Callee, Target};
use crate::tokens::{allow, docs, option_name, pack, parameters};

/// The generated items, or nothing where the signature was refused. A mistake in the options alone keeps them, so
/// that it is not followed by a "cannot find `f`" at every caller.
pub(crate) fn target(function: &Function, options: &Options, errors: &mut Errors) -> TokenStream {
    let mut refused = Errors::default();
    let sig = &function.sig;
    let arguments = signature::check(sig, &mut refused);
    if !refused.is_empty() {
        errors.push_all(refused);
        return TokenStream::new();
    }
    let callee = Callee::Function(sig.ident.clone());
    let target = Target::new(options, sig.ident.to_token_stream(), callee, arguments, &sig.output);
    let face = face(&target, function, &name(&sig.ident, options));
    let implementation = target.implementation(&sig.inputs);
    let registration = target.registration(sig, options);
    quote!(#face #implementation #registration)
}

fn name(ident: &Ident, options: &Options) -> TokenStream {
    let text = ident.unraw().to_string();
    option_name(options, || quote!(::core::concat!(::core::module_path!(), "::", #text)))
}

/// The type, and `job` and `NAME` on it: what users see.
fn face(target: &Target, function: &Function, name: &TokenStream) -> TokenStream {
    let Target { krate, home, arguments, .. } = target;
    let vis = &function.vis;
    let docs = docs(&function.attrs);
    let parameters = parameters(arguments);
    let values = pack(arguments.iter().map(|Argument { name, .. }| name.to_token_stream()));
    let pieces = target.pieces();
    let allow = allow();
    quote! {
        #(#docs)*
        #allow
        #vis enum #home {}

        #allow
        impl #home {
            /// The name under which workers find this target.
            pub const NAME: &'static ::core::primitive::str = #name;

            /// Describes one call: the same arguments as the function, which runs when a pool gets the job.
            pub fn job<'job>(#(#parameters),*) -> #krate::Job<'job, #home> {
                #krate::Job::new(#values)
            }

            #pieces
        }
    }
}
