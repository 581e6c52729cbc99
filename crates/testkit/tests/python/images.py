# Images and the system as docker-py sees them.
import threading

import docker

client = docker.from_env(timeout=170)
images = client.images

image = images.get("bb")
assert image.tags == ["bb:latest"] and image.id.startswith("sha256:"), image.tags
assert image.attrs["Os"] == "linux" and image.attrs["Size"] > 0
assert len(image.history()) >= 1
assert image.tag("harbour/boat", "1") and image.tag("harbour/boat:2")
image.reload()
assert sorted(image.tags) == ["bb:latest", "harbour/boat:1", "harbour/boat:2"], image.tags
assert [i.id for i in images.list(name="harbour/boat")] == [image.id]
assert [i.id for i in images.list(filters={"reference": "harbour/*:1"})] == [image.id]
assert images.list(filters={"dangling": True}) == []

# Out and in again.
saved = b"".join(image.save(named="harbour/boat:1"))
images.remove("harbour/boat:1")
try:
    images.get("harbour/boat:1")
    raise AssertionError("it is gone")
except docker.errors.ImageNotFound:
    pass
loaded = images.load(saved)
assert loaded[0].id == image.id and "harbour/boat:1" in loaded[0].tags, loaded

# From a container.
container = client.containers.run("bb", ["sh", "-c", "echo tide > /note"], detach=True, name="writer")
container.wait()
copy = container.commit("harbour/note", tag="1", message="a note", author="me", conf={"Cmd": ["cat", "/note"]})
assert client.containers.run("harbour/note:1", remove=True) == b"tide\n"
assert copy.attrs["Author"] == "me" and copy.attrs["Comment"] == "a note", copy.attrs
container.remove()
removed = client.api.remove_image("harbour/note:1")
assert {"Untagged": "harbour/note:1"} in removed, removed

# The system.
assert client.ping() is True
version = client.version()
assert client.api.api_version == version["ApiVersion"], version
info = client.info()
assert info["OSType"] == "linux" and info["NCPU"] >= 1 and info["Images"] >= 1, info
df = client.df()
assert {"ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage"} <= set(df), df
for what in (client.swarm.reload, client.services.list, client.secrets.list, client.configs.list, client.nodes.list):
    try:
        what()
        raise AssertionError("there is no swarm")
    except docker.errors.APIError as error:
        assert error.status_code == 503, error
assert client.plugins.list() == []

# Events, as they come and from the past.
events = client.events(decode=True, filters={"type": "container", "container": "eventful"})
seen = []


def listen():
    for event in events:
        seen.append(event["Action"])
        if event["Action"] == "destroy":
            return


listener = threading.Thread(target=listen)
listener.start()
client.containers.run("bb", ["true"], name="eventful", remove=True)
listener.join(60)
events.close()
for action in ("create", "start", "die", "destroy"):
    assert action in seen, seen

images.remove("harbour/boat:1")
images.remove("harbour/boat:2")
images.prune(filters={"dangling": False})
assert images.list() == [], images.list()
print("all is well")
