"""What docker-py does with images: run by tests/peers.rs with a daemon and two registries.

    images.py ARCHIVE PLAIN_REGISTRY LOCKED_REGISTRY USER PASSWORD ADDRESS_OF_ARCHIVE WORK
"""

import json
import sys

import docker
from docker.errors import APIError, ImageNotFound, NotFound

archive, plain, locked, user, password, address, work = sys.argv[1:]
client = docker.from_env(timeout=170)
done = []


def step(function):
    function()
    done.append(function.__name__)


def refused(error, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except error as reason:
        return str(reason)
    raise AssertionError(f"{call} was not refused")


def last(stream):
    """The JSON messages of a stream; none of them is an error."""
    messages = [json.loads(line) for line in stream.splitlines() if line.strip()]
    assert not [m for m in messages if "error" in m], messages
    return messages[-1]


@step
def imports():
    made = client.api.import_image_from_file(
        archive, repository="py", tag="1", changes=['CMD ["echo", "hi"]', "LABEL team=a"]
    )
    assert last(made)["status"].startswith("sha256:"), made
    made = client.api.import_image_from_url(address, repository="py", tag="url")
    assert last(made)["status"].startswith("sha256:"), made
    with open(archive, "rb") as data:
        made = client.api.import_image_from_data(data.read(), repository="py", tag="data")
    assert last(made)["status"].startswith("sha256:"), made


@step
def lists_and_filters():
    names = sorted(tag for image in client.images.list() for tag in image.tags)
    assert names == ["py:1", "py:data", "py:url"], names
    listed = lambda **named: [i.tags for i in client.images.list(**named)]
    assert listed(name="py:url") == [["py:url"]]
    assert listed(filters={"label": "team=a"}) == [["py:1"]]
    assert listed(filters={"dangling": True}) == []
    assert listed(filters={"reference": "py:d*"}) == [["py:data"]]
    assert len(client.images.list(all=True)) == 3
    assert "invalid filter" in refused(APIError, client.images.list, filters={"nonsense": "1"})


@step
def inspects_and_tags():
    image = client.images.get("py:1")
    assert image.labels == {"team": "a"} and image.tags == ["py:1"], image.attrs
    assert image.attrs["Os"] == "linux" and image.attrs["Config"]["Cmd"] == ["echo", "hi"]
    assert image.id.startswith("sha256:") and image.short_id in image.id
    history = image.history()
    assert len(history) == 1 and history[0]["Id"] == image.id, history
    assert image.tag(f"{plain}/py", tag="v1")
    image.reload()
    assert f"{plain}/py:v1" in image.tags
    assert "No such image" in refused(ImageNotFound, client.images.get, "none:1")


@step
def pushes_and_pulls():
    before = client.images.get("py:1").id
    messages = [json.loads(m) for m in client.images.push(f"{plain}/py", tag="v1").splitlines()]
    digests = [m["aux"]["Digest"] for m in messages if "aux" in m]
    assert digests == [before], messages
    data = client.images.get_registry_data(f"{plain}/py:v1")
    assert data.id == before and data.attrs["Platforms"], data.attrs
    client.images.remove(f"{plain}/py:v1")
    assert client.images.pull(f"{plain}/py", tag="v1").id == before
    assert client.images.pull(f"{plain}/py@{before}").id == before
    client.api.tag("py:url", f"{plain}/py", "v2")
    list(client.images.push(f"{plain}/py", tag="v2", stream=True, decode=True))
    client.images.remove(f"{plain}/py:v2")
    pulled = client.images.pull(f"{plain}/py", all_tags=True)
    tags = {tag for image in pulled for tag in image.tags}
    assert {f"{plain}/py:v1", f"{plain}/py:v2"} <= tags, tags
    refused(NotFound, client.images.pull, f"{plain}/none", tag="v1")


@step
def logs_in():
    client.api.tag("py:1", f"{locked}/py", "v1")
    errors = [m for m in client.images.push(f"{locked}/py", tag="v1", stream=True, decode=True)]
    assert "error" in errors[-1], errors
    text = refused(APIError, client.login, user, "wrong", registry=locked)
    assert "401" in text, text
    assert client.login(user, password, registry=locked)["Status"] == "Login Succeeded"
    pushed = list(client.images.push(f"{locked}/py", tag="v1", stream=True, decode=True))
    assert not [m for m in pushed if "error" in m], pushed
    given = {"username": user, "password": password}
    assert client.images.pull(f"{locked}/py", tag="v1", auth_config=given).tags
    found = client.images.search(f"{plain}/py", limit=5)
    assert [line["name"] for line in found] == [f"{plain}/py"], found


@step
def saves_and_loads():
    image = client.images.get("py:1")
    file = f"{work}/saved.tar"
    with open(file, "wb") as out:
        for chunk in image.save(named="py:1"):
            out.write(chunk)
    # With all its names, those by digest too.
    client.images.remove(image.id, force=True)
    with open(file, "rb") as saved:
        loaded = client.images.load(saved)
    assert [i.id for i in loaded] == [image.id] and loaded[0].tags == ["py:1"], loaded
    ran = client.containers.run("py:1", remove=True, network_mode="none")
    assert ran == b"hi\n", ran


@step
def removes_and_prunes():
    client.containers.create("py:1", name="user", network_mode="none")
    assert "409" in refused(APIError, client.images.remove, "py:1")
    client.containers.get("user").remove()
    with open(archive, "rb") as data:
        client.api.import_image_from_data(data.read())
    assert len(client.images.list(filters={"dangling": True})) == 1
    pruned = client.images.prune(filters={"dangling": True})
    assert len(pruned["ImagesDeleted"]) == 1 and pruned["SpaceReclaimed"] >= 0, pruned
    pruned = client.images.prune(filters={"dangling": False})
    assert client.images.list() == [], pruned


print(" ".join(done))
