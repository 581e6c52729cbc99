//! Devices: those of the host by path, rules for any, and those that others describe.

use types::{CdiRequest, DeviceRequest, DeviceRule};

use super::Refusal;
use crate::wire;

pub(super) fn devices(asked: &[wire::DeviceMapping]) -> Result<Vec<DeviceRequest>, Refusal> {
    const FIELD: &str = "HostConfig.Devices";
    let or = |text: &str, default: &str| match text {
        "" => default.to_owned(),
        _ => text.to_owned(),
    };
    let convert = |device: &wire::DeviceMapping| {
        let host = &device.path_on_host;
        let inside = or(&device.path_in_container, host);
        let permissions = or(&device.cgroup_permissions, "rwm");
        let mut seen = String::new();
        for permission in permissions.chars() {
            if !"rwm".contains(permission) || seen.contains(permission) {
                return Err(Refusal::invalid(
                    FIELD,
                    format!("{host}: invalid device mode: {permissions}; some of rwm are expected"),
                ));
            }
            seen.push(permission);
        }
        if !host.starts_with('/') || !inside.starts_with('/') {
            return Err(Refusal::invalid(
                FIELD,
                format!("{host:?} in {inside:?}: absolute paths are expected"),
            ));
        }
        Ok(DeviceRequest {
            host_path: host.clone(),
            container_path: inside,
            permissions,
        })
    };
    asked.iter().map(convert).collect()
}

pub(super) fn rules(asked: &[String]) -> Result<Vec<DeviceRule>, Refusal> {
    let convert = |text: &String| {
        DeviceRule::parse(text).ok_or_else(|| {
            Refusal::Said(format!(
                "invalid device cgroup rule format: '{text}': TYPE MAJOR:MINOR PERMISSIONS is \
                 expected, as in 'c 42:* rmw'"
            ))
        })
    };
    asked.iter().map(convert).collect()
}

/// What drivers are asked for. Which of them there are is for the engine to say.
pub(super) fn requests(asked: &[wire::DeviceRequest]) -> Result<Vec<CdiRequest>, Refusal> {
    let convert = |request: &wire::DeviceRequest| {
        let ids = request.device_ids.clone().unwrap_or_default();
        if request.count != 0 && !ids.is_empty() {
            return Err(Refusal::Said(
                "cannot set both Count and DeviceIDs on device request".to_owned(),
            ));
        }
        Ok(CdiRequest {
            driver: request.driver.clone(),
            count: request.count,
            ids,
            capabilities: request.capabilities.clone().unwrap_or_default(),
            options: request.options.clone().unwrap_or_default(),
        })
    };
    asked.iter().map(convert).collect()
}

pub(super) fn show_device(device: &DeviceRequest) -> wire::DeviceMapping {
    wire::DeviceMapping {
        path_on_host: device.host_path.clone(),
        path_in_container: device.container_path.clone(),
        cgroup_permissions: device.permissions.clone(),
    }
}

pub(super) fn show_request(request: &CdiRequest) -> wire::DeviceRequest {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    wire::DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: some(&request.ids),
        capabilities: (!request.capabilities.is_empty()).then(|| request.capabilities.clone()),
        // Clients give none with CDI's devices, and an empty list with other drivers'.
        options: (request.driver != "cdi" || !request.options.is_empty())
            .then(|| request.options.clone()),
    }
}
