# testcontainers with containers of a test's own: nothing but the daemon's socket is known to it.
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

with Network() as network:
    server = (
        DockerContainer("bb")
        .with_command(["sh", "-c", "echo $COLOUR > /index.html; echo ready; exec httpd -f -p 80 -h /"])
        .with_env("COLOUR", "red")
        .with_exposed_ports(80)
        .with_network(network)
        .with_network_aliases("web")
        .waiting_for(LogMessageWaitStrategy("ready").with_startup_timeout(60))
    )
    with server:
        assert int(server.get_exposed_port(80)) > 0
        code, out = server.exec(["cat", "/index.html"])
        assert (code, out) == (0, b"red\n"), (code, out)
        asks = DockerContainer("bb").with_network(network).with_command(
            ["sh", "-c", "until wget -q -O - http://web; do sleep 0.1; done; echo asked; exec sleep 1000"]
        ).waiting_for(LogMessageWaitStrategy("asked").with_startup_timeout(60))
        with asks:
            stdout, _ = asks.get_logs()
            assert b"red\n" in stdout, stdout
print("all is well")
