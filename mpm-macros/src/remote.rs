//! What `#[worker]` makes of an `impl` block: the type that describes objects from afar, with a method for each of the object's, and
//! the targets behind them. An [`Object`] enters, tokens leave.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt;

use crate::legs::{decode, encode, pass};
use crate::object::{Constructor, Method, Object};
use crate::options::Options;
use crate::signature::{self, Argument};
use crate::target::{Callee, Target, codecs, locals, register};
use crate::tokens::{allow, docs, option_name, pack, parameters};

impl Object<'_> {
    /// All generated items.
    pub(crate) fn generate(&self) -> TokenStream {
        let targets: Vec<(Target, &Method)> = self.methods.iter().map(|method| (self.target(method), method)).collect();
        let remote = self.face(&targets);
        let constructor = self.constructor();
        let targets = targets.iter().map(|(target, method)| self.method_target(target, method));
        quote!(#remote #constructor #(#targets)*)
    }

    /// The name of one of its functions.
    fn name_of(&self, function: &str) -> TokenStream {
        let text = self.ident.to_string();
        match &self.options.name {
            Some(name) => quote!(::core::concat!(#name, "::", #function)),
            None => quote!(::core::concat!(::core::module_path!(), "::", #text, "::", #function)),
        }
    }

    fn target(&self, method: &Method) -> Target {
        let Object { ty, .. } = self;
        let function = &method.sig.ident;
        let home = self.home(function);
        let callee = Callee::Method { object: ty.clone(), method: quote!(<#ty>::#function) };
        let arguments = method.arguments.clone();
        let mut target = Target::new(self.options, quote!(#home<#ty>), callee, arguments, &method.sig.output);
        let cfgs = method.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).map(ToTokens::to_token_stream);
        target.cfgs = cfgs.collect();
        target
    }

    /// The describing type, and how it is made: what users see.
    fn face(&self, targets: &[(Target, &Method)]) -> TokenStream {
        let Object { krate, ty, ident, constructor, .. } = self;
        let (remote, vis) = (self.remote(), &constructor.vis);
        let home = self.home(&constructor.sig.ident);
        let home_tokens = home.to_token_stream();
        let allow = allow();
        let methods = targets.iter().map(|(target, method)| describing_method(target, method));
        let parameters = parameters(&constructor.arguments);
        let to = Ident::new("to", Span::mixed_site());
        let value = |argument: &Argument, _: &Ident| {
            let name = &argument.name;
            if argument.lent { name.to_token_stream() } else { quote!(&#name) }
        };
        let locals = locals(&constructor.arguments);
        let encode = encode(krate, &home_tokens, &to, &constructor.arguments, &locals, value);
        let docs = docs(&constructor.docs);
        let about = format!("Describes a `{ident}` that lives in workers: each builds it at first use and keeps it.");
        quote! {
            #[doc = #about]
            ///
            /// Clones mean the same object. The methods describe jobs.
            #allow
            #vis struct #remote {
                object: #krate::__private::Blueprint,
            }

            #allow
            impl #remote {
                #(#methods)*
            }

            #allow
            impl ::core::clone::Clone for #remote {
                fn clone(&self) -> Self {
                    Self { object: ::core::clone::Clone::clone(&self.object) }
                }
            }

            #allow
            impl ::core::fmt::Debug for #remote {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_tuple(::core::stringify!(#remote)).field(&self.object).finish()
                }
            }

            #allow
            impl #krate::Remote for #remote {
                type Constructor = #home;
                const CONSTRUCTOR: &'static ::core::primitive::str = <#ty as #krate::__private::Object>::CONSTRUCTOR;

                fn blueprint(&self) -> &#krate::__private::Blueprint {
                    &self.object
                }
            }

            #allow
            impl #ty {
                #(#docs)*
                ///
                /// This describes the object and builds nothing: the constructor runs in workers.
                #vis fn remote<'job>(#(#parameters),*) -> #remote {
                    #remote {
                        object: #krate::__private::Blueprint::new(<#ty as #krate::__private::Object>::NAME, |#to| {
                            #encode
                            ::core::result::Result::Ok(())
                        }),
                    }
                }
            }
        }
    }

    /// What a worker needs to build an object.
    fn constructor(&self) -> TokenStream {
        let Object { krate, ty, ident, options, constructor, .. } = self;
        let Constructor { vis, sig, arguments, result, .. } = constructor;
        let name = self.home(&sig.ident);
        let home = name.to_token_stream();
        let locals = locals(arguments);
        let from = Ident::new("arguments", Span::mixed_site());
        let codecs = codecs(krate, arguments, &locals);
        let decode = decode(&home, &from, arguments, &locals);
        let pass = pass(krate, &home, arguments, &locals);
        let text = ident.to_string();
        let object = option_name(options, || quote!(::core::concat!(::core::module_path!(), "::", #text)));
        let (text, keeps, new) = (self.name_of("new"), options.keeps, &sig.ident);
        let made = made(krate, ty, result);
        let registration = register(krate, &home, &[], &sig.to_token_stream().to_string(), &Options::default());
        let object_impl = object_impl(&ObjectImpl {
            krate,
            ty,
            home: &home,
            object,
            keeps,
            build: quote! {
                #decode
                #from.end()?;
                <#home>::made(<#ty>::#new(#(#pass),*))
            },
            from: &from,
        });
        let allow = allow();
        quote! {
            // `Send` if the object is, which may be less visible.
            #[doc(hidden)]
            #allow
            #vis struct #name(::core::marker::PhantomData<#ty>);

            #allow
            impl #name {
                const NAME: &'static ::core::primitive::str = #text;

                #codecs

                #made
            }

            #object_impl
            #registration
        }
    }

    fn method_target(&self, target: &Target, method: &Method) -> TokenStream {
        let Object { ty, .. } = self;
        let Target { home, cfgs, .. } = target;
        let (vis, ident) = (&method.vis, self.home(&method.sig.ident));
        let name = option_name(&method.options, || self.name_of(&method.sig.ident.unraw().to_string()));
        let (allow, pieces) = (allow(), target.pieces());
        let implementation = target.implementation(&method.sig.inputs);
        let registration = target.registration(&method.sig, &method.options);
        quote! {
            // With the object's type in its own, what it is a target of may be no more visible than that.
            #[doc(hidden)]
            #allow
            #(#cfgs)*
            #vis struct #ident<T = #ty>(::core::marker::PhantomData<fn() -> T>);

            #allow
            #(#cfgs)*
            impl #home {
                const NAME: &'static ::core::primitive::str = #name;

                #pieces
            }

            #implementation
            #registration
        }
    }
}

/// The function that makes of what a constructor returned an object, or the text of an error. Errors in it underline that type.
fn made(krate: &TokenStream, ty: &TokenStream, result: &Type) -> TokenStream {
    quote_spanned! {signature::type_span(result)=>
        fn made(made: #result) -> ::core::result::Result<#ty, #krate::__private::BuildError> {
            use #krate::__private::{TellBoxed as _, TellError as _, TellShown as _};
            type Failure = <#result as #krate::__private::Constructed<#ty>>::Error;
            <#result as #krate::__private::Constructed<#ty>>::made(made).map_err(|error| {
                let tell = (&&&#krate::__private::Tag::<Failure>::NEW).__mpm_tell();
                #krate::__private::BuildError::Failed(tell(&error))
            })
        }
    }
}

/// The method that describes a job.
fn describing_method(target: &Target, method: &Method) -> TokenStream {
    let Target { krate, home, arguments, cfgs, .. } = target;
    let (vis, ident) = (&method.vis, &method.sig.ident);
    let docs = docs(&method.attrs);
    let parameters = parameters(arguments);
    let values = arguments.iter().map(|Argument { name, .. }| name.to_token_stream());
    let values = pack([quote!(&self.object)].into_iter().chain(values));
    quote! {
        #(#docs)*
        #(#cfgs)*
        #vis fn #ident<'job>(&'job self, #(#parameters),*) -> #krate::Job<'job, #home> {
            #krate::Job::new(#values)
        }
    }
}

/// What tells how an object is built.
pub(crate) struct ObjectImpl<'a> {
    pub(crate) krate: &'a TokenStream,
    pub(crate) ty: &'a TokenStream,
    pub(crate) home: &'a TokenStream,
    /// Its name, as an expression.
    pub(crate) object: TokenStream,
    pub(crate) keeps: bool,
    /// Makes a `Result` of it, from the arguments called `from`.
    pub(crate) build: TokenStream,
    pub(crate) from: &'a Ident,
}

/// `impl Object`, and on `home` the function by which it is preloaded.
pub(crate) fn object_impl(ObjectImpl { krate, ty, home, object, keeps, build, from }: &ObjectImpl<'_>) -> TokenStream {
    let allow = allow();
    let call = Ident::new("call", Span::mixed_site());
    quote! {
        #allow
        impl #krate::__private::Object for #ty {
            const NAME: &'static ::core::primitive::str = #object;
            const CONSTRUCTOR: &'static ::core::primitive::str = <#home>::NAME;
            const KEPT_AFTER_PANIC: ::core::primitive::bool = #keeps;

            #[allow(unused_mut)]
            fn build(
                mut #from: #krate::__private::Arguments<'_>,
            ) -> ::core::result::Result<Self, #krate::__private::BuildError> {
                #build
            }
        }

        #allow
        impl #home {
            fn call(#call: &mut #krate::__private::Call<'_>) -> ::core::result::Result<(), #krate::__private::CallError> {
                use #krate::__private::{PreloadNever as _, PreloadSend as _};
                (&&#krate::__private::Tag::<#ty>::NEW).__mpm_preload(#call)
            }
        }
    }
}
