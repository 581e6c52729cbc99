# Containers as docker-py makes, changes, reads and removes them.
import io
import tarfile

import docker

client = docker.from_env(timeout=170)
containers = client.containers

# In the foreground: output, errors, exit codes.
assert containers.run("bb", ["echo", "hello"], remove=True) == b"hello\n"
both = containers.run("bb", ["sh", "-c", "echo out; echo err >&2"], stderr=True, remove=True)
assert sorted(both.split()) == [b"err", b"out"], both
try:
    containers.run("bb", ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    raise AssertionError("an exit code of 3 is an error")
except docker.errors.ContainerError as error:
    assert error.exit_status == 3 and b"why" in error.stderr, error
try:
    client.api.create_container("nobody-has-this:1", "true")
    raise AssertionError("there is no such image")
except docker.errors.ImageNotFound:
    pass

# Settings come back as they were given.
made = containers.create(
    "bb", ["sleep", "1000"], name="settings", hostname="harbour", labels={"tier": "front"},
    environment={"COLOUR": "red"}, mem_limit="64m", pids_limit=50, cap_drop=["ALL"], nano_cpus=500_000_000,
    restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}, read_only=True, tmpfs={"/run": "size=1m"},
    sysctls={"net.ipv4.ip_unprivileged_port_start": "0"}, ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
    extra_hosts={"other": "10.1.2.3"}, stop_signal="SIGKILL", shm_size="1m", init=True, user="1000:1000",
    log_config=docker.types.LogConfig(type="json-file", config={"max-size": "1m"}),
    healthcheck={"test": ["CMD", "true"], "interval": 10**9},
)
assert made.status == "created", made.status
host = made.attrs["HostConfig"]
wanted = {
    "Memory": 64 << 20, "PidsLimit": 50, "CapDrop": ["ALL"], "NanoCpus": 500_000_000, "ReadonlyRootfs": True,
    "ShmSize": 1 << 20, "Init": True, "ExtraHosts": ["other:10.1.2.3"], "Tmpfs": {"/run": "size=1m"},
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
}
for key, value in wanted.items():
    assert host[key] == value, (key, host[key])
assert made.labels == {"tier": "front"} and made.attrs["Config"]["Hostname"] == "harbour"

# The life of one.
made.start()
made.reload()
assert made.status == "running" and made.attrs["State"]["Pid"] > 0
code, told = made.exec_run(["sh", "-c", "id -u; hostname; echo $COLOUR; ulimit -n; cat /etc/hosts"])
assert code == 0, told
assert told.split()[:4] == [b"1000", b"harbour", b"red", b"100"], told
assert b"10.1.2.3\tother" in told, told
made.pause()
made.reload()
assert made.status == "paused"
made.unpause()
made.rename("renamed")
assert containers.get("renamed").id == made.id
made.update(mem_limit="128m", memswap_limit="128m")
made.reload()
assert made.attrs["HostConfig"]["Memory"] == 128 << 20
assert any("sleep" in " ".join(row) for row in made.top()["Processes"])
sample = made.stats(stream=False)
assert sample["memory_stats"]["usage"] > 0 and sample["pids_stats"]["current"] >= 1, sample
first = next(made.stats(stream=True, decode=True))
assert first["name"] == "/renamed", first
made.restart(timeout=0)
made.kill()
ended = made.wait()
assert ended["StatusCode"] == 137, ended

# Lists and their filters.
names = lambda **filters: sorted(c.name for c in containers.list(all=True, filters=filters))
other = containers.run("bb", ["cat"], name="other", detach=True, stdin_open=True, labels={"tier": "back"})
assert names(label="tier=back") == ["other"] and names(status="running") == ["other"]
assert names(label=["tier"]) == ["other", "renamed"] and names(name="ren") == ["renamed"]
assert names(ancestor="bb", status="exited") == ["renamed"] and names(exited=137) == ["renamed"]
assert [c.name for c in containers.list()] == ["other"]
assert names(before="other") == ["renamed"] and names(since="renamed") == ["other"]

# Files both ways.
pack = io.BytesIO()
with tarfile.open(fileobj=pack, mode="w") as tar:
    entry = tarfile.TarInfo("note")
    entry.size, entry.mode = 4, 0o640
    tar.addfile(entry, io.BytesIO(b"tide"))
assert other.put_archive("/tmp", pack.getvalue())
pieces, stat = other.get_archive("/tmp/note")
assert stat["name"] == "note" and stat["size"] == 4, stat
with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
    assert tar.extractfile("note").read() == b"tide"
assert {"Path": "/tmp/note", "Kind": 1} in other.diff(), other.diff()
exported = b"".join(other.export())
with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
    assert tar.extractfile("tmp/note").read() == b"tide"

# Removal.
try:
    other.remove()
    raise AssertionError("it runs")
except docker.errors.APIError as error:
    assert error.status_code == 409, error
other.remove(force=True)
assert containers.prune()["ContainersDeleted"] == [made.id]
try:
    containers.get("renamed")
    raise AssertionError("it is gone")
except docker.errors.NotFound:
    pass
print("all is well")
