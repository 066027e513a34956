"""Behind HAProxy in TCP mode: TLS still ends at the gateway, whose public host is the balancer's."""
import subprocess

import pytest

from conftest import inventory
from lab import net
from lab.gateway import Gateway, eventually
from lab.ssh import ssh


@pytest.fixture
def balanced(network, tmp_path):
    g = Gateway(network, tmp_path / "gateway")
    port = net.free_port()
    g.url = f"https://localhost:{port}"
    g.settings["public_url"] = g.url
    config = tmp_path / "haproxy.cfg"
    config.write_text("global\n  maxconn 500\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
                      f"listen caponier\n  bind 127.0.0.1:{port}\n  server one 127.0.0.1:{g.port} check\n")
    g.start()
    haproxy = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stderr=subprocess.DEVNULL)

    def enrolled():
        try:
            return g.enrol()
        except AssertionError:
            return None
    eventually(enrolled, what="HAProxy passes connections on")
    g.apply(inventory())
    yield g
    haproxy.terminate()
    haproxy.wait()
    g.close()


def test_ssh_through_a_tcp_balancer(balanced, sshd):
    with balanced.admin.tunnel("--name", "door", "web1") as t:
        r = ssh(sshd, t.port, "cat; exit 9", input="x" * 100000)
        assert (r.returncode, len(r.stdout)) == (9, 100000)


def test_the_gateways_own_name_is_refused_then(balanced):
    """Only the public host is served: who comes by another port asked for somebody else."""
    import requests
    r = requests.get(f"https://localhost:{balanced.port}/v1/version", verify=str(balanced.ca), timeout=10)
    assert r.status_code == 421
