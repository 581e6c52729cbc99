//! What objects have of which JSON leaves out the empty: templates speak of it all the same, as they do of the fields
//! of Docker's own types.

use serde_json::{Value, json};

/// The name that stands for all elements of a map.
pub(super) const ELEMENT: &str = "";

/// What kind of object a document is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// As it comes.
    #[default]
    Plain,
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl Shape {
    /// Fields that may be missing or null, with what Go shows then: an empty list, map, text or number, or null
    /// for `<nil>`. The fields of others are below them, and below [`ELEMENT`] what elements of a map are if they are empty.
    pub(super) fn fields(self) -> Value {
        match self {
            Self::Plain => Value::Null,
            Self::Container => container(),
            Self::Image => image(),
            Self::Network => json!({
                "Containers": {}, "IPAM": {"Config": [], "Options": {}}, "Labels": {}, "Options": {},
                "Peers": [], "Services": {},
            }),
            Self::Volume => json!({
                "ClusterVolume": null, "CreatedAt": "", "Labels": {}, "Options": {}, "Status": {}, "UsageData": null,
            }),
        }
    }
}

fn container() -> Value {
    json!({
        "Args": [], "Config": config_of_container(), "ExecIDs": [], "HostConfig": host_config(),
        "ImageManifestDescriptor": null, "Mounts": [], "NetworkSettings": {"Networks": {}, "Ports": {ELEMENT: []}},
        "SizeRootFs": null, "SizeRw": null, "State": {"Health": null},
    })
}

fn config_of_container() -> Value {
    json!({
        "ArgsEscaped": false, "Cmd": [], "Entrypoint": [], "Env": [], "ExposedPorts": {ELEMENT: "{}"}, "Healthcheck": null,
        "Labels": {}, "MacAddress": "", "NetworkDisabled": false, "OnBuild": [], "Shell": [], "StopSignal": "",
        "StopTimeout": null, "Volumes": {ELEMENT: "{}"},
    })
}

fn host_config() -> Value {
    const LISTS: [&str; 23] = [
        "Binds",
        "BlkioDeviceReadBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceWriteIOps",
        "BlkioWeightDevice",
        "CapAdd",
        "CapDrop",
        "DeviceCgroupRules",
        "DeviceRequests",
        "Devices",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "ExtraHosts",
        "GroupAdd",
        "Links",
        "MaskedPaths",
        "Mounts",
        "ReadonlyPaths",
        "SecurityOpt",
        "Ulimits",
        "VolumesFrom",
    ];
    let mut all = json!({
        "Annotations": {}, "Init": null, "LogConfig": {"Config": {}}, "MemorySwappiness": null, "OomKillDisable": null,
        "PidsLimit": null, "PortBindings": {}, "Runtime": "", "StorageOpt": {}, "Sysctls": {}, "Tmpfs": {},
    });
    for list in LISTS {
        all[list] = json!([]);
    }
    all
}

fn image() -> Value {
    json!({
        "Author": "", "Comment": "", "Created": "", "Descriptor": null, "Manifests": [], "OsVersion": "",
        "Parent": "", "RepoDigests": [], "RepoTags": [], "Variant": "",
        "Config": {
            "ArgsEscaped": false, "Cmd": [], "Entrypoint": [], "Env": [], "ExposedPorts": {ELEMENT: "{}"}, "Healthcheck": null,
            "Labels": {}, "OnBuild": [], "Shell": [], "StopSignal": "", "User": "", "Volumes": {ELEMENT: "{}"}, "WorkingDir": "",
        },
        "RootFS": {"Layers": [], "Type": ""},
    })
}
