//! All steps of a build, in the form that BuildKit's programs show LLB in.

use std::collections::HashMap;

use serde_json::{Value, json};
use types::Digest;

use super::without_password;
use crate::graph::{Exec, ExecMount, Graph, MountSource, Op, Origin, Vertex};

/// The steps, each after those it is built on.
pub(super) fn of(graph: &Graph) -> Value {
    let mut numbers: HashMap<Digest, usize> = HashMap::new();
    let mut steps = Vec::new();
    for (number, (_, vertex)) in graph.iter().enumerate() {
        numbers.insert(vertex.digest().clone(), number);
        let inputs = vertex.inputs.iter().filter_map(|input| {
            let of = numbers.get(graph.get(input.vertex).digest())?;
            Some(format!("step{of}:{}", input.index))
        });
        let mut step = json!({ "id": format!("step{number}"), "op": operation(vertex) });
        let inputs: Vec<String> = inputs.collect();
        if !inputs.is_empty() {
            step["inputs"] = json!(inputs);
        }
        steps.push(step);
    }
    let mapping = numbers.iter();
    let mapping =
        mapping.map(|(digest, number)| (digest.to_string(), json!(format!("step{number}"))));
    let mapping: serde_json::Map<String, Value> = mapping.collect();
    json!({ "llbDefinition": steps, "digestMapping": mapping })
}

fn operation(vertex: &Vertex) -> Value {
    let op = match &vertex.op {
        Op::Source(origin) => json!({ "source": { "identifier": identifier(origin) } }),
        Op::Exec(exec) => json!({ "exec": command(exec) }),
        Op::File(actions) => json!({ "file": { "actions": actions } }),
        Op::Merge(inputs) => json!({ "merge": { "inputs": inputs } }),
        Op::Diff { lower, upper } => json!({ "diff": { "lower": lower, "upper": upper } }),
        Op::Build(build) => json!({ "build": build }),
    };
    let mut all = json!({ "Op": op });
    if let Some(platform) = &vertex.platform {
        all["platform"] = json!({ "Architecture": platform.architecture, "OS": platform.os });
    }
    all
}

fn identifier(origin: &Origin) -> String {
    match origin {
        Origin::Image(image) => format!("docker-image://{}", image.reference),
        Origin::Layout(layout) => format!("oci-layout://{}", layout.reference),
        Origin::Local(local) => format!("local://{}", local.name),
        Origin::Http(http) => without_password(&http.url),
        Origin::Git(git) => format!("git://{}#{}", without_password(&git.remote), git.reference),
        Origin::Other { identifier, .. } => identifier.clone(),
    }
}

fn command(exec: &Exec) -> Value {
    let mounts = exec.mounts.iter().map(mount).collect::<Vec<_>>();
    json!({
        "meta": {
            "args": exec.args,
            "env": exec.env,
            "cwd": exec.directory,
            "user": exec.user,
        },
        "mounts": mounts,
    })
}

fn mount(mount: &ExecMount) -> Value {
    // The numbers of LLB's kinds of mounts.
    let kind = match &mount.source {
        MountSource::Files => 0,
        MountSource::Secret(_) => 1,
        MountSource::Agent(_) => 2,
        MountSource::Cache(_) => 3,
        MountSource::Memory(_) => 4,
    };
    let number = |slot: Option<i64>| slot.unwrap_or(-1);
    json!({
        "input": number(mount.input.and_then(|input| i64::try_from(input).ok())),
        "dest": mount.target,
        "output": number(mount.output.map(i64::from)),
        "selector": mount.selector,
        "readonly": mount.read_only,
        "mountType": kind,
    })
}
