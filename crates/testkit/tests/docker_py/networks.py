"""What docker-py does with networks and volumes: run by tests/peers.rs with a daemon that has the image bb.

    networks.py PREFIX

PREFIX is the first three numbers of addresses of which those above 191 are nobody's.
"""

import sys
import time

import docker
from docker.errors import APIError, NotFound
from docker.types import EndpointConfig, IPAMConfig, IPAMPool, Mount

(prefix,) = sys.argv[1:]
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


def sleeper(name, **named):
    return client.containers.run("bb", ["sleep", "1000"], name=name, detach=True, **named)


def told(container, command, *wanted):
    """What comes together with the head of the answer docker-py loses: it is asked again."""
    for _ in range(600):
        _, out = container.exec_run(command)
        if all(words.encode() in out for words in wanted):
            return
        time.sleep(0.1)
    raise AssertionError(f"{command} says {out}, not {wanted}")


def addresses(container):
    container.reload()
    return {
        name: network["IPAddress"]
        for name, network in container.attrs["NetworkSettings"]["Networks"].items()
    }


@step
def networks_come_and_go():
    made = client.networks.create("shop", labels={"team": "a"}, check_duplicate=True)
    assert made.name == "shop" and made.attrs["Driver"] == "bridge", made.attrs
    assert client.networks.get(made.id).name == "shop"
    assert client.networks.get("shop").id == made.id
    listed = lambda **named: sorted(n.name for n in client.networks.list(**named))
    assert listed() == ["bridge", "host", "none", "shop"], listed()
    assert listed(names=["shop"]) == ["shop"]
    assert listed(ids=[made.id[:12]]) == ["shop"]
    assert listed(filters={"label": "team=a"}) == ["shop"]
    assert listed(filters={"driver": "host"}) == ["host"]
    assert "already exists" in refused(APIError, client.networks.create, "shop")
    refused(NotFound, client.networks.get, "missing")
    assert "pre-defined" in refused(APIError, client.networks.get("bridge").remove)
    made.remove()
    assert listed() == ["bridge", "host", "none"]


@step
def addresses_are_as_asked():
    pool = IPAMPool(
        subnet=f"{prefix}.192/26", iprange=f"{prefix}.224/27", gateway=f"{prefix}.201"
    )
    client.networks.create(
        "fixed", driver="bridge", internal=True, ipam=IPAMConfig(pool_configs=[pool])
    )
    network = client.networks.get("fixed")
    assert network.attrs["Internal"]
    config = network.attrs["IPAM"]["Config"][0]
    assert config["Subnet"] == f"{prefix}.192/26" and config["Gateway"] == f"{prefix}.201"
    place = EndpointConfig(
        "1.44", ipv4_address=f"{prefix}.210", mac_address="02:11:22:33:44:55"
    )
    one = sleeper("one", network="fixed", networking_config={"fixed": place})
    assert addresses(one) == {"fixed": f"{prefix}.210"}, addresses(one)
    two = client.containers.create("bb", ["sleep", "1000"], name="two")
    client.networks.get("bridge").disconnect(two)
    client.api.connect_container_to_network(
        "two", "fixed", ipv4_address=f"{prefix}.211", aliases=["front"]
    )
    two.start()
    assert addresses(two) == {"fixed": f"{prefix}.211"}, addresses(two)
    assert "front" in two.attrs["NetworkSettings"]["Networks"]["fixed"]["Aliases"]
    told(one, ["nslookup", "front", "127.0.0.11"], f"{prefix}.211")
    network.reload()
    assert sorted(c.name for c in network.containers) == ["one", "two"]
    assert "active endpoints" in refused(APIError, network.remove)
    for container in (one, two):
        container.remove(force=True)
    network.remove()


@step
def containers_join_and_leave_while_they_run():
    shop = client.networks.create("shop")
    web = sleeper("web")
    assert list(addresses(web)) == ["bridge"]
    shop.connect(web, aliases=["front"])
    assert sorted(addresses(web)) == ["bridge", "shop"] and all(addresses(web).values())
    assert "already exists" in refused(APIError, shop.connect, web)
    told(web, ["ip", "-o", "-4", "addr"], addresses(web)["shop"])
    shop.disconnect("web")
    assert list(addresses(web)) == ["bridge"]
    assert "not connected" in refused(APIError, shop.disconnect, web)
    web.remove(force=True)
    assert client.networks.prune() == {"NetworksDeleted": ["shop"]}


@step
def networks_are_told_everything_docker_py_can_say():
    full = client.networks.create(
        "full",
        driver="bridge",
        options={"com.docker.network.driver.mtu": "1400"},
        labels={"team": "b"},
        enable_ipv6=True,
        attachable=True,
        scope="local",
        ingress=False,
    )
    full.reload()
    for key, value in {"Attachable": True, "EnableIPv6": True, "Scope": "local"}.items():
        assert full.attrs[key] == value, full.attrs
    assert full.attrs["Options"]["com.docker.network.driver.mtu"] == "1400"
    four, six = (pool["Subnet"] for pool in full.attrs["IPAM"]["Config"])
    assert ":" in six and ":" not in four, full.attrs["IPAM"]
    assert client.api.inspect_network(full.id, verbose=True, scope="local")["Name"] == "full"
    store, guest = sleeper("store", network="full"), sleeper("guest")
    own6 = six.replace("/64", "9") if six.endswith("::/64") else None
    full.connect(
        guest,
        aliases=["front"],
        links=[("store", "kv")],
        ipv6_address=own6,
        link_local_ips=["169.254.7.9"],
        driver_opt={"com.docker.network.endpoint.ifname": "lan7"},
        mac_address="02:11:22:33:44:66",
    )
    guest.reload()
    place = guest.attrs["NetworkSettings"]["Networks"]["full"]
    assert place["GlobalIPv6Address"] == own6 and place["Links"] == ["store:kv"], place
    assert place["MacAddress"] == "02:11:22:33:44:66", place
    told(guest, ["ip", "address", "show", "lan7"], "169.254.7.9", "02:11:22:33:44:66")
    told(guest, ["nslookup", "kv", "127.0.0.11"], addresses(store)["full"])
    guest.remove(force=True)
    full.disconnect("nobody", force=True)
    listed = lambda **filters: sorted(n.name for n in client.networks.list(filters=filters))
    assert listed(type="custom") == ["full"] and listed(dangling=True) == []
    with_containers = client.networks.list(names=["full"], greedy=True)[0]
    assert [c.name for c in with_containers.containers] == ["store"]
    store.remove(force=True)
    assert client.networks.prune(filters={"label": "team=c"})["NetworksDeleted"] is None
    assert client.networks.prune(filters={"label": ["team=b"]}) == {"NetworksDeleted": ["full"]}


@step
def ports_are_published():
    web = sleeper("web", ports={"80/tcp": None, "53/udp": ("127.0.0.1", None)})
    web.reload()
    published = web.ports
    assert published["80/tcp"][0]["HostPort"].isdigit(), published
    assert published["53/udp"][0]["HostIp"] == "127.0.0.1", published
    assert client.api.port(web.id, 80)[0]["HostPort"] == published["80/tcp"][0]["HostPort"]
    web.remove(force=True)


@step
def limits_and_their_counts():
    web = sleeper("web", mem_limit="64m")
    assert web.update(mem_limit="96m", memswap_limit="192m")["Warnings"] is None
    web.reload()
    assert web.attrs["HostConfig"]["Memory"] == 96 << 20
    once = web.stats(stream=False)
    assert once["memory_stats"]["limit"] == 96 << 20, once["memory_stats"]
    assert once["networks"]["eth0"]["rx_bytes"] >= 0 and once["name"] == "/web"
    looks = web.stats(decode=True)
    first, second = next(looks), next(looks)
    assert second["preread"] == first["read"]
    looks.close()
    web.remove(force=True)


@step
def volumes_come_and_go():
    data = client.volumes.create("data", driver="local", labels={"team": "a"})
    assert data.name == "data" and data.attrs["Labels"] == {"team": "a"}
    assert client.volumes.create("data").attrs["CreatedAt"] == data.attrs["CreatedAt"]
    names = lambda **named: sorted(v.name for v in client.volumes.list(**named))
    client.volumes.create("other")
    assert names() == ["data", "other"]
    assert names(filters={"label": "team=a"}) == ["data"]
    assert names(filters={"name": "oth"}) == ["other"]
    refused(NotFound, client.volumes.get, "missing")
    assert "includes invalid characters" in refused(APIError, client.volumes.create, "a/b")
    client.volumes.get("other").remove()
    assert names() == ["data"]


@step
def volumes_are_told_everything_docker_py_can_say():
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=33"}
    memory = client.volumes.create("memory", driver="local", driver_opts=options, labels={"a": ""})
    assert memory.attrs["Options"] == options and memory.attrs["Scope"] == "local", memory.attrs
    assert client.api.inspect_volume("memory")["Labels"] == {"a": ""}
    run = ["stat", "-c", "%u", "/m"]
    assert client.containers.run("bb", run, remove=True, volumes=["memory:/m"]) == b"33\n"
    user = client.containers.create("bb", ["true"], volumes=["memory:/m"])
    names = lambda **filters: sorted(v.name for v in client.volumes.list(filters=filters))
    assert names(dangling=True) == ["data"] and names(dangling=False) == ["memory"]
    assert names(driver="local") == ["data", "memory"] and names(driver="other") == []
    assert names(label="a") == ["memory"]
    user.remove()
    assert "other" in refused(APIError, client.volumes.create, "odd", driver="other")
    assert client.volumes.prune(filters={"label": "none"})["VolumesDeleted"] in (None, [])
    memory.remove(force=True)
    refused(NotFound, client.api.remove_volume, "memory")
    assert names() == ["data"]


@step
def volumes_hold_what_containers_write():
    run = lambda command, **named: client.containers.run(
        "bb", ["sh", "-c", command], remove=True, **named
    )
    run("echo kept > /data/f", volumes={"data": {"bind": "/data", "mode": "rw"}})
    assert run("cat /in/f", mounts=[Mount("/in", "data", read_only=True)]) == b"kept\n"
    user = sleeper("user", volumes=["data:/data"])
    user.reload()
    mount = user.attrs["Mounts"]
    assert (mount[0]["Type"], mount[0]["Name"]) == ("volume", "data"), mount
    assert "in use" in refused(APIError, client.volumes.get("data").remove)
    user.remove(force=True)
    sleeper("own", volumes=["/own"]).remove(force=True, v=True)
    assert [v.name for v in client.volumes.list()] == ["data"]
    pruned = client.volumes.prune(filters={"all": "true"})
    assert pruned["VolumesDeleted"] == ["data"] and pruned["SpaceReclaimed"] > 0, pruned


print(*done)
