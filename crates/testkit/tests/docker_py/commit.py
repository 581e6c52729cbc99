"""commit, as docker-py asks for it."""
import sys

import docker

client = docker.from_env()
with open(sys.argv[1], "rb") as tar:
    client.api.import_image_from_data(tar.read(), repository="bb")
box = client.containers.create(
    "bb", ["sh", "-c", "echo made > /made"], network_mode="none", environment=["A=1"]
)
box.start()
box.wait()

image = box.commit(
    repository="localhost/new",
    tag="v1",
    message="it works",
    author="Ann",
    pause=False,
    changes="ENV B=2\nCMD [\"cat\", \"/made\"]",
    conf={"Labels": {"of": "body"}, "User": "7"},
)
assert image.tags == ["localhost/new:v1"], image.tags
config = image.attrs["Config"]
assert config["User"] == "7", config
assert config["Labels"] == {"of": "body"}, config
assert "A=1" in config["Env"] and "B=2" in config["Env"], config
assert image.attrs["Author"] == "Ann"
assert image.history()[0]["Comment"] == "it works", image.history()
assert client.containers.run(image, remove=True, network_mode="none") == b"made\n"

nameless = box.commit()
assert nameless.tags == []
assert nameless.attrs["RootFS"]["Layers"] == image.attrs["RootFS"]["Layers"]
try:
    box.commit(repository="x", changes=["FROM y"])
except docker.errors.APIError as error:
    assert error.status_code == 400, error
else:
    raise AssertionError("FROM was taken")

box.remove()
for made in (image, nameless):
    client.images.remove(made.id)
print("committed")
