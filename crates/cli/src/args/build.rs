//! Flags of `build` and of what has to do with builds.

use clap::Args;

use super::values;

/// `build`.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// Add a name to /etc/hosts ("host:ip")
    #[arg(long, value_name = "strings")]
    pub add_host: Vec<String>,
    /// Let the build do more than usual ("network.host", "security.insecure", "device[=NAME]")
    #[arg(long, value_name = "stringArray")]
    pub allow: Vec<String>,
    /// Annotate the image ("[manifest|index:]key=value")
    #[arg(long, value_name = "stringArray")]
    pub annotation: Vec<String>,
    /// What is to be attested ("type=sbom", "type=provenance,mode=max")
    #[arg(long, value_name = "stringArray")]
    pub attest: Vec<String>,
    /// Set a variable of the Dockerfile
    #[arg(long, value_name = "stringArray")]
    pub build_arg: Vec<String>,
    /// Give another context ("name=path")
    #[arg(long, value_name = "stringArray")]
    pub build_context: Vec<String>,
    /// Who builds (there is one: "default")
    #[arg(long, value_name = "string")]
    pub builder: Option<String>,
    /// Read a cache from elsewhere ("user/app:cache", "type=local,src=path/to/dir")
    #[arg(long, value_name = "stringArray")]
    pub cache_from: Vec<String>,
    /// Write the cache elsewhere ("user/app:cache", "type=local,dest=path/to/dir")
    #[arg(long, value_name = "stringArray")]
    pub cache_to: Vec<String>,
    /// Answer a question instead of building ("build", "check", "outline", "targets")
    #[arg(long, value_name = "string", default_value = "build")]
    pub call: String,
    /// Put the build's containers below this cgroup
    #[arg(long, value_name = "string")]
    pub cgroup_parent: Option<String>,
    /// As --call=check
    #[arg(long)]
    pub check: bool,
    /// Nothing: a context's files are sent one by one, and only those that have changed
    #[arg(long, hide = true)]
    pub compress: bool,
    /// Limit the CPU's period
    #[arg(long, value_name = "int", hide = true)]
    pub cpu_period: Option<i64>,
    /// Limit the CPU's quota
    #[arg(long, value_name = "int", hide = true)]
    pub cpu_quota: Option<i64>,
    /// Shares of CPU time (relative weight)
    #[arg(short, long, value_name = "int", hide = true)]
    pub cpu_shares: Option<i64>,
    /// On which CPUs to run (0-3, 0,1)
    #[arg(long, value_name = "string", hide = true)]
    pub cpuset_cpus: Option<String>,
    /// On which memory nodes to run (0-3, 0,1)
    #[arg(long, value_name = "string", hide = true)]
    pub cpuset_mems: Option<String>,
    /// Name of the Dockerfile (default: "PATH/Dockerfile")
    #[arg(short, long, value_name = "string")]
    pub file: Option<String>,
    /// Nothing: a step leaves no container
    #[arg(long, hide = true)]
    pub force_rm: bool,
    /// Write the image's ID to a file
    #[arg(long, value_name = "string")]
    pub iidfile: Option<String>,
    /// Of another system
    #[arg(long, value_name = "string", hide = true)]
    pub isolation: Option<String>,
    /// Set a label of the image
    #[arg(long, value_name = "stringArray")]
    pub label: Vec<String>,
    /// As --output=type=docker: the image is to be here
    #[arg(long)]
    pub load: bool,
    /// Limit the memory
    #[arg(short, long, value_name = "bytes", value_parser = values::bytes, hide = true)]
    pub memory: Option<i64>,
    /// Limit memory and swap together
    #[arg(long, value_name = "bytes", value_parser = values::memory_swap, hide = true)]
    pub memory_swap: Option<i64>,
    /// Write what came of the build to a file
    #[arg(long, value_name = "string")]
    pub metadata_file: Option<String>,
    /// The network of RUN ("default", "none", "host")
    #[arg(long, value_name = "string", default_value = "default")]
    pub network: String,
    /// Do not use the cache
    #[arg(long)]
    pub no_cache: bool,
    /// Do not use the cache for some stages
    #[arg(long, value_name = "stringArray")]
    pub no_cache_filter: Vec<String>,
    /// What is made of the result ("type=local,dest=path")
    #[arg(short, long, value_name = "stringArray")]
    pub output: Vec<String>,
    /// For which platforms to build
    #[arg(long, value_name = "stringArray")]
    pub platform: Vec<String>,
    /// How to show what happens ("auto", "none", "plain", "quiet", "rawjson", "tty")
    #[arg(long, value_name = "string", default_value = "auto")]
    pub progress: String,
    /// As --attest=type=provenance
    #[arg(long, value_name = "string")]
    pub provenance: Option<String>,
    /// Ask the registries for newer images
    #[arg(long)]
    pub pull: bool,
    /// As --output=type=registry
    #[arg(long)]
    pub push: bool,
    /// Show nothing, and print the image's ID
    #[arg(short, long)]
    pub quiet: bool,
    /// Nothing: a step leaves no container
    #[arg(long, hide = true, default_value = "true")]
    pub rm: bool,
    /// As --attest=type=sbom
    #[arg(long, value_name = "string")]
    pub sbom: Option<String>,
    /// Lend the build a secret ("id=mysecret[,src=/local/secret]")
    #[arg(long, value_name = "stringArray")]
    pub secret: Vec<String>,
    /// Security options
    #[arg(long, value_name = "strings", hide = true)]
    pub security_opt: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes", value_parser = values::bytes)]
    pub shm_size: Option<i64>,
    /// Make one layer of all
    #[arg(long, hide = true)]
    pub squash: bool,
    /// Lend the build an agent of ssh ("default|<id>[=<socket>]")
    #[arg(long, value_name = "stringArray")]
    pub ssh: Vec<String>,
    /// Name of the image ("[registry/]repository[:tag]")
    #[arg(short, long, value_name = "stringArray")]
    pub tag: Vec<String>,
    /// Which stage to build
    #[arg(long, value_name = "string")]
    pub target: Option<String>,
    /// Limits of processes
    #[arg(long, value_name = "ulimit", value_parser = values::ulimit)]
    pub ulimit: Vec<types::Ulimit>,
    /// The context.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
