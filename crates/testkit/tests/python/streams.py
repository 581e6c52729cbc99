# Attach, logs and exec in every form that docker-py has, WebSockets among them.
import os
import socket
import struct
import time

import docker
import websocket

client = docker.from_env(timeout=170)
api = client.api


def patiently(what, look):
    end = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end, what
        time.sleep(0.01)


# A container's own streams.
echo = client.containers.run("bb", ["cat"], name="echo", detach=True, stdin_open=True)
sock = echo.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
sock._sock.sendall(b"tide\n")
head = sock.read(8)
kind, length = struct.unpack(">BxxxL", head)
assert (kind, sock.read(length)) == (1, b"tide\n")
sock.close()

# The same by WebSocket, with a client of that protocol.
plain = socket.socket(socket.AF_UNIX)
plain.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))
ws = websocket.create_connection(
    "ws://localhost/v1.55/containers/echo/attach/ws?stdin=1&stdout=1&stderr=1&stream=1", socket=plain, timeout=60
)
ws.send("by frame\n")
assert ws.recv() == b"by frame\n"
ws.ping("are you there")
ws.send_binary(b"x" * 70000 + b"\n")
got = b""
while len(got) < 70001:
    got += ws.recv()
assert got == b"x" * 70000 + b"\n"
ws.close()
echo.reload()
assert echo.status == "running", echo.status

# Logs: whole, the last ones, followed, with times.
patiently("the log", lambda: b"by frame\n" in echo.logs())
assert echo.logs().startswith(b"tide\nby frame\n")
talker = client.containers.run("bb", ["sh", "-c", "for i in 1 2 3; do echo line $i; done; read x; echo bye"],
                               name="talker", detach=True, stdin_open=True)
followed = talker.logs(stream=True, follow=True)
assert next(followed) == b"line 1\n"
api.attach_socket("talker", params={"stdin": 1, "stream": 1})._sock.sendall(b"\n")
assert b"".join(followed).endswith(b"line 3\nbye\n")
assert talker.wait()["StatusCode"] == 0
assert talker.logs(tail=1) == b"bye\n" and talker.logs(stderr=True, stdout=False) == b""
stamped = talker.logs(timestamps=True).splitlines()
assert len(stamped) == 4 and stamped[0].endswith(b"Z line 1"), stamped
assert talker.logs(since=int(time.time()) + 3600) == b""
assert talker.logs() == b"line 1\nline 2\nline 3\nbye\n"

# Exec.
code, out = echo.exec_run(["sh", "-c", "echo out; echo err >&2; exit 5"], demux=True)
assert code == 5 and out == (b"out\n", b"err\n"), (code, out)
code, out = echo.exec_run(["pwd"], workdir="/tmp", environment={"A": "b"}, user="1000")
assert (code, out) == (0, b"/tmp\n"), (code, out)
code, out = echo.exec_run(["tty"], tty=True)
assert code == 0 and b"/dev/pts/" in out, out
made = api.exec_create("echo", ["cat"], stdin=True)["Id"]
sock = api.exec_start(made, socket=True)
sock._sock.sendall(b"within\n")
kind, length = struct.unpack(">BxxxL", sock.read(8))
assert (kind, sock.read(length)) == (1, b"within\n")
patiently("the session", lambda: api.exec_inspect(made)["Running"])
sock.close()
streamed = echo.exec_run(["sh", "-c", "echo a; echo b"], stream=True).output
assert b"".join(streamed) == b"a\nb\n"
# It may have ended by the time it is asked about.
assert echo.exec_run(["true"], detach=True).exit_code in (None, 0)
try:
    echo.exec_run(["no-such-command"])
except docker.errors.APIError as error:
    assert error.status_code in (400, 404, 500), error

for container in (echo, talker):
    container.remove(force=True)
print("all is well")
