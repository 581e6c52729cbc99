//! What all tests share: the runtime, a directory, the programs for the roots.

use std::borrow::Cow;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

use super::bundle::Bundle;
use super::machine::Machine;
use super::runtime::Runtime;
use super::tree::Tree;

/// How a test is done. An error that is a [`Skip`] says why it cannot be.
pub(crate) type Check = fn(&Suite) -> Result<()>;

/// The same of a row of values.
pub(crate) type Bound = Box<dyn Fn(&Suite) -> Result<()> + Send + Sync>;

/// One test.
pub(crate) struct Test {
    /// Its section and itself, as `hooks/order`.
    pub(crate) name: Cow<'static, str>,
    /// The sentence it holds the runtime to, and where that stands.
    pub(crate) says: Cow<'static, str>,
    /// What is done.
    pub(crate) check: Bound,
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// A row of a section's table: name, sentence, check.
pub(crate) type Row = (&'static str, &'static str, Check);

/// The tests of a table.
pub(crate) fn table(rows: &[Row]) -> Vec<Test> {
    let test = |&(name, says, check): &Row| Test {
        name: Cow::Borrowed(name),
        says: Cow::Borrowed(says),
        check: Box::new(check),
    };
    rows.iter().map(test).collect()
}

/// Why a test says nothing on this machine.
#[derive(Debug)]
pub(crate) struct Skip(pub(crate) String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Ends a test with a reason why it says nothing here.
pub(crate) fn skip<T>(why: impl Into<String>) -> Result<T> {
    Err(Skip(why.into()).into())
}

/// The runtime under test and where its bundles are.
#[derive(Debug)]
pub(crate) struct Suite {
    /// The runtime under test.
    pub(crate) runtime: Runtime,
    /// What this machine has.
    pub(crate) machine: Machine,
    scratch: PathBuf,
    next: AtomicU32,
}

impl Suite {
    /// A directory with the programs in it, visible in the runtime's tree under the same path.
    pub(crate) fn new(
        scratch: PathBuf,
        program: &Path,
        probe: &Path,
        tree: Option<&Path>,
    ) -> Result<Self> {
        // Users of user namespaces must come through.
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755))?;
        let own = "mount --bind \"$0\" \"$0\" && mount --make-shared \"$0\"";
        shell(own, &[&scratch])?;
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
        let busybox = busybox.into_iter().find(|path| path.exists());
        let busybox = busybox.context("no /bin/busybox (Debian: busybox-static)")?;
        for (from, name) in [(probe, "probe"), (busybox, "busybox")] {
            fs::copy(from, scratch.join(name))
                .with_context(|| format!("no {}: run scripts/build.sh debug", from.display()))?;
        }
        fs::create_dir(scratch.join("state"))?;
        let tree = tree.map(|tree| Tree::enter(tree, &scratch)).transpose()?;
        let suite = Self {
            runtime: Runtime::find(program, tree)?,
            machine: Machine::look()?,
            scratch,
            next: AtomicU32::new(0),
        };
        suite.machine.cgroups.keep(&suite.cgroup())?;
        Ok(suite)
    }

    /// A path in the suite's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The same as text, for configurations.
    pub(crate) fn text_path(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The cgroup under which all containers of this run are.
    pub(crate) fn cgroup(&self) -> String {
        let name = self.scratch.file_name().unwrap_or_default();
        format!("/{}", name.to_string_lossy())
    }

    /// Whether the runtime is started in a tree of its own, at whose root it then is.
    pub(crate) fn in_tree(&self) -> bool {
        self.runtime.in_tree()
    }

    /// A bundle with a name that no other has. Its program tells what it sees and ends.
    pub(crate) fn bundle(&self) -> Result<Bundle<'_>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Bundle::new(self, &format!("c{number}"))
    }
}

/// Runs a line of shell with these words, `$0` the first.
pub(crate) fn shell(line: &str, words: &[&Path]) -> Result<()> {
    let output = Command::new("sh").args(["-ec", line]).args(words).output();
    let output = output.context("cannot run sh")?;
    if !output.status.success() {
        bail!(
            "`{line}`: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
