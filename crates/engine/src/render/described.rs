//! What devices bring that others describe, added to a configuration that is otherwise complete.

use std::collections::HashMap;

use oci_spec::runtime::{
    Hook as OciHook, HookBuilder, Hooks, LinuxIntelRdt, LinuxNetDevice, Mount as OciMount, Spec,
};

use crate::cdi::{Edits, Hook, Mount, Rdt};

pub(super) fn apply(spec: &mut Spec, edits: &Edits) {
    if *edits == Edits::default() {
        return;
    }
    environment(spec, &edits.env);
    groups(spec, &edits.additional_gids);
    mounts(spec, &edits.mounts);
    hooks(spec, &edits.hooks);
    if let Some(linux) = spec.linux_mut() {
        if let Some(rdt) = &edits.intel_rdt {
            linux.set_intel_rdt(Some(intel_rdt(rdt)));
        }
        let net: HashMap<String, LinuxNetDevice> = edits
            .net_devices
            .iter()
            .map(|device| {
                let mut inside = LinuxNetDevice::default();
                inside.set_name(Some(device.name.clone()));
                (device.host_interface_name.clone(), inside)
            })
            .collect();
        linux.set_net_devices(Some(net).filter(|net| !net.is_empty()));
    }
}

/// A variable takes the place of another of its name.
fn environment(spec: &mut Spec, more: &[String]) {
    let Some(process) = spec.process_mut() else {
        return;
    };
    let mut all = process.env().clone().unwrap_or_default();
    let name = |variable: &str| variable.split('=').next().map(str::to_owned);
    for variable in more {
        all.retain(|own| name(own) != name(variable));
        all.push(variable.clone());
    }
    process.set_env(Some(all));
}

fn groups(spec: &mut Spec, more: &[u32]) {
    let Some(process) = spec.process_mut() else {
        return;
    };
    let user = process.user_mut();
    let mut all = user.additional_gids().clone().unwrap_or_default();
    for gid in more {
        if !all.contains(gid) {
            all.push(*gid);
        }
    }
    user.set_additional_gids(Some(all));
}

fn mounts(spec: &mut Spec, more: &[Mount]) {
    let mut all = spec.mounts().clone().unwrap_or_default();
    for edit in more {
        let mut mount = OciMount::default();
        mount.set_destination(edit.container_path.clone().into());
        mount.set_typ(Some(edit.kind.clone().unwrap_or_else(|| "bind".to_owned())));
        mount.set_source(Some(edit.host_path.clone().into()));
        mount.set_options(Some(edit.options.clone()));
        all.retain(|own| own.destination() != mount.destination());
        all.push(mount);
    }
    spec.set_mounts(Some(all));
}

fn hooks(spec: &mut Spec, more: &[Hook]) {
    let mut hooks: Hooks = spec.hooks().clone().unwrap_or_default();
    for edit in more {
        let Some(hook) = hook(edit) else { continue };
        let with = |list: &Option<Vec<OciHook>>| {
            let mut list = list.clone().unwrap_or_default();
            list.push(hook.clone());
            Some(list)
        };
        match edit.hook_name.as_str() {
            #[allow(deprecated, reason = "specifications of devices still use it")]
            "prestart" => hooks.set_prestart(with(hooks.prestart())),
            "createRuntime" => hooks.set_create_runtime(with(hooks.create_runtime())),
            "createContainer" => hooks.set_create_container(with(hooks.create_container())),
            "startContainer" => hooks.set_start_container(with(hooks.start_container())),
            "poststart" => hooks.set_poststart(with(hooks.poststart())),
            _ => hooks.set_poststop(with(hooks.poststop())),
        };
    }
    if hooks != Hooks::default() {
        spec.set_hooks(Some(hooks));
    }
}

fn hook(edit: &Hook) -> Option<OciHook> {
    let mut hook = HookBuilder::default()
        .path(edit.path.clone())
        .build()
        .ok()?;
    hook.set_args(Some(edit.args.clone()).filter(|args| !args.is_empty()));
    hook.set_env(Some(edit.env.clone()).filter(|env| !env.is_empty()));
    hook.set_timeout(edit.timeout);
    Some(hook)
}

fn intel_rdt(asked: &Rdt) -> LinuxIntelRdt {
    let mut rdt = LinuxIntelRdt::default();
    rdt.set_clos_id(asked.clos_id.clone());
    rdt.set_l3_cache_schema(asked.l3_cache_schema.clone());
    rdt.set_mem_bw_schema(asked.mem_bw_schema.clone());
    rdt.set_schemata(Some(asked.schemata.clone()).filter(|lines| !lines.is_empty()));
    rdt.set_enable_monitoring(asked.enable_monitoring);
    rdt
}
