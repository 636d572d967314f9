//! The one parser for the options of all attributes. The tokens between the parentheses enter; [`Options`]
//! leave, with every mistake in [`Errors`] and what could be understood still filled in.

use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Ident, LitInt, LitStr, Meta, Path, Token};

use crate::errors::Errors;

/// What `#[worker]` understands on a function.
pub(crate) const FUNCTION: &[&str] = &["name", "timeout", "retries", "crate"];
/// What it understands on an `impl` block.
pub(crate) const OBJECT: &[&str] = &["name", "on_panic", "crate"];
/// What it understands on a method in there.
pub(crate) const METHOD: &[&str] = &["name", "timeout", "retries", "skip"];
/// What it understands on a struct.
pub(crate) const STRUCT: &[&str] = &["name", "timeout", "retries", "on_panic", "crate"];
/// What `#[mpm::main]` and `#[mpm::test]` understand.
pub(crate) const ENTRY: &[&str] = &["crate"];

/// The options of one attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
    /// An object one of whose methods has panicked is kept.
    pub(crate) keeps: bool,
    /// The method is none that jobs can call.
    pub(crate) skip: bool,
    krate: Option<Path>,
}

/// `key = value`, the value not yet understood.
struct Entry {
    key: Ident,
    value: TokenStream,
}

impl Options {
    /// Reads `tokens`, accepting only the keys in `allowed`.
    pub(crate) fn parse(tokens: TokenStream, allowed: &[&str], errors: &mut Errors) -> Self {
        let mut options = Options::default();
        let entries = match read_entries.parse2(tokens) {
            Ok(entries) => entries,
            Err(error) => {
                errors.push(error);
                return options;
            }
        };
        let mut seen: Vec<String> = Vec::new();
        for entry in entries {
            let key = entry.key.to_string();
            if !allowed.contains(&key.as_str()) {
                errors.at(&entry.key, format!("unknown option `{key}`; allowed: {}", list(allowed)));
            } else if seen.contains(&key) {
                errors.at(&entry.key, format!("option `{key}` is given twice"));
            } else if let Err(error) = options.set(&key, &entry) {
                errors.push(error);
            }
            seen.push(key);
        }
        options
    }

    /// Reads what stands in an attribute `#[worker(…)]` inside of an item.
    pub(crate) fn of(attr: &Attribute, allowed: &[&str], errors: &mut Errors) -> Self {
        match &attr.meta {
            Meta::Path(_) => Options::default(),
            Meta::List(list) => Options::parse(list.tokens.clone(), allowed, errors),
            Meta::NameValue(meta) => {
                errors.at(meta, "options stand in parentheses: `#[worker(skip)]`");
                Options::default()
            }
        }
    }

    /// The path under which generated code finds mpm.
    pub(crate) fn krate(&self) -> TokenStream {
        match &self.krate {
            Some(path) => path.to_token_stream(),
            None => quote!(::mpm),
        }
    }

    fn set(&mut self, key: &str, entry: &Entry) -> syn::Result<()> {
        match key {
            "name" => self.name = Some(name(entry)?),
            "timeout" => self.timeout = Some(timeout(entry)?),
            "retries" => self.retries = Some(retries(entry)?),
            "on_panic" => self.keeps = on_panic(entry)?,
            "skip" => self.skip = skip(entry)?,
            _ => self.krate = Some(krate(entry)?),
        }
        Ok(())
    }
}

fn name(entry: &Entry) -> syn::Result<LitStr> {
    let name: LitStr = value(entry, "a string, for example `name = \"thumbnails::shrink\"`")?;
    if name.value().trim().is_empty() {
        return Err(syn::Error::new_spanned(name, "`name` is empty"));
    }
    Ok(name)
}

fn timeout(entry: &Entry) -> syn::Result<Duration> {
    let text: LitStr = value(entry, "a string, for example `timeout = \"30s\"`")?;
    let duration = humantime::parse_duration(&text.value()).map_err(|error| {
        let message = format!("`timeout` is no span of time, write it as \"30s\", \"500ms\" or \"2min\": {error}");
        syn::Error::new_spanned(&text, message)
    })?;
    if duration.is_zero() {
        return Err(syn::Error::new_spanned(text, "`timeout` is zero: no job could end in time"));
    }
    Ok(duration)
}

fn retries(entry: &Entry) -> syn::Result<u32> {
    let expected = "a whole number, for example `retries = 2`";
    let number: LitInt = value(entry, expected)?;
    number.base10_parse().map_err(|_| syn::Error::new_spanned(&number, format!("`retries` takes {expected}")))
}

fn on_panic(entry: &Entry) -> syn::Result<bool> {
    let expected = "`\"rebuild\"` or `\"keep\"`: what becomes of an object one of whose methods has panicked";
    let text: LitStr = value(entry, expected)?;
    match text.value().as_str() {
        "rebuild" => Ok(false),
        "keep" => Ok(true),
        _ => Err(syn::Error::new_spanned(&text, format!("`on_panic` takes {expected}"))),
    }
}

fn skip(entry: &Entry) -> syn::Result<bool> {
    if entry.value.is_empty() {
        Ok(true)
    } else {
        Err(syn::Error::new_spanned(&entry.value, "`skip` stands alone: `#[worker(skip)]`"))
    }
}

fn krate(entry: &Entry) -> syn::Result<Path> {
    let expected = "a path, for example `crate = ::my_crate::mpm`";
    Path::parse_mod_style.parse2(entry.value.clone()).map_err(|_| wrong(entry, expected))
}

fn value<T: syn::parse::Parse>(entry: &Entry, expected: &str) -> syn::Result<T> {
    syn::parse2(entry.value.clone()).map_err(|_| wrong(entry, expected))
}

fn wrong(entry: &Entry, expected: &str) -> syn::Error {
    let message = format!("`{}` takes {expected}", entry.key);
    if entry.value.is_empty() {
        syn::Error::new_spanned(&entry.key, message)
    } else {
        syn::Error::new_spanned(&entry.value, message)
    }
}

/// Splits at commas before any value is looked at, so that one bad value does not hide the next one.
fn read_entries(input: ParseStream<'_>) -> syn::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    while !input.is_empty() {
        let key = input.call(Ident::parse_any)?;
        let mut value = TokenStream::new();
        if input.parse::<Option<Token![=]>>()?.is_some() {
            while !input.is_empty() && !input.peek(Token![,]) {
                value.extend([input.parse::<TokenTree>()?]);
            }
        }
        entries.push(Entry { key, value });
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(entries)
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
