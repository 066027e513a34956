"""The fence: what the gateway never dials, whatever policy says, counted in packets on the veth."""
import pytest

from conftest import VM, inventory
from test_roles import can

SPELLINGS = ["127.0.0.1", "127.1", "0177.0.0.1", "2130706433", "0x7f.1", "0x7f000001", "0.0.0.0", "0", "::1", "[::1]", "::",
             "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16",
             "100.100.100.200", "fd00:ec2::254", "fe80::1", "fe80::1%inside", "ff02::1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
             "255.255.255.255", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:1::1",
             "10.77.0.1", "fd77::1", "localhost", "web1", "10.77.1.4.", " 10.77.1.4", "10.77.1.4 ", "10.77.1.4/32", "010.77.1.4",
             "10.77.1.4%0", "10.77.1.256", "10.77.1", "", "10.77.1.4\n", "http://10.77.1.4", "10.77.1.4:22"]


@pytest.fixture(scope="module")
def counted(network):
    network.count_dials()
    return network


def test_the_counter_counts(gateway, counted):
    """A dial that is allowed shows: the zeros below mean something."""
    import socket
    before = counted.dials_out()
    with gateway.admin.tunnel("--name", "door", "--target-ip-address", "10.77.1.5", "--resource-port", 22) as t:
        with socket.create_connection(("127.0.0.1", t.port)) as c:
            c.sendall(b"SSH-2.0-me\r\n")
            c.settimeout(10)
            try:
                while c.recv(4096):
                    pass
            except ConnectionError:
                pass
    assert counted.dials_out() == before + 1


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_never_dialled(gateway, counted, spelling):
    before = counted.dials_out()
    r = can(gateway.admin, "--target-ip-address", spelling)
    assert r.code != 0
    t = gateway.admin.run("tunnel", "--name", "door", "--target-ip-address", spelling, "--resource-port", 22, "--port", 0, "--timeout", 2)
    assert t.code in (2, 3, 4), t
    assert counted.dials_out() == before


@pytest.mark.parametrize("prefix", ["127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/0", "224.0.0.0/4", "::/0", "fe80::/10", "10.77.1.4/24"])
def test_such_prefixes_are_not_taken(gateway, prefix):
    inv = inventory()
    inv["networks"].append({"name": "bad", "group": "lab", "prefixes": [prefix]})
    r = gateway.apply(inv, check=None)
    assert r.code != 0


def test_the_gateways_own_address_inside_a_declared_prefix(own_gateway, network):
    """10.77.0.1 is the gateway's own: declared, allowed by policy, still never dialled."""
    import socket
    inv = inventory()
    inv["networks"][0]["prefixes"].append("10.77.0.0/28")
    own_gateway.apply(inv)
    inside = network.gateway.listen("10.77.0.1", 22)
    inside.settimeout(2)
    try:
        with own_gateway.admin.tunnel("--name", "door", "--target-ip-address", "10.77.0.1", "--resource-port", 22) as t:
            c = socket.create_connection(("127.0.0.1", t.port))
            c.sendall(b"SSH-2.0-me\r\n")
            c.settimeout(10)
            try:
                while c.recv(4096):
                    pass
            except ConnectionError:
                pass
            assert "never dials" in t.stderr()
        with pytest.raises(TimeoutError):
            inside.accept()
    finally:
        inside.close()


def test_loopback_fence_can_only_be_lifted_on_loopback(network, tmp_path):
    from lab.gateway import Gateway
    g = Gateway(network, tmp_path / "g", fence_allow_loopback=True)
    g.settings["listen"] = ["0.0.0.0:0"]
    with pytest.raises(AssertionError):
        g.start()
    assert "fence_allow_loopback" in g.log_text()
    g.process.wait(timeout=10)
    g.listener.close()
