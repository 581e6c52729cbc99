//! Rust sources: module documentation, lengths of functions and files, `unsafe` in one crate only.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;

const LONGEST_FUNCTION: usize = 80;
const LONGEST_FILE: usize = 800;
/// Nine functions of ten are at most this long.
const USUAL_FUNCTION: usize = 30;

/// How long the functions are.
#[derive(Debug)]
pub(super) struct Lengths(Vec<usize>);

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.last().copied().unwrap_or(0);
        let (median, p90) = (self.share(50), self.share(90));
        write!(
            f,
            "{} functions: median {median}, p90 {p90}, longest {last} lines",
            self.0.len()
        )
    }
}

impl Lengths {
    fn share(&self, percent: usize) -> usize {
        self.0
            .get(self.0.len() * percent / 100)
            .copied()
            .unwrap_or(0)
    }
}

/// Checks every Rust file.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<(Vec<Finding>, Lengths)> {
    let (mut findings, mut lengths) = (Vec::new(), Vec::new());
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "rs"))
    {
        let text = std::fs::read_to_string(root.join(file))
            .with_context(|| format!("could not read {}", file.display()))?;
        let mut walk = Walk::new(file);
        walk.file(&text);
        findings.append(&mut walk.findings);
        lengths.append(&mut walk.lengths);
    }
    lengths.sort_unstable();
    let lengths = Lengths(lengths);
    if lengths.share(90) > USUAL_FUNCTION {
        let what = format!("nine functions of ten must have at most {USUAL_FUNCTION} lines");
        findings.push(Finding::new("all sources", what));
    }
    Ok((findings, lengths))
}

struct Walk<'a> {
    file: &'a Path,
    /// In the crate that may hold `unsafe`.
    sys: bool,
    findings: Vec<Finding>,
    lengths: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(file: &'a Path) -> Self {
        let sys = file.starts_with("crates/sys");
        Self {
            file,
            sys,
            findings: Vec::new(),
            lengths: Vec::new(),
        }
    }

    fn file(&mut self, text: &str) {
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            self.find(
                None,
                format!("{lines} lines: split it, {LONGEST_FILE} is the limit"),
            );
        }
        match syn::parse_file(text) {
            Ok(parsed) => {
                let documented = parsed.attrs.iter().any(|a| a.path().is_ident("doc"));
                if !documented {
                    self.find(None, "does not open with `//!`: say what it is for".into());
                }
                self.visit_file(&parsed);
            }
            Err(error) => self.find(Some(error.span()), format!("does not parse: {error}")),
        }
    }

    fn find(&mut self, at: Option<Span>, what: String) {
        let file = self.file.display();
        let place = match at {
            Some(span) => format!("{file}:{}", span.start().line),
            None => file.to_string(),
        };
        self.findings.push(Finding { place, what });
    }

    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let span = body.span();
        // The braces' own lines do not count.
        let lines = (span.end().line - span.start().line).saturating_sub(1);
        self.lengths.push(lines);
        if lines > LONGEST_FUNCTION {
            let what = format!(
                "{} has {lines} lines: {LONGEST_FUNCTION} is the limit",
                signature.ident
            );
            self.find(Some(span), what);
        }
        if signature.unsafety.is_some() {
            self.danger(span);
        }
    }

    fn danger(&mut self, at: Span) {
        if !self.sys {
            self.find(Some(at), "unsafe outside of sys".into());
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.danger(block.span());
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.unsafety.is_some() {
            self.danger(item.span());
        }
        visit::visit_item_impl(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<String> {
        let mut walk = Walk::new(Path::new(file));
        walk.file(text);
        walk.findings
            .into_iter()
            .map(|f| format!("{}: {}", f.place, f.what))
            .collect()
    }

    #[test]
    fn a_module_says_what_it_is_for() {
        assert!(found("a.rs", "//! For this.\nfn a() {}\n").is_empty());
        let text = "fn a() {}\n";
        assert_eq!(
            found("a.rs", text),
            ["a.rs: does not open with `//!`: say what it is for"]
        );
    }

    #[test]
    fn a_long_function_is_found() {
        let body = "    a();\n".repeat(LONGEST_FUNCTION + 1);
        let text = format!("//! For this.\nfn a() {{\n{body}}}\n");
        assert_eq!(
            found("a.rs", &text),
            ["a.rs:2: a has 81 lines: 80 is the limit"]
        );
    }

    #[test]
    fn danger_lives_in_sys() {
        let text = "//! For this.\nfn a() { unsafe { b() } }\n";
        assert_eq!(
            found("crates/shim/src/a.rs", text),
            ["crates/shim/src/a.rs:2: unsafe outside of sys"]
        );
        assert!(found("crates/sys/src/a.rs", text).is_empty());
    }
}
