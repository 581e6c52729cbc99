//! `/_ping`, `/version`

use api::{Version, wire};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA};
use hyper::{Response, StatusCode};
use types::Platform;

use crate::app::App;
use crate::http::body::Body;
use crate::http::respond::{self, Answer};

/// The name clients see for what keeps the layers.
pub(super) const STORAGE_DRIVER: &str = "overlayfs";

const PRODUCT: &str = "Brig";

/// What the build says of itself; local builds say nothing.
const COMMIT: Option<&str> = option_env!("BRIG_GIT_COMMIT");
const BUILT: Option<&str> = option_env!("BRIG_BUILD_TIME");
const COMPILER: &str = concat!("rust", env!("CARGO_PKG_RUST_VERSION"));

pub(super) fn ping() -> Response<Body> {
    // To HEAD the server sends the head only.
    let mut response = respond::with_body(StatusCode::OK, Body::full("OK"));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (PRAGMA, "no-cache"),
        (HeaderName::from_static("swarm"), "inactive"),
        // BuildKit, which is what builds are done by unless a client asks for the other.
        (HeaderName::from_static("builder-version"), "2"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn version() -> Answer {
    let platform = Platform::host();
    let kernel = kernel();
    let details = wire::ComponentDetails {
        api_version: Version::MAX.to_string(),
        arch: platform.architecture.clone(),
        build_time: BUILT.unwrap_or_default().to_owned(),
        experimental: "false".to_owned(),
        git_commit: COMMIT.unwrap_or_default().to_owned(),
        go_version: COMPILER.to_owned(),
        kernel_version: kernel.clone(),
        min_api_version: Version::MIN.to_string(),
        os: platform.os.clone(),
    };
    respond::ok(&wire::Version {
        platform: wire::VersionPlatform {
            name: PRODUCT.to_owned(),
        },
        components: vec![wire::Component {
            name: "Engine".to_owned(),
            version: product_version(),
            details: Some(details.clone()),
        }],
        version: product_version(),
        api_version: details.api_version,
        min_api_version: details.min_api_version,
        git_commit: details.git_commit,
        go_version: details.go_version,
        os: platform.os,
        arch: platform.architecture,
        kernel_version: kernel,
        experimental: false,
        build_time: details.build_time,
    })
}

/// `POST /brig/system/upgrade`, Brig's own: the program that is at the daemon's path now is to take its place. What
/// comes of it is to be asked for.
pub(super) fn upgrade(app: &App) -> Response<Body> {
    respond::json(StatusCode::ACCEPTED, &app.upgrades.ask())
}

pub(super) fn product_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

fn kernel() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    read.unwrap_or_default().trim_end().to_owned()
}
