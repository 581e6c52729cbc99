//! Tables of policies, and what they say of images that skopeo has signed.

use serde_json::{Value, json};
use testkit::Signing;
use testkit::registry::Registry;

use super::{base64, both, demand, expect};
use crate::support::*;

/// A registry and a directory of keys.
fn start() -> Option<(Registry, Signing)> {
    Some((Registry::start()?, Signing::start()?))
}

/// An image that nobody has signed.
async fn unsigned(registry: &Registry, seed: u64, name: &str) -> String {
    let image = format!("{}/{name}", registry.address());
    push(&at(registry.address(), name), &noise(seed, 5000)).await;
    image
}

/// One that skopeo has signed.
async fn signed(
    (registry, signing): (&Registry, &Signing),
    seed: u64,
    name: &str,
    how: &[&str],
) -> String {
    let from = unsigned(registry, seed, &format!("unsigned/{seed}:1")).await;
    let image = format!("{}/{name}", registry.address());
    signing.copy(&from, &image, how);
    image
}

fn gpg(signing: &Signing, name: &str) -> Value {
    json!({ "type": "signedBy", "keyType": "GPGKeys", "keyPath": signing.path(&format!("{name}.gpg")) })
}

fn cosign(signing: &Signing, name: &str) -> Value {
    json!({ "type": "sigstoreSigned", "keyPath": signing.path(&format!("{name}.pub")) })
}

fn with(mut requirement: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        requirement[name] = value.clone();
    }
    requirement
}

fn identity(requirement: &Value, kind: &str, more: Value) -> Value {
    let identity = with(json!({ "type": kind }), more);
    with(requirement.clone(), json!({ "signedIdentity": identity }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_of_the_nearest_scope_is_taken_as_skopeo_takes_it() {
    let Some((registry, signing)) = start() else {
        return;
    };
    let image = unsigned(&registry, 1, "team/app/web:1").await;
    let address = registry.address().to_owned();
    let accept = json!([{ "type": "insecureAcceptAnything" }]);
    let reject = json!([{ "type": "reject" }]);
    let scoped = |default: &Value, scopes: Value| json!({ "default": default, "transports": { "docker": scopes } });
    let digest = at(&address, "team/app/web:1").head().await.unwrap().digest;
    let by_digest = format!("{address}/team/app/web@{digest}");
    let open = |scope: &str| scoped(&reject, json!({ scope: accept }));
    let table = [
        (json!({ "default": accept }), &image, true),
        (json!({ "default": reject }), &image, false),
        (open(&image), &image, true),
        (open(&image), &by_digest, false),
        (open(&by_digest), &by_digest, true),
        (open(&format!("{address}/team/app/web:2")), &image, false),
        (open(&format!("{address}/team/app/web")), &image, true),
        (open(&format!("{address}/team/app")), &image, true),
        (open(&format!("{address}/team")), &image, true),
        (open(&format!("{address}/te")), &image, false),
        (open(&address), &image, true),
        (open("127.0.0.1"), &image, false),
        (open("*.0.0.1"), &image, true),
        (open("*.1"), &image, true),
        (open("*.0.1.1"), &image, false),
        (open(""), &image, true),
        (scoped(&accept, json!({ "": reject })), &image, false),
        (
            scoped(&accept, json!({ &address: reject, &image: accept })),
            &image,
            true,
        ),
        (
            scoped(&accept, json!({ &address: accept, &image: reject })),
            &image,
            false,
        ),
        (
            json!({ "default": reject, "transports": { "dir": { "": accept } } }),
            &image,
            false,
        ),
        (json!({ "default": [accept[0], reject[0]] }), &image, false),
    ];
    for (policy, image, expected) in table {
        let found = both(&signing, &policy, image).await;
        assert_eq!(found.is_ok(), expected, "{image} {policy} {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_signing_is_judged_as_skopeo_judges_it() {
    let Some((registry, signing)) = start() else {
        return;
    };
    let ann = signing.key("ann", "rsa2048");
    signing.key("bob", "rsa2048");
    let image = signed((&registry, &signing), 2, "team/app:1", &["--sign-by", &ann]).await;
    let plain = unsigned(&registry, 3, "team/plain:1").await;
    let address = registry.address();
    let digest = at(address, "team/app:1").head().await.unwrap().digest;
    let by_digest = format!("{address}/team/app@{digest}");
    let file = |name: &str| signing.path(&format!("{name}.gpg"));
    let by = |more: Value| with(json!({ "type": "signedBy", "keyType": "GPGKeys" }), more);
    let data = base64(&std::fs::read(file("ann")).unwrap());
    let good = gpg(&signing, "ann");
    let none = json!({});
    let table = [
        (good.clone(), &image, ""),
        (good.clone(), &by_digest, ""),
        (
            good.clone(),
            &plain,
            "there is no signature of simple signing",
        ),
        (gpg(&signing, "bob"), &image, "which is not trusted"),
        (
            by(json!({ "keyPaths": [file("bob"), file("ann")] })),
            &image,
            "",
        ),
        (
            by(json!({ "keyPaths": [file("bob")] })),
            &image,
            "which is not trusted",
        ),
        (by(json!({ "keyData": data })), &image, ""),
        (identity(&good, "matchExact", none.clone()), &image, ""),
        (
            identity(&good, "matchExact", none.clone()),
            &by_digest,
            "it is for \"",
        ),
        (
            identity(&good, "matchRepository", none.clone()),
            &by_digest,
            "",
        ),
    ];
    for (requirement, image, why) in table {
        expect(&signing, &demand(requirement), image, why).await;
    }
    // Both have to have signed.
    let two = json!({ "default": [good, gpg(&signing, "bob")] });
    let refused = both(&signing, &two, &image).await.unwrap_err();
    assert!(
        refused.starts_with("default[1] (signedBy) is not fulfilled: "),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_compared_as_skopeo_compares_them() {
    let Some((registry, signing)) = start() else {
        return;
    };
    let ann = signing.key("ann", "rsa2048");
    let image = signed((&registry, &signing), 8, "team/app:1", &["--sign-by", &ann]).await;
    let vendor = "vendor.example/product/app:7";
    let how = ["--sign-by", &ann, "--sign-identity", vendor];
    let mirrored = signed((&registry, &signing), 4, "mirror/app:7", &how).await;
    let address = registry.address();
    let digest = at(address, "team/app:1").head().await.unwrap().digest;
    let by_digest = format!("{address}/team/app@{digest}");
    let good = gpg(&signing, "ann");
    let remap = |prefix: &str, signed: &str| {
        identity(
            &good,
            "remapIdentity",
            json!({ "prefix": prefix, "signedPrefix": signed }),
        )
    };
    let reference =
        |text: &str| identity(&good, "exactReference", json!({ "dockerReference": text }));
    let repository = |text: &str| {
        identity(
            &good,
            "exactRepository",
            json!({ "dockerRepository": text }),
        )
    };
    let table = [
        (reference(&image), &by_digest, ""),
        (reference(vendor), &image, "it is for \""),
        (reference(vendor), &mirrored, ""),
        (repository("vendor.example/product/app"), &mirrored, ""),
        (
            repository("vendor.example/product"),
            &mirrored,
            "it is for \"vendor.example",
        ),
        (
            good.clone(),
            &mirrored,
            "it is for \"vendor.example/product/app:7\"",
        ),
        (
            remap(&format!("{address}/mirror"), "vendor.example/product"),
            &mirrored,
            "",
        ),
        (
            remap(
                &format!("{address}/mirror/app"),
                "vendor.example/product/app",
            ),
            &mirrored,
            "",
        ),
        (
            remap(&format!("{address}/mirr"), "vendor.example/product"),
            &mirrored,
            "it is for",
        ),
        (remap("other.example", "vendor.example"), &image, ""),
    ];
    for (requirement, image, why) in table {
        expect(&signing, &demand(requirement), image, why).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_kind_are_known() {
    let Some((registry, signing)) = start() else {
        return;
    };
    let kinds = ["rsa3072", "ed25519", "nistp256", "nistp384", "nistp521"];
    for (seed, kind) in (10..).zip(kinds) {
        let key = signing.key(kind, kind);
        let name = format!("kinds/{kind}:1");
        let image = signed((&registry, &signing), seed, &name, &["--sign-by", &key]).await;
        both(&signing, &demand(gpg(&signing, kind)), &image)
            .await
            .unwrap();
    }
    // A subkey that signs, and a keyring as text.
    let primary = signing.fingerprint("ed25519");
    signing.gpg(&["--quick-add-key", &primary, "rsa2048", "sign", "never"]);
    let armored = signing.gpg(&["--armor", "--export", "ed25519"]);
    signing.write("subkey.gpg", &armored);
    let how = ["--sign-by", &primary];
    let image = signed((&registry, &signing), 20, "kinds/subkey:1", &how).await;
    let file = signing.write(
        "policy.json",
        demand(gpg(&signing, "subkey")).to_string().as_bytes(),
    );
    super::ours(&signing, &file, &image).await.unwrap();
    let file = signing.write(
        "policy.json",
        demand(gpg(&signing, "nistp256")).to_string().as_bytes(),
    );
    super::ours(&signing, &file, &image).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigstore_is_judged_as_skopeo_judges_it() {
    let Some((registry, signing)) = start() else {
        return;
    };
    for name in ["ann", "bob"] {
        signing.sigstore_key(name);
    }
    let key = signing.path("ann.private").display().to_string();
    let how = ["--sign-by-sigstore-private-key", &key];
    let image = signed((&registry, &signing), 5, "team/app:1", &how).await;
    let plain = unsigned(&registry, 6, "team/plain:1").await;
    let gpg_key = signing.key("gpg", "rsa2048");
    let twice = signed((&registry, &signing), 7, "team/twice:1", &how).await;
    signing.copy(&twice, &twice, &["--sign-by", &gpg_key]);
    let file = |name: &str| signing.path(&format!("{name}.pub"));
    let by = |more: Value| with(json!({ "type": "sigstoreSigned" }), more);
    let data = |name: &str| base64(&std::fs::read(file(name)).unwrap());
    let good = cosign(&signing, "ann");
    let none = json!({});
    let table = [
        (good.clone(), &image, ""),
        (good.clone(), &twice, ""),
        (gpg(&signing, "gpg"), &twice, ""),
        (
            gpg(&signing, "gpg"),
            &image,
            "there is no signature of simple signing",
        ),
        (good.clone(), &plain, "there is no signature of sigstore"),
        (
            cosign(&signing, "bob"),
            &image,
            "not made by a key that is trusted",
        ),
        (
            by(json!({ "keyPaths": [file("bob"), file("ann")] })),
            &image,
            "",
        ),
        (by(json!({ "keyData": data("ann") })), &image, ""),
        (
            by(json!({ "keyDatas": [data("bob"), data("ann")] })),
            &image,
            "",
        ),
        (
            by(json!({ "keyDatas": [data("bob")] })),
            &image,
            "not made by a key",
        ),
        (identity(&good, "matchExact", none.clone()), &image, ""),
        (identity(&good, "matchRepository", none), &image, ""),
        (
            identity(
                &good,
                "exactReference",
                json!({ "dockerReference": "other.example/x:1" }),
            ),
            &image,
            "it is for \"",
        ),
        (
            with(good.clone(), json!({ "rekorPublicKeyPath": file("bob") })),
            &image,
            "no log promises that it has it",
        ),
    ];
    for (requirement, image, why) in table {
        expect(&signing, &demand(requirement), image, why).await;
    }
    let two = json!({ "default": [good, gpg(&signing, "gpg")] });
    both(&signing, &two, &twice).await.unwrap();
    both(&signing, &two, &image).await.unwrap_err();
}
