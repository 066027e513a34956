"""Debian's azure-cli finds the gateway and signs in."""
import pytest

from lab.az import Azure


def test_the_counter_counts(network):
    """What wants to leave shows: the zeros elsewhere mean something."""
    from lab.az import Outside
    ns = Outside(inside=network.gateway)
    try:
        assert ns.tried() == 0
        with pytest.raises(OSError):
            ns.connect("192.0.2.9", 443, timeout=5)
        assert ns.tried() >= 1
    finally:
        ns.close()


def test_cloud_registered_by_explicit_endpoints(gateway, cli):
    cloud = cli("engineer").json("cloud", "show")
    assert cloud["name"] == "caponier" and cloud["isActive"]
    assert cloud["endpoints"]["resourceManager"] == gateway.url
    assert cloud["endpoints"]["activeDirectory"] == gateway.url + "/adfs"


def test_wrong_secret_is_said(cli):
    r = cli("engineer").run("login", "--service-principal", "-u", "11111111-2222-3333-4444-555555555555", "-p", "wrong",
                            "--tenant", "adfs", check=1)
    assert "ERROR: " in r.err and "Please run:\naz login" in r.err, r
    assert "Traceback" not in r.err
