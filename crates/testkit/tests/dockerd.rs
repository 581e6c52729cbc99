//! Images between Brig and a real Docker, of today and of Debian 12, in both directions: by archives and
//! by a registry. What they are called by their digests stays what it is.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

use std::path::PathBuf;

use testkit::registry::Registry;
use testkit::{Brig, Client, Dockerd, Output, busybox_tar};

/// One machine with both.
struct Both {
    brig: Brig,
    docker: Dockerd,
    registry: Registry,
}

impl Both {
    fn start(suite: &str) -> Option<Self> {
        if Client::Docker28.program().is_none() {
            eprintln!("SKIP: docker is not on this machine (scripts/setup.sh test)");
            return None;
        }
        let docker = Dockerd::start_here(suite)?;
        Some(Self {
            registry: Registry::start()?,
            docker,
            brig: Brig::with_image(),
        })
    }

    fn docker(&self, words: &[&str]) -> Output {
        self.docker.docker(&self.brig.root().join("docker"), words)
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}:v1", self.registry.address())
    }

    fn file(&self, name: &str) -> String {
        self.brig.root().join(name).display().to_string()
    }

    /// What containers are made of: the layers and the configuration, as each tells them.
    fn content(shown: &Output) -> (String, serde_json::Value) {
        let shown = &shown.json()[0];
        let layers = shown["RootFS"]["Layers"].to_string();
        (layers, shown["Config"]["Cmd"].clone())
    }

    fn ours(&self, name: &str) -> (String, serde_json::Value) {
        Self::content(&self.brig.brig(&["image", "inspect", name]))
    }

    fn theirs(&self, name: &str) -> (String, serde_json::Value) {
        Self::content(&self.docker(&["image", "inspect", name]))
    }

    fn id(&self, name: &str) -> String {
        let format = ["image", "inspect", "-f", "{{.Id}}", name];
        self.brig.brig(&format).ok().to_owned()
    }

    /// The digest of an image's configuration here, which is Docker's id of it.
    fn config(&self, name: &str) -> String {
        let archive = self.file("config.tar");
        self.brig.brig(&["save", "-o", &archive, name]).ok();
        let list = std::process::Command::new("tar")
            .args(["-xOf", &archive, "manifest.json"])
            .output()
            .unwrap();
        let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
        let path = list[0]["Config"].as_str().unwrap();
        format!("sha256:{}", path.rsplit('/').next().unwrap())
    }

    fn their_id(&self, name: &str) -> String {
        let format = ["image", "inspect", "-f", "{{.Id}}", name];
        self.docker(&format).ok().to_owned()
    }

    /// An image that Docker has made.
    fn make_theirs(&self, name: &str) {
        let tar: PathBuf = busybox_tar();
        let tar = tar.to_str().unwrap();
        let import = ["import", "-c", "CMD [\"echo\", \"theirs\"]", tar, name];
        self.docker(&import).ok();
    }

    fn by_archives(&self) {
        let (ours, theirs) = ("both/ours:v1", "both/theirs:v1");
        let (saved, back) = (self.file("ours.tar"), self.file("back.tar"));
        self.brig.brig(&["tag", "bb", ours]).ok();
        let (id, config, content) = (self.id(ours), self.config(ours), self.ours(ours));
        self.brig.brig(&["save", "-o", &saved, ours]).ok();
        let loaded = self.docker(&["load", "-i", &saved]);
        assert!(
            loaded.ok().contains("Loaded image: both/ours:v1"),
            "{loaded}"
        );
        assert_eq!(self.theirs(ours), content);
        assert_eq!(self.their_id(ours), config);
        self.docker(&["save", "-o", &back, ours]).ok();
        self.brig.brig(&["rmi", "-f", ours, "bb"]).ok();
        let loaded = self.brig.brig(&["load", "-i", &back]);
        assert_eq!(loaded.ok(), "Loaded image: both/ours:v1");
        assert_eq!((self.ours(ours), self.config(ours)), (content, config));
        // The same archive gives the same image, whoever wrote it.
        self.brig.brig(&["load", "-i", &saved]).ok();
        assert_eq!(self.id(ours), id);
        self.make_theirs(theirs);
        let archive = self.file("theirs.tar");
        self.docker(&["save", "-o", &archive, theirs, ours]).ok();
        let loaded = self.brig.brig(&["load", "-i", &archive]);
        for name in [ours, theirs] {
            let says = format!("Loaded image: {name}");
            assert!(loaded.lines().contains(&says.as_str()), "{loaded}");
        }
        assert_eq!(self.ours(theirs), self.theirs(theirs));
        assert_eq!(self.config(theirs), self.their_id(theirs));
        let ran = self
            .brig
            .brig(&["run", "--rm", "--network", "none", theirs]);
        assert_eq!(ran.ok(), "theirs");
    }

    /// What Docker lists with a filter Brig lists, too, and refuses what Docker refuses.
    fn listings(&self) {
        // What another archive of the same image has taken the name from.
        self.brig.brig(&["image", "prune", "-f"]).ok();
        let format = "{{.Repository}}:{{.Tag}}";
        for filter in [
            "reference=both/*",
            "reference=both/o*",
            "reference=*/*:v2",
            "before=both/theirs:v1",
            "since=both/ours:v1",
            "since=both/theirs:v1",
            "label=nobody",
            "dangling=true",
            "dangling=false",
            "until=1h",
            "until=946684800",
            "nonsense=1",
            "dangling=perhaps",
            "before=nobody-knows",
        ] {
            let words = ["images", "--filter", filter, "--format", format];
            let theirs = self.docker(&words);
            let ours = self.brig.with(Client::Docker28, &words);
            assert_eq!(ours.code, theirs.code, "{filter}: {ours} {theirs}");
            assert_eq!(ours.stdout, theirs.stdout, "{filter}: {ours} {theirs}");
        }
    }

    fn by_a_registry(&self) {
        let (ours, again, theirs) = (self.name("ours"), self.name("again"), self.name("theirs"));
        self.brig.brig(&["tag", "both/ours:v1", &ours]).ok();
        self.brig.brig(&["push", &ours]).ok();
        self.docker(&["pull", &ours]).ok();
        assert_eq!(self.their_id(&ours), self.config(&ours));
        let digests = ["image", "inspect", "-f", "{{.RepoDigests}}", &ours];
        let digests = self.docker(&digests);
        let repository = ours.trim_end_matches(":v1");
        let ours_digest = format!("{repository}@{}", self.id(&ours));
        assert!(
            digests.ok().contains(&ours_digest),
            "{digests} {ours_digest}"
        );
        self.docker(&["tag", &ours, &again]).ok();
        self.docker(&["push", &again]).ok();
        self.brig.brig(&["pull", &again]).ok();
        assert_eq!(self.config(&again), self.config(&ours));
        self.make_theirs(&theirs);
        let pushed = self.docker(&["push", &theirs]);
        self.brig.brig(&["pull", &theirs]).ok();
        let says = format!("v1: digest: {} size: ", self.id(&theirs));
        assert!(pushed.ok().contains(&says), "{pushed} {says}");
        assert_eq!(self.config(&theirs), self.their_id(&theirs));
        let ran = self
            .brig
            .brig(&["run", "--rm", "--network", "none", &theirs]);
        assert_eq!(ran.ok(), "theirs");
        // As it came, whoever takes it there.
        let back = self.name("back");
        self.brig.brig(&["tag", &theirs, &back]).ok();
        let pushed = self.brig.brig(&["push", &back]);
        assert!(pushed.ok().contains(&says), "{pushed} {says}");
        self.docker(&["pull", &back]).ok();
        assert_eq!(self.their_id(&back), self.their_id(&theirs));
    }
}

fn images_go_both_ways(suite: &str) {
    let Some(both) = Both::start(suite) else {
        return;
    };
    both.by_archives();
    if suite == "sid" {
        both.listings();
    }
    both.by_a_registry();
    both.brig.brig(&["system", "check"]).ok();
    both.brig.finish();
}

#[test]
fn images_go_between_brig_and_todays_docker() {
    images_go_both_ways("sid");
}

#[test]
fn images_go_between_brig_and_the_docker_of_debian_12() {
    images_go_both_ways("bookworm");
}
