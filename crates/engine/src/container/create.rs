//! `create`: everything is checked before the first thing is made.

use std::sync::Arc;

use storage::{Durability, Image};
use types::{
    ContainerId, ContainerName, ContainerSpec, ErrorKind, HealthCheck, IdMaps, ImageRef,
    InvalidReference, NetworkMode, Platform, VolumeName,
};

use super::check::{self, Machine};
use super::{
    Created, Files, Resolved, block_devices, described, mounts, names, namespaces, resolve,
    runtimes, selinux, user_ids, volumes,
};
use crate::cdi::Edits;
use crate::network::NetworkError;
use crate::record::{Fixed, Status};
use crate::render::{self, Identity, Joined, Placed, RenderInput};
use crate::steps::name as step;
use crate::table::Container;
use crate::undo::Stack;
use crate::user_ids::Source;
use crate::{Engine, Error, clock, event, forward, image, network, secret};

/// Makes a container. Blocking.
pub fn create(
    engine: &Engine,
    name: Option<ContainerName>,
    mut spec: ContainerSpec,
) -> Result<Created, Error> {
    engine.accepts_work()?;
    let id = ContainerId::from_random(random()?);
    check_request(&spec)?;
    let image = find_image(engine, &spec)?;
    not_itself(&spec, name.as_ref())?;
    let networks = network::networks_of(engine, &mut spec)?;
    namespaces::resolve(engine, &mut spec)?;
    let source = user_ids::of(engine, &spec)?;
    user_ids::check(engine, &spec, &source)?;
    let (resolved, warnings) = checked(engine, &id, &mut spec, &image)?;
    let labels = selinux::labels(engine, &spec)?;
    let durability = durability(&spec);
    let mut undo = Stack::new();
    let name = reserve(engine, name, &id)?;
    undo.push(step::RESERVE_NAME, {
        let (name, id) = (name.clone(), id.clone());
        move || {
            engine.table_mut().release(&name, &id);
            Ok(())
        }
    });
    engine.passed(step::RESERVE_NAME)?;
    let ids = take_ids(engine, &id, &spec, (source, &mut undo))?;
    let status = Status {
        networks,
        ..Status::created()
    };
    let fixed = Fixed {
        id: id.clone(),
        name,
        created: clock::now(),
        image_ref: spec.image_ref(),
        image: image.id.clone(),
        selinux: labels,
        resolved,
        spec,
        ids,
    };
    let container = Arc::new(Container::new(fixed, status)?);
    let names = put(engine, &container, &image)?;
    undo.push(step::RECORD, {
        let id = id.clone();
        move || {
            let storage = engine.storage();
            Ok(storage.remove_container_with_volumes(&id, durability)?)
        }
    });
    engine.passed(step::RECORD)?;
    if let Some(size) = container.fixed.spec.root_size {
        engine.storage().limit(&id, size.unsigned_abs())?;
    }
    volumes::remember(engine, &names);
    engine.table_mut().insert(container.clone());
    undo.keep();
    event::of_container(engine, &container, "create");
    Ok(Created { id, warnings })
}

/// So often is a volume looked for that somebody removes between the look and the record.
const TRIES: u32 = 16;

/// Makes files and record, with all that is mounted; the names of its volumes.
fn put(engine: &Engine, container: &Container, image: &Image) -> Result<Vec<VolumeName>, Error> {
    for _ in 0..TRIES {
        match put_now(engine, container, image) {
            Err(Error::Storage(storage::Error::NoSuchVolume(_))) => {}
            done => return done,
        }
    }
    put_now(engine, container, image)
}

fn put_now(
    engine: &Engine,
    container: &Container,
    image: &Image,
) -> Result<Vec<VolumeName>, Error> {
    let fixed = &container.fixed;
    let parts = volumes::stage(engine, &fixed.resolved.mounts, image)?;
    let names = parts.volumes.iter().map(|v| v.name().clone()).collect();
    let record = container.record(&container.status())?;
    let manifest = fixed.spec.platform.is_some().then_some(&image.manifest);
    let throwaway = fixed.spec.auto_remove;
    let storage = engine.storage();
    storage.create_container_with(&record, manifest, throwaway, parts)?;
    Ok(names)
}

/// A container that goes when it ends is gone after a power cut in any case: its record need not
/// survive one. See docs/decisions/0005-durability.md.
pub(super) fn durability(spec: &ContainerSpec) -> Durability {
    if spec.auto_remove {
        Durability::Process
    } else {
        Durability::Power
    }
}

/// Ids of the host that no other container has, or those of somebody else's namespace.
fn take_ids<'a>(
    engine: &'a Engine,
    id: &ContainerId,
    spec: &ContainerSpec,
    (source, undo): (Source, &mut Stack<'a>),
) -> Result<Option<IdMaps>, Error> {
    let settings = &engine.config().user_ids;
    let plan = |used: &[&IdMaps]| match source {
        Source::Host => Ok(None),
        Source::Given(maps) => Ok(Some(maps)),
        Source::Own(asked) => crate::user_ids::plan(settings, &asked, used).map(Some),
    };
    let taken = engine.table_mut().take_ids(id, plan)?;
    let id = id.clone();
    undo.push(step::USER_IDS, move || {
        engine.table_mut().release_ids(&id);
        Ok(())
    });
    engine.passed(step::USER_IDS)?;
    if let Some(who) = spec.namespaces.user.container() {
        // Had it gone before these were taken, somebody else could have them by now.
        engine.find(who)?;
    }
    Ok(taken)
}

fn find_image(engine: &Engine, spec: &ContainerSpec) -> Result<Image, Error> {
    let found = engine.storage().image(&spec.image);
    let found = found.map_err(|error| not_found(error, &spec.image))?;
    match &spec.platform {
        Some(platform) if !platform.runs(&image::platform(&found.config)) => {
            // When it has nothing for this platform, the refusal says what it has.
            Ok(engine
                .storage()
                .image_on(&spec.image, platform)
                .unwrap_or(found))
        }
        _ => Ok(found),
    }
}

/// A text that names nothing by its grammar is refused for that.
fn not_found(error: storage::Error, name: &str) -> Error {
    match name.parse::<ImageRef>() {
        Err(InvalidReference::Format(_)) if error.kind() == ErrorKind::NotFound => {
            Error::InvalidImage
        }
        _ => image::missing(error, name),
    }
}

/// What the request contradicts itself in, before anybody whom it names is looked for.
fn check_request(spec: &ContainerSpec) -> Result<(), Error> {
    check::request(spec)?;
    network::request(spec)?;
    namespaces::check(spec)?;
    Ok(())
}

/// Everything else that can be refused, refused before anything is made. Limits that this machine cannot
/// keep are dropped from `spec`; the warnings say so.
fn checked(
    engine: &Engine,
    id: &ContainerId,
    spec: &mut ContainerSpec,
    image: &Image,
) -> Result<(Resolved, Vec<String>), Error> {
    let host = engine.host();
    check::apparmor(spec, host.apparmor)?;
    runtimes::binary(engine.config(), spec)?;
    described::edits(engine, spec)?;
    secret::place::resolve(engine, spec)?;
    forward::check(&spec.log)?;
    let foreign = check::platform(spec, &image::platform(&image.config), &Platform::host())?;
    let mut warnings = check::limits(&mut spec.resources, &Machine::of(host))?;
    warnings.extend(foreign);
    warnings.extend(network::warnings(spec));
    mounts::check_sources(&spec.mounts)?;
    let init = &engine.config().init;
    if spec.init == Some(true) && !init.exists() {
        return Err(check::Invalid::NoInit(init.display().to_string()).into());
    }
    let config = image.config.config().as_ref();
    let mut resolved = resolve::resolve(spec, config, id, &host.name)?;
    resolved.mounts = volumes::mounts(engine, spec, config)?;
    let of_image = image.docker.healthcheck.as_ref().map(health_of_image);
    resolved.health = match resolved.health.take() {
        Some(own) => Some(own.over(of_image.as_ref())),
        None => of_image,
    };
    resolved.shell.clone_from(&image.docker.shell);
    // Rendered once for its refusals; the real one at start knows the user and the devices.
    let input = RenderInput {
        id,
        spec,
        resolved: &resolved,
        identity: Identity::default(),
        files: &Files::default(),
        devices: Vec::new(),
        cgroup_path: super::start::cgroup_path(engine, spec, id),
        block_devices: block_devices::resolve(&spec.resources.block_io)?,
        joined: Joined::default(),
        described: Edits::default(),
        init,
        host: host.facts.clone(),
        placed: &Placed::default(),
        ids: None,
    };
    render::spec(&input)?;
    render::filter(&input)?;
    Ok((resolved, warnings))
}

fn health_of_image(said: &storage::Healthcheck) -> HealthCheck {
    HealthCheck {
        test: said.test.clone(),
        interval: said.interval,
        timeout: said.timeout,
        start_period: said.start_period,
        start_interval: said.start_interval,
        retries: said.retries,
        ..HealthCheck::default()
    }
}

/// Nobody has his own network from himself.
fn not_itself(spec: &ContainerSpec, name: Option<&ContainerName>) -> Result<(), NetworkError> {
    match (&spec.network, name) {
        (NetworkMode::Container(who), Some(name))
            if who.trim_start_matches('/') == name.as_str() =>
        {
            Err(NetworkError::setting(
                "network mode",
                "cannot join own network",
            ))
        }
        _ => Ok(()),
    }
}

/// Takes the name asked for, or a free one that nobody asked for.
fn reserve(
    engine: &Engine,
    name: Option<ContainerName>,
    id: &ContainerId,
) -> Result<ContainerName, Error> {
    if let Some(name) = name {
        engine.table_mut().reserve(&name, id)?;
        return Ok(name);
    }
    let mut attempt = 0;
    loop {
        let text = names::random_name(random()?, attempt);
        let name: ContainerName = text
            .parse()
            .map_err(Error::kernel("make a name for the container"))?;
        if engine.table_mut().reserve(&name, id).is_ok() {
            return Ok(name);
        }
        attempt += 1;
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::io("read random bytes")(std::io::Error::other(error.to_string()))
    })?;
    Ok(bytes)
}
