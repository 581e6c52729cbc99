//! A bundle: config.json, and a root with a probe and busybox.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::container::Container;
use super::runtime::{Call, Said};
use super::suite::Suite;

/// Directories in every root, mount points among them.
const DIRECTORIES: [&str; 8] = ["bin", "dev", "etc", "mnt", "proc", "sys", "tmp", "var"];

/// Names under which busybox is called.
const APPLETS: [&str; 8] = [
    "ip", "ionice", "kill", "mknod", "mount", "sh", "stty", "uname",
];

/// A bundle in a directory of its own, and the container's name.
#[derive(Debug)]
pub(crate) struct Bundle<'s> {
    /// What it belongs to.
    pub(crate) suite: &'s Suite,
    /// The container's name.
    pub(crate) id: String,
    /// What will be written as config.json.
    pub(crate) config: Value,
    directory: PathBuf,
}

impl<'s> Bundle<'s> {
    /// With a configuration that needs nothing special: a new namespace of each common type, the
    /// file systems that programs expect.
    pub(crate) fn new(suite: &'s Suite, id: &str) -> Result<Self> {
        let directory = suite.path(id);
        fs::create_dir(&directory)?;
        fs::create_dir(directory.join("log"))?;
        let root = directory.join("rootfs");
        for name in DIRECTORIES {
            fs::create_dir_all(root.join(name))?;
        }
        // One file for all roots.
        fs::hard_link(suite.path("probe"), root.join("probe"))?;
        fs::hard_link(suite.path("busybox"), root.join("bin/busybox"))?;
        for name in APPLETS {
            symlink("busybox", root.join("bin").join(name))?;
        }
        let mut config: Value = serde_json::from_str(include_str!("template.json"))?;
        config["linux"]["cgroupsPath"] = json!(format!("{}/{id}", suite.cgroup()));
        Ok(Self {
            suite,
            id: id.to_owned(),
            config,
            directory,
        })
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// A path in its directory, as text.
    pub(crate) fn text_path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// A path in its root, seen from outside.
    pub(crate) fn in_root(&self, name: &str) -> PathBuf {
        self.directory
            .join("rootfs")
            .join(name.trim_start_matches('/'))
    }

    /// A new file in its root.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.in_root(name);
        fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        File::create(path)?.write_all(text.as_bytes())?;
        Ok(())
    }

    /// The container's cgroup.
    pub(crate) fn cgroup(&self) -> &str {
        self.config["linux"]["cgroupsPath"]
            .as_str()
            .unwrap_or_default()
    }

    /// Sets what its program is.
    pub(crate) fn args(&mut self, args: &[&str]) -> &mut Self {
        self.config["process"]["args"] = json!(args);
        self
    }

    /// Sets a value by its JSON pointer, whose parents must be there.
    pub(crate) fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        match self.config.pointer_mut(parent) {
            Some(Value::Object(map)) => {
                map.insert(name.to_owned(), value);
            }
            _ => self.config[parent] = json!("no such parent in the template"),
        }
        self
    }

    /// Appends to an array, made if it is not there.
    pub(crate) fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut all = self.config.pointer(pointer).cloned().unwrap_or(json!([]));
        if let Some(list) = all.as_array_mut() {
            list.push(value);
        }
        self.set(pointer, all)
    }

    /// One more mount.
    pub(crate) fn mount(
        &mut self,
        kind: &str,
        source: &str,
        to: &str,
        options: &[&str],
    ) -> &mut Self {
        let mount =
            json!({ "type": kind, "source": source, "destination": to, "options": options });
        self.push("/mounts", mount)
    }

    /// Takes out a namespace.
    pub(crate) fn without_namespace(&mut self, kind: &str) -> &mut Self {
        if let Some(list) = self.config["linux"]["namespaces"].as_array_mut() {
            list.retain(|entry| entry["type"] != kind);
        }
        self
    }

    /// Replaces a namespace by one with these fields.
    pub(crate) fn namespace(&mut self, entry: Value) -> &mut Self {
        let kind = entry["type"].as_str().unwrap_or_default().to_owned();
        self.without_namespace(&kind);
        self.push("/linux/namespaces", entry)
    }

    /// A new user namespace with 65536 ids from 100000 on, and nothing that such a root may not do.
    pub(crate) fn user_namespace(&mut self) -> &mut Self {
        let ids = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
        self.namespace(json!({ "type": "user" }))
            .set("/linux/uidMappings", ids.clone())
            .set("/linux/gidMappings", ids)
    }

    /// Writes config.json.
    pub(crate) fn write(&self) -> Result<()> {
        self.write_text(&self.config.to_string())
    }

    /// Writes this as config.json.
    pub(crate) fn write_text(&self, text: &str) -> Result<()> {
        let mut file = File::create(self.directory.join("config.json"))?;
        file.write_all(text.as_bytes())
            .context("cannot write config.json")
    }

    /// Calls the runtime with these words.
    pub(crate) fn call(&self, words: &[&str]) -> Result<Said> {
        self.call_through(&[], words)
    }

    /// The same by way of another program.
    pub(crate) fn call_through(&self, through: &[&str], words: &[&str]) -> Result<Said> {
        self.suite.runtime.call(&Call {
            state: &self.suite.path("state"),
            words,
            keep: &self.directory.join("log"),
            directory: &self.directory,
            through,
        })
    }

    /// The words of create.
    fn words_of_create(&self) -> [String; 6] {
        let path = self.directory.display().to_string();
        [
            "create",
            "--bundle",
            &path,
            "--pid-file",
            &self.text_path("pid"),
            &self.id,
        ]
        .map(String::from)
    }

    /// Creates the container.
    pub(crate) fn create(&self) -> Result<Container<'_, 's>> {
        self.create_through(&[], &[])
    }

    /// The same with more flags and by way of another program.
    pub(crate) fn create_through(
        &self,
        through: &[&str],
        flags: &[&str],
    ) -> Result<Container<'_, 's>> {
        let container = Container::new(self);
        let said = self.try_create(through, flags)?;
        if !said.ok() {
            bail!("create failed: {}", said.err);
        }
        container.created(&said)
    }

    /// Calls create, whatever comes of it.
    pub(crate) fn try_create(&self, through: &[&str], flags: &[&str]) -> Result<Said> {
        self.write()?;
        let words = self.words_of_create();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.splice(1..1, flags.iter().copied());
        self.call_through(through, &words)
    }

    /// Creates and starts.
    pub(crate) fn start(&self) -> Result<Container<'_, 's>> {
        let container = self.create()?;
        container.start()?;
        Ok(container)
    }

    /// Runs it from create to delete and returns what its program wrote.
    pub(crate) fn run(&self) -> Result<String> {
        let container = self.start()?;
        container.wait()?;
        let out = container.output();
        container.delete()?;
        Ok(out)
    }

    /// Runs the probe inside and returns its report.
    pub(crate) fn report(&mut self) -> Result<Value> {
        self.args(&["/probe", "report"]);
        let out = self.run()?;
        last_line(&out).with_context(|| format!("the program inside printed {out:?}"))
    }

    /// Has the probe do single things inside and returns the result of each.
    pub(crate) fn ops(&mut self, list: &[&[&str]]) -> Result<Vec<Value>> {
        let words: Vec<String> = list.iter().map(|op| json!(op).to_string()).collect();
        let mut args = vec!["/probe", "ops"];
        args.extend(words.iter().map(String::as_str));
        self.args(&args);
        let out = self.run()?;
        let results: Vec<Value> = out
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        if results.len() != list.len() {
            bail!(
                "of {} things the program inside did {}: {out}",
                list.len(),
                results.len()
            );
        }
        Ok(results)
    }

    /// Has the probe do one thing, which must succeed, and returns its result.
    pub(crate) fn op(&mut self, op: &[&str]) -> Result<Value> {
        let results = self.ops(&[op])?;
        let Some(value) = results[0].get("ok") else {
            bail!("{} inside: {}", op.join(" "), results[0]["why"]);
        };
        Ok(value.clone())
    }

    /// create, or start after it, must fail; the runtime then must not know the container, or know it
    /// as stopped. Returns what was said.
    pub(crate) fn refused(&self) -> Result<String> {
        let container = Container::new(self);
        let said = self.try_create(&[], &[])?;
        if !said.ok() {
            self.unknown()?;
            return Ok(said.err);
        }
        let said = self.call(&["start", &self.id])?;
        if said.ok() {
            bail!("create and start gave no error");
        }
        drop(container);
        Ok(said.err)
    }

    /// create must fail, and leave the container unknown.
    pub(crate) fn not_created(&self) -> Result<String> {
        let _container = Container::new(self);
        let said = self.try_create(&[], &[])?;
        if said.ok() {
            bail!("create gave no error");
        }
        self.unknown()?;
        Ok(said.err)
    }

    /// state must give an error.
    pub(crate) fn unknown(&self) -> Result<()> {
        let said = self.call(&["state", &self.id])?;
        if said.ok() {
            bail!(
                "after an error of create, state still knows the container: {}",
                said.out
            );
        }
        Ok(())
    }
}

/// The last line that is a JSON object.
pub(crate) fn last_line(text: &str) -> Option<Value> {
    text.lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok())
}
