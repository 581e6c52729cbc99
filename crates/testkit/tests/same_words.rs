//! `brig` and Docker's client give the same bytes for the same question to the same daemon.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use testkit::{Brig, Client, Output, root};

/// The version of the API that both speak.
const VERSION: &str = "1.51";

/// Questions, words apart by blanks; a word with blanks is in single quotes. With a format they are of one
/// image only: Docker's client prints the names of several in the order of a Go map, another each time.
const QUESTIONS: &str = r#"
ps -aq
ps -a --no-trunc --format '{{.ID}} {{.Command}} {{.Names}}'
ps -n 2 --format '{{.Names}}'
ps -l -q
ps -a --format '{{.Names}} {{.ID}} {{.Image}} {{.Command}} {{.State}} {{.Ports}} {{.Networks}} {{.Mounts}} {{.Labels}} {{.Size}}'
ps -a --format 'table {{.ID}}\t{{.Names}}\t{{.State}}'
ps -a --format '{{.Label "a"}}'
ps -a --format '{{upper .Names}} {{lower .Image}} {{title .State}} {{truncate .ID 4}} {{pad .Names 2 3}} {{join (split .Image ":") "/"}}'
ps -a --format '{{if eq .State "running"}}{{.Names}}{{else}}no{{end}}'
ps -a --filter status=exited -q
ps -a --filter name=web -q
ps -a --filter nope=1
ps -a --filter status=bogus
images -q
images -a --no-trunc -q
images bb --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}'
images bb --format 'table {{.Repository}}\t{{.Size}}'
images nothing
images --filter dangling=true
images --filter 'reference=b*' -q
images --filter before=nope
inspect nope
inspect -f '{{.State.Status}}' web
inspect -f '{{json .Config}}' web
inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}' web
inspect -f '{{index .Config.Labels "a"}}' web
inspect -f '{{len .Config.Env}} {{printf "%s-%d" .Name 3}}' web
inspect -f '{{with .HostConfig}}{{.NetworkMode}}{{end}}' web
inspect -f '{{range .Config.Env}}{{println .}}{{end}}' web
inspect -f '{{join .Config.Cmd " "}} {{.Created}}' web
inspect -f '{{json .NetworkSettings.Ports}}' web
inspect -f '{{.HostConfig.Memory}} {{.HostConfig.Privileged}}' web
inspect --type volume v1
inspect --type bogus n1
inspect --type image web
inspect web bb
container inspect gone
container inspect nope
image inspect bb
image inspect -f '{{.Id}} {{.Os}}/{{.Architecture}} {{.Size}}' bb
image inspect -f '{{.Config.Labels}} {{.Config.Entrypoint}} {{.Config.Env}} {{.Config.Volumes}} {{.Config.User}}|' bb
image inspect -f '{{json .Config.Labels}} {{json .Config.Entrypoint}} {{json .RepoTags}} {{len .Config.Labels}}' bb
image inspect -f '{{.Config.Healthcheck}} {{index .Config.Labels "none"}}| {{.Author}}|' bb
inspect -f '{{.Config.ExposedPorts}} {{.State.Health}} {{.HostConfig.Tmpfs}} {{.ExecIDs}} {{.HostConfig.Init}}' web
inspect -f '{{json .Config.ExposedPorts}} {{json .HostConfig.Tmpfs}} {{json .HostConfig.CapAdd}} {{.SizeRw}}' web
inspect -f '{{.HostConfig.CapAdd}} {{.Config.StopTimeout}} {{.HostConfig.Sysctls}} {{.Config.OnBuild}} {{.Mounts}}' web
inspect -f '{{range .HostConfig.Binds}}{{.}}{{else}}none{{end}} {{if .Config.Healthcheck}}looked{{end}}' web
network inspect -f '{{.Labels}} {{.Options}} {{json .Peers}} {{.Services}}' none
volume inspect -f '{{.Labels}} {{.Options}} {{.Status}} {{json .Options}} {{.UsageData}}' v1
image inspect nope
network ls
network ls -q
network ls --no-trunc
network ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}} {{.CreatedAt}}'
network ls --format json
network ls --filter driver=bridge
network ls --filter nope=x
network inspect n1
network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' n1
network inspect nope
volume ls
volume ls -q
volume ls --format json
volume inspect v1
volume inspect nope
history --no-trunc -q bb
history -H=false --format '{{.ID}} {{.Size}} {{.CreatedBy}}' bb
history nope
top web -o pid,comm
top gone
top nope
port web
port gone
port nope
port web 81
diff gone
diff nope
logs gone
logs nope
logs --tail 1 gone
logs --since nonsense gone
stats --no-stream nope
events --since 1h --until 0s --format '{{.Type}} {{.Action}} {{.Actor.ID}}'
events --since 1h --until 0s --filter type=network
events --since 1h --until 0s --filter container=web
wait gone
wait nope
start nope
stop nope
kill nope
kill gone
kill -s NOSUCH web
rm nope
rm web
rmi nope
rename nope x
rename web gone
pause gone
pause nope
unpause web
update nope
restart nope
exec nope true
exec gone true
exec web nosuch
exec web false
exec web sh -c 'echo out; echo err >&2; exit 5'
run --rm bb sh -c 'exit 7'
run --rm bb nosuch
run --name web bb true
run --network nosuch bb true
run
create
create --name web bb
attach gone
attach nope
cp nope:/x .
cp web:/nosuch .
commit nope
tag nope x
tag bb
save nope
load -i /nosuch
network create n1
network connect nope web
network connect n1 nope
network disconnect nope web
volume rm nope
volume create --driver nope x
ps nothing
container nosuch
inspect
rm
stop
network create
volume inspect
search
swarm leave
swarm join
node ls
node inspect self
service ls
service create --name x bb
stack ls
config ls
plugin ls
plugin ls -q
plugin inspect nope
plugin rm nope
plugin enable nope
checkpoint ls web
checkpoint create web x
context show
context use nosuch
context rm nosuch
context create default
context create 'a b'
image prune -f
container prune -f --filter label=none
network prune -f --filter label=none
volume prune -f --filter label=none
"#;

/// Commands with too few words, too many, and flags that there are not.
const MISTAKES: &str = r#"
attach
attach web gone
attach --bogus web
commit
commit --bogus web
container rm
container exec web
container rename web
container nosuch web
context import
context inspect nosuch
cp
cp web:/x
cp web:/x web:/y z
create --bogus bb
create --memory nonsense bb
diff
diff web gone
events extra
exec
exec web
exec --bogus web true
export
export nope
history
history bb web
image inspect
image rm
image tag bb
images --bogus
info extra
inspect --bogus web
kill
kill --bogus web
load extra
load -i
logs --tail nonsense web
manifest inspect
network connect n1
network connect --bogus n1 web
network create --bogus x
network create --driver nosuch x
network disconnect n1
network inspect
network nosuch
pause
port
ps --bogus
ps extra words
pull
pull a b
pull 'BAD NAME'
push
push a b
rename
rename web
restart
rmi
run --bogus bb
run --network
run --cpus nonsense bb
run --ulimit nonsense bb
run --log-driver nosuch bb
run --pid nonsense bb
run -e
save
start
start --bogus web
stats --bogus
stop --bogus web
swarm nosuch
system df extra
system nosuch
tag
tag a b c
unpause
unpause nope
update
update web
update --bogus web
update --memory nonsense web
update --cpus nonsense web
version extra
version --bogus
volume create --bogus
volume rm
wait
context use
context use a b
create --restart sometimes bb
create --restart always:3 bb
create --restart on-failure:x bb
create --restart on-failure:-1 bb
run --restart sometimes bb
update --restart sometimes web
stop --time x web
stop --timeout x web
stop -t x web
restart --time=x web
logout localhost:1
events --since nonsense
events --until nonsense
logs --until nonsense web
save -o /nosuch/x bb
save -o /dev/null/x bb
save -o /tmp bb
export -o /nosuch/x web
nosuch
--bogus
-H
"#;

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn asked(brig: &Brig, client: Client, words: &[String]) -> Output {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = brig.command(client, &words);
    command.env("DOCKER_API_VERSION", VERSION);
    brig.finish_command(&mut command)
}

/// Text without the program's own name.
fn nameless(text: &str) -> String {
    text.replace("brig", "docker").replace("Brig", "Docker")
}

#[test]
fn the_same_words() {
    if !root() {
        return;
    }
    if Client::Docker28.program().is_none() {
        eprintln!("SKIP: docker 28 is not on this machine (scripts/setup.sh test)");
        return;
    }
    let brig = Brig::with_image();
    for line in [
        "run -d --name web -p 127.0.0.1::80 -l a=b -e X=y bb sleep 100000",
        "network create n1",
        "volume create v1",
        "tag bb other/bb:2",
    ] {
        asked(&brig, Client::Brig, &words(line)).ok();
    }
    let gone = words("run --name gone bb sh -c 'echo hi; echo err >&2; exit 3'");
    assert_eq!(asked(&brig, Client::Brig, &gone).code, 3);
    assert_eq!(differences(&brig, QUESTIONS), "");
    asked(&brig, Client::Brig, &words("rm -f web gone")).ok();
    brig.finish();
}

#[test]
fn the_same_words_for_mistakes() {
    if !root() {
        return;
    }
    if Client::Docker28.program().is_none() {
        eprintln!("SKIP: docker 28 is not on this machine (scripts/setup.sh test)");
        return;
    }
    let brig = Brig::with_image();
    asked(
        &brig,
        Client::Brig,
        &words("run -d --name web bb sleep 100000"),
    )
    .ok();
    asked(&brig, Client::Brig, &words("network create n1")).ok();
    assert_eq!(differences(&brig, MISTAKES), "");
    brig.finish();
}

/// What both clients say, where that is not the same.
fn differences(brig: &Brig, questions: &str) -> String {
    let mut differ = String::new();
    for line in questions.lines().filter(|line| !line.is_empty()) {
        let line = words(line);
        let (ours, theirs) = (
            asked(brig, Client::Brig, &line),
            asked(brig, Client::Docker28, &line),
        );
        let same = ours.code == theirs.code
            && nameless(&ours.stdout) == nameless(&theirs.stdout)
            && nameless(&ours.stderr) == nameless(&theirs.stderr);
        if !same {
            differ.push_str(&format!("{ours}\n{theirs}\n"));
        }
    }
    differ
}
