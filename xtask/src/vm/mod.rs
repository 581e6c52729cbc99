//! `cargo xtask vm-test`: the tests again, on Debian's own kernel with nothing but cgroup v2.
//!
//! A machine with cgroup v1 proves nothing about v2. QEMU's software emulation boots Debian's cloud
//! kernel in seconds and needs neither KVM nor privileges; the tests run inside as they are.
//!
//! ```text
//!   plan      which test programs, with what arguments        (pure)
//!   image     a directory tree -> ext4 image; busybox -> initramfs
//!   machine   QEMU, its serial console, the verdict
//! ```

mod image;
mod machine;
mod plan;
mod programs;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::plan::Run;
use crate::paths;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the bounded selection that `make test` runs.
    #[arg(long)]
    quick: bool,
    /// Only programs whose name contains this; with --conformance, tests.
    #[arg(long)]
    only: Option<String>,
    /// The conformance suite on brig-runtime instead of the tests.
    #[arg(long)]
    conformance: bool,
    /// The test of SELinux alone, with SELinux in AppArmor's place.
    #[arg(long)]
    selinux: bool,
    /// More words for the kernel, as a boot loader gives them: `ipv6.disable=1`.
    #[arg(long, default_value = "")]
    kernel: String,
    /// A shell on the console instead of the tests.
    #[arg(long)]
    shell: bool,
}

/// Runs `cargo xtask vm-test`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let places = Places::find()?;
    let only = args.only.as_deref();
    let only = if args.selinux { Some("selinux") } else { only };
    let (programs, runs) = if args.conformance {
        (
            Vec::new(),
            vec![Run::conformance(&paths::dist(false), only)?],
        )
    } else {
        let programs = programs::build(only)?;
        let runs = plan::select(&programs, args.quick, only);
        (programs, runs)
    };
    if runs.is_empty() {
        bail!("no test program is left to run in the virtual machine");
    }
    let script = plan::script(&runs, args.shell, &paths::dist(false), &paths::cache());
    let files = image::Files {
        runs: &runs,
        programs: &programs,
        script: &script,
    };
    let disk = image::root_disk(&places, &files)?;
    let initramfs = image::initramfs(&places)?;
    let boot = machine::Boot {
        disk: &disk,
        initramfs: &initramfs,
        shell: args.shell,
        selinux: args.selinux,
        more: &args.kernel,
    };
    let verdict = machine::boot(&places, &boot)?;
    println!("{}", verdict.summary());
    if verdict.failed() {
        bail!("the virtual machine's tests failed")
    } else {
        Ok(())
    }
}

/// Where things are on the machine that runs the virtual one.
#[derive(Debug)]
struct Places {
    /// The kernel image.
    kernel: PathBuf,
    /// Its modules: a directory named after the release.
    modules: PathBuf,
    /// Where images are built.
    work: PathBuf,
}

impl Places {
    fn find() -> Result<Self> {
        let unpacked = paths::cache().join("vm/kernel");
        let kernel = first_in(&unpacked.join("boot"), "vmlinuz-");
        let modules = first_in(&unpacked.join("lib/modules"), "");
        let (Some(kernel), Some(modules)) = (kernel, modules) else {
            bail!(
                "no kernel in {}: run scripts/setup.sh test first",
                unpacked.display()
            );
        };
        let work = paths::target().join("vm");
        std::fs::create_dir_all(&work)
            .with_context(|| format!("cannot make {}", work.display()))?;
        Ok(Self {
            kernel,
            modules,
            work,
        })
    }
}

fn first_in(directory: &Path, prefix: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?;
    let named = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(named)
}
