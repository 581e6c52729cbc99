//! In which order containers are started by themselves: each after those that it needs to run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use types::{ContainerId, NetworkMode};

use crate::Engine;
use crate::network::links;
use crate::table::Container;

/// Containers in groups: none needs another one of its own group or of a later one. Those that need each other in a
/// circle come last. The order within a group is that which was given.
pub(super) fn groups(engine: &Engine, all: Vec<Arc<Container>>) -> Vec<Vec<Arc<Container>>> {
    let needed = |container: &Arc<Container>| needs(engine, container);
    let needs: Vec<Vec<ContainerId>> = all.iter().map(needed).collect();
    let ids: Vec<ContainerId> = all.iter().map(|c| c.id().clone()).collect();
    let mut grouped: Vec<Vec<Arc<Container>>> = Vec::new();
    for (container, depth) in all.into_iter().zip(depths(&ids, &needs)) {
        if grouped.len() <= depth {
            grouped.resize_with(depth + 1, Vec::new);
        }
        grouped[depth].push(container);
    }
    grouped.retain(|group| !group.is_empty());
    grouped
}

/// Whose network, processes, memory, volumes or address it has to have.
fn needs(engine: &Engine, container: &Container) -> Vec<ContainerId> {
    let spec = &container.fixed.spec;
    let network = match &spec.network {
        NetworkMode::Container(who) => Some(who.as_str()),
        _ => None,
    };
    let volumes = spec.volumes_from.iter();
    let volumes = volumes.map(|from| from.split(':').next().unwrap_or_default());
    let shared = [
        network,
        spec.namespaces.pid.container(),
        spec.namespaces.ipc.container(),
    ];
    let named = shared.into_iter().flatten().chain(volumes);
    let mut needs: Vec<ContainerId> = named
        .filter_map(|who| engine.find(who).ok())
        .map(|other| other.id().clone())
        .collect();
    needs.extend(links::wanted(engine, container));
    needs
}

/// How many come before each, one after the other, at the least. What is not among them runs already, or will not.
fn depths(ids: &[ContainerId], needs: &[Vec<ContainerId>]) -> Vec<usize> {
    let place: HashMap<&ContainerId, usize> = ids.iter().zip(0..).collect();
    let known = |of: &Vec<ContainerId>| -> HashSet<usize> {
        of.iter().filter_map(|id| place.get(id).copied()).collect()
    };
    let needs: Vec<HashSet<usize>> = needs.iter().map(known).collect();
    let mut depths = vec![None; ids.len()];
    for depth in 0..=ids.len() {
        let ready: Vec<usize> = (0..ids.len())
            .filter(|i| depths[*i].is_none())
            .filter(|i| needs[*i].iter().all(|other| depths[*other].is_some()))
            .collect();
        if ready.is_empty() {
            // A circle, if any is left.
            return depths.into_iter().map(|d| d.unwrap_or(depth)).collect();
        }
        for i in ready {
            depths[i] = Some(depth);
        }
    }
    depths.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_after_those_it_needs() {
        let ids: Vec<ContainerId> = (0..6).map(|n| ContainerId::from_random([n; 32])).collect();
        let absent = ContainerId::from_random([9; 32]);
        let on = |others: &[usize]| others.iter().map(|i| ids[*i].clone()).collect::<Vec<_>>();
        let mut needs = vec![
            on(&[1]),
            on(&[3, 2]),
            on(&[3]),
            Vec::new(),
            on(&[5]),
            on(&[4]),
        ];
        needs[3].push(absent);
        assert_eq!(depths(&ids, &needs), [3, 2, 1, 0, 4, 4]);
        assert!(depths(&[], &[]).is_empty());
    }
}
