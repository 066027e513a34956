"""Two bastions and an Azure CLI, whose token requests name none of them."""
import pytest

from conftest import VM, inventory, started
from lab.gateway import ADMIN, eventually, every_record
from test_azure_door import AzureClient, opened
from test_clock_jumps import signed_in


@pytest.fixture(scope="module")
def two(network, folder):
    """door in hub is for port 22 only; side in spoke, which is peered, takes 22 and 2222; plain is no native client's."""
    g = started(network, folder / "two-bastions")
    bastion = {"group": "lab", "sku": "Standard", "native_client": True, "ip_connect": True}
    g.apply(inventory(bastions=[
        {**bastion, "name": "door", "network": "hub", "ports": [22]},
        {**bastion, "name": "side", "network": "spoke", "ports": [22, 2222]},
        {**bastion, "name": "a-plain", "network": "hub", "sku": "Basic", "native_client": False, "ip_connect": False}]))
    yield g
    g.close()


@pytest.fixture
def az(two):
    return AzureClient(two, signed_in(two).json()["access_token"])


def live(g):
    return {s["bastion"].rsplit("/", 1)[1] for s in g.admin.json("session", "list")["value"]}


def test_what_none_allows_is_refused_by_the_nearest(two, az):
    r = az.post(port=8080, headers={"Caponier-Client": "1"})
    assert r.status_code == 403 and "port_not_allowed" in r.text
    refused = eventually(lambda: [x for x in every_record(two.admin) if x["operationName"] == "session.refused"], what="the refusal's record")
    assert refused[-1]["resourceId"].endswith("/door") and refused[-1]["userEmail"] == ADMIN


@pytest.mark.parametrize("port,bastion", [(22, "door"), (2222, "side")])
def test_the_bastion_that_allows_serves(two, az, network, port, bastion):
    with network.machines.listen("10.77.1.5", port) as target:
        target.settimeout(20)
        first = az.tokens(VM + "scripted", port)
        ws, s = opened(az, target, first)
        assert live(two) == {bastion}
        assert az.tokens(VM + "scripted", port)["authToken"] == first["authToken"]  # and goes on serving
        assert az.delete(first["authToken"]).status_code == 204
        ws.close()
        s.close()
        eventually(lambda: not live(two), what="the session has ended")
