//! Checks that need the file alone: casing, names, comments.

use std::collections::BTreeSet;

use super::{Checks, Rule};
use crate::dockerfile::{Dockerfile, Instruction, Stage, Verb};
use crate::go;
use crate::source::Span;

/// Looks through a whole file.
pub(crate) fn file(file: &Dockerfile, checks: &mut Checks) {
    for span in &file.empty_continuations {
        let detail = "Empty continuation line".to_owned();
        checks.find(Rule::NoEmptyContinuation, *span, &[], detail);
    }
    for instruction in &file.args {
        instruction_alone(instruction, checks);
    }
    stage_names(file, checks);
    casing(file, checks);
    for stage in &file.stages {
        stage_alone(stage, checks);
        for instruction in &stage.instructions {
            instruction_alone(instruction, checks);
        }
    }
}

fn stage_names(file: &Dockerfile, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for stage in &file.stages {
        let Some(name) = &stage.name else { continue };
        let quoted = go::quote(name);
        if ["context", "scratch"].contains(&name.as_str()) {
            let detail =
                format!("Stage name should not use the same name as reserved stage {quoted}");
            checks.find(Rule::ReservedStageName, stage.span, &stage.comments, detail);
        }
        if !seen.insert(name) {
            let detail = format!("Duplicate stage name {quoted}, stage names should be unique");
            checks.find(
                Rule::DuplicateStageName,
                stage.span,
                &stage.comments,
                detail,
            );
        }
    }
}

fn stage_alone(stage: &Stage, checks: &mut Checks) {
    let mut find = |rule, detail| checks.find(rule, stage.span, &stage.comments, detail);
    if let Some(written) = stage.written.as_ref().filter(|name| !is_lower(name)) {
        let detail = format!("Stage name '{written}' should be lowercase");
        find(Rule::StageNameCasing, detail);
    }
    if let Some(word) = &stage.as_keyword {
        let from = &stage.keyword;
        let differs = if is_lower(from) {
            !is_lower(word)
        } else {
            is_upper(from) && !is_upper(word)
        };
        if differs {
            let detail = format!("'{word}' and '{from}' keywords' casing do not match");
            find(Rule::FromAsCasing, detail);
        }
    }
    if let Some(name) = &stage.name {
        let detail = description("FROM", &[name], &stage.comments);
        if let Some(detail) = detail {
            find(Rule::InvalidDefinitionDescription, detail);
        }
    }
}

fn instruction_alone(instruction: &Instruction, checks: &mut Checks) {
    let (span, comments) = (instruction.span, &instruction.comments);
    match &instruction.verb {
        Verb::Maintainer(_) => {
            let detail = "Maintainer instruction is deprecated in favor of using label".to_owned();
            checks.find(Rule::MaintainerDeprecated, span, comments, detail);
        }
        Verb::Arg(args) => {
            let names: Vec<&String> = args.iter().map(|arg| &arg.name).collect();
            if let Some(detail) = description("ARG", &names, comments) {
                checks.find(Rule::InvalidDefinitionDescription, span, comments, detail);
            }
        }
        _ => {}
    }
}

/// What is wrong with the comment above a definition: it has to begin with the name that is defined.
fn description(keyword: &str, names: &[&String], comments: &[String]) -> Option<String> {
    let word = comments.last()?.split(' ').next().unwrap_or_default();
    if names.iter().any(|name| *name == word) {
        return None;
    }
    let example = match names {
        [] => return None,
        [name] => name.as_str(),
        _ => "<arg_key>",
    };
    Some(format!(
        "Comment for {keyword} should follow the format: `# {example} <description>`"
    ))
}

fn is_lower(text: &str) -> bool {
    text.to_lowercase() == text
}

fn is_upper(text: &str) -> bool {
    text.to_uppercase() == text
}

/// Every keyword of the stages against the casing that most have.
fn casing(file: &Dockerfile, checks: &mut Checks) {
    let keywords = || file.stages.iter().flat_map(keywords_of);
    let count = |is: fn(&str) -> bool| keywords().filter(|(word, ..)| is(word)).count();
    let lower = count(is_lower) > count(|word| is_upper(word) && !is_lower(word));
    let (fits, casing): (fn(&str) -> bool, _) = if lower {
        (is_lower, "lowercase")
    } else {
        (is_upper, "uppercase")
    };
    for (word, span, comments) in keywords().filter(|(word, ..)| !fits(word)) {
        let detail =
            format!("Command '{word}' should match the case of the command majority ({casing})");
        checks.find(Rule::ConsistentInstructionCasing, span, comments, detail);
    }
}

fn keywords_of(stage: &Stage) -> impl Iterator<Item = (&str, Span, &[String])> {
    let own = (
        stage.keyword.as_str(),
        stage.span,
        stage.comments.as_slice(),
    );
    let below = stage.instructions.iter();
    std::iter::once(own).chain(below.map(|i| (i.keyword.as_str(), i.span, i.comments.as_slice())))
}
