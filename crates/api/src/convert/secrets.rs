//! Secrets that a container is given: Brig's own `HostConfig.Secrets`.

use types::{SecretRequest, SecretTarget};

use super::Refusal;
use crate::wire::SecretReference;

const FIELD: &str = "HostConfig.Secrets";

/// What is asked for.
pub(super) fn requests(references: &[SecretReference]) -> Result<Vec<SecretRequest>, Refusal> {
    let requests: Vec<_> = references.iter().map(request).collect::<Result<_, _>>()?;
    for (index, one) in requests.iter().enumerate() {
        let same = |other: &&SecretRequest| name(&other.given) == name(&one.given);
        if requests[..index].iter().any(|other| same(&other)) {
            let problem = format!("two of them are called {:?}", name(&one.given).1);
            return Err(Refusal::invalid(FIELD, problem));
        }
    }
    Ok(requests)
}

/// Whether it is a variable, and what it is called.
fn name(target: &SecretTarget) -> (bool, &str) {
    match target {
        SecretTarget::File { name, .. } => (false, name),
        SecretTarget::Variable { name } => (true, name),
    }
}

fn request(reference: &SecretReference) -> Result<SecretRequest, Refusal> {
    if reference.source.is_empty() {
        return Err(Refusal::invalid(FIELD, "a secret's name is expected"));
    }
    let target = match reference.target.as_str() {
        "" => reference.source.as_str(),
        target => target.strip_prefix("/run/secrets/").unwrap_or(target),
    };
    let given = match reference.variable {
        true if target.contains(['=', '\0']) => {
            let problem = format!("{target:?} cannot be a variable's name");
            return Err(Refusal::invalid(FIELD, problem));
        }
        true => SecretTarget::Variable {
            name: target.to_owned(),
        },
        false if target.contains(['/', '\0']) || target.starts_with('.') || target.len() > 255 => {
            let problem = format!("{target:?}: the name of a file in /run/secrets is expected");
            return Err(Refusal::invalid(FIELD, problem));
        }
        false => SecretTarget::File {
            name: target.to_owned(),
            uid: reference.uid,
            gid: reference.gid,
            mode: mode(reference.mode)?,
        },
    };
    Ok(SecretRequest {
        source: reference.source.clone(),
        given,
    })
}

fn mode(said: Option<u32>) -> Result<u32, Refusal> {
    match said.unwrap_or(SecretTarget::MODE) {
        mode @ 0..=0o777 => Ok(mode),
        mode => {
            let problem = format!("mode {mode:o}: permission bits, as 0400, are expected");
            Err(Refusal::invalid(FIELD, problem))
        }
    }
}

/// The same as it is shown: names, never what they say.
pub(super) fn references(requests: &[SecretRequest]) -> Vec<SecretReference> {
    let reference = |request: &SecretRequest| {
        let source = request.source.clone();
        match &request.given {
            SecretTarget::Variable { name } => SecretReference {
                source,
                target: name.clone(),
                variable: true,
                ..SecretReference::default()
            },
            SecretTarget::File {
                name,
                uid,
                gid,
                mode,
            } => SecretReference {
                source,
                target: name.clone(),
                variable: false,
                uid: *uid,
                gid: *gid,
                mode: Some(*mode),
            },
        }
    };
    requests.iter().map(reference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(source: &str, target: &str) -> SecretReference {
        SecretReference {
            source: source.to_owned(),
            target: target.to_owned(),
            ..SecretReference::default()
        }
    }

    #[test]
    fn references_go_both_ways() {
        let variable = SecretReference {
            variable: true,
            ..reference("b", "B_PASSWORD")
        };
        let asked = [
            reference("a", "/run/secrets/key"),
            variable,
            reference("c", ""),
        ];
        let requests = requests(&asked).unwrap();
        let shown = references(&requests);
        let names: Vec<_> = shown.iter().map(|r| (r.target.as_str(), r.mode)).collect();
        let read = Some(0o444);
        assert_eq!(names, [("key", read), ("B_PASSWORD", None), ("c", read)]);
        assert_eq!(super::requests(&shown).unwrap(), requests);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let wrong = SecretReference {
            mode: Some(0o4755),
            ..reference("a", "")
        };
        for bad in [
            vec![reference("", "x")],
            vec![reference("a", "/etc/shadow")],
            vec![reference("a", "..")],
            vec![reference("a", "x"), reference("b", "x")],
            vec![wrong],
        ] {
            requests(&bad).unwrap_err();
        }
    }
}
