//! What is read of caches: documents made by hand, good and bad ones.

use std::io::Read;
use std::sync::Arc;

use storage::Descriptor;

use super::super::Failure;
use super::{Blobs, CacheFrom, record_digest};

/// Documents by their digests.
struct Known(Vec<(String, String)>);

impl Blobs for Known {
    fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, Failure> {
        let name = wanted.digest.to_string();
        let mut known = self.0.iter();
        let found = known.find(|(digest, _)| *digest == name);
        let found = found.ok_or_else(|| Failure::invalid(format!("no {name}")))?;
        Ok(found.1.clone().into_bytes())
    }

    fn open(&self, _: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Failure> {
        Err(Failure::invalid("nothing is opened"))
    }
}

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn cache(config: &str) -> Result<CacheFrom, Failure> {
    let part = |digit| {
        format!(
            r#"{{"mediaType":"m","digest":"{}","size":1}}"#,
            digest(digit)
        )
    };
    let root = format!(
        r#"{{"config":{{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"{}","size":1}},
            "layers":[{},{}]}}"#,
        digest('c'),
        part('1'),
        part('2'),
    );
    let blobs = Known(vec![(digest('c'), config.to_owned())]);
    CacheFrom::read(root.as_bytes(), Arc::new(blobs))
}

#[test]
fn results_are_found_by_their_keys() {
    let layer = |blob, parent: i64, diff| {
        format!(
            r#"{{"blob":"{}","parent":{parent},"annotations":{{"diffID":"{}"}}}}"#,
            digest(blob),
            digest(diff)
        )
    };
    let key = digest('a');
    let record = |number: usize, layer: usize, outputs: usize| {
        format!(
            r#"{{"digest":"{}","results":[{{"layer":{layer}}}],"brig":{{"outputs":{outputs},"created":5}}}}"#,
            record_digest(&key, number)
        )
    };
    let config = |records: &[String]| {
        format!(
            r#"{{"layers":[{},{}],"records":[{}]}}"#,
            layer('1', -1, '8'),
            layer('2', 0, '9'),
            records.join(",")
        )
    };
    let one = cache(&config(&[record(0, 1, 1)])).unwrap();
    assert_eq!(one.find(&key).unwrap().created(), Some(5));
    assert!(one.find(&digest('b')).is_none());
    // Of several results all have to be there, and of a chain all layers.
    assert!(
        cache(&config(&[record(0, 1, 2)]))
            .unwrap()
            .find(&key)
            .is_none()
    );
    let two = cache(&config(&[record(0, 1, 2), record(1, 0, 2)])).unwrap();
    assert!(two.find(&key).is_some());
    assert!(
        cache(&config(&[record(0, 7, 1)]))
            .unwrap()
            .find(&key)
            .is_none()
    );
}

#[test]
fn documents_of_strangers_do_no_harm() {
    let circle = format!(
        r#"{{"layers":[{{"blob":"{0}","parent":0,"annotations":{{"diffID":"{0}"}}}}],
            "records":[{{"digest":"{1}","results":[{{}}],"brig":{{"outputs":1,"created":0}}}}]}}"#,
        digest('1'),
        digest('a')
    );
    assert!(cache(&circle).unwrap().find(&digest('a')).is_none());
    assert!(cache("{\"layers\":null,\"records\":null}").is_ok());
    assert!(
        cache("{")
            .unwrap_err()
            .message
            .contains("cannot be understood")
    );
    let other = CacheFrom::read(b"{\"manifests\":[]}", Arc::new(Known(Vec::new())));
    assert!(other.unwrap_err().message.contains("no manifest"));
}
