"""One private network, one sshd and one gateway a test session; tests that break things make their own."""
import os
import pathlib
import re
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from lab import net  # noqa: E402
from lab.gateway import ARRANGING, BUILD, Gateway, User  # noqa: E402
from lab.sshd import Sshd  # noqa: E402

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/lab"
VM = GROUP_ID + "/providers/Microsoft.Compute/virtualMachines/"
NIC = GROUP_ID + "/providers/Microsoft.Network/networkInterfaces/"
VNET = GROUP_ID + "/providers/Microsoft.Network/virtualNetworks/"
BASTION = GROUP_ID + "/providers/Microsoft.Network/bastionHosts/"


def inventory(**over):
    """The lab: hub with web1 (22), spoke peered with db1, an island that is not."""
    inv = {
        "subscriptions": [{"id": SUBSCRIPTION, "name": "Lab"}],
        "groups": [{"name": "lab"}],
        "networks": [
            {"name": "hub", "group": "lab", "prefixes": ["10.77.1.0/24"], "peerings": ["spoke"]},
            {"name": "spoke", "group": "lab", "prefixes": ["10.77.2.0/24"]},
            {"name": "island", "group": "lab", "prefixes": ["10.77.3.0/24"]},
        ],
        "machines": [
            {"name": "web1", "group": "lab", "network": "hub", "address": "10.77.1.4"},
            {"name": "scripted", "group": "lab", "network": "hub", "address": "10.77.1.5"},
            {"name": "db1", "group": "lab", "network": "spoke", "address": "10.77.2.4"},
            {"name": "lonely", "group": "lab", "network": "island", "address": "10.77.3.4"},
        ],
        "scale_sets": [{"name": "pool", "group": "lab", "network": "hub",
                        "instances": [{"id": "0", "address": "10.77.1.20"}]}],
        "bastions": [
            {"name": "door", "group": "lab", "network": "hub", "sku": "Standard", "scale_units": 50,
             "native_client": True, "ip_connect": True},
        ],
    }
    inv.update(over)
    return inv


# Where the client itself is tested. Elsewhere it only gets a test to the gateway, and the plain one does that under sanitizers.
OF_THE_CLIENT = re.compile(r"test_(client|hostile_client|connect|carriers|commands|completion|doctor|file_policy|identity_and_inventory|local_end|on_a_terminal|"
                           r"output_formats|rdp|refusals|roles|seed_steps|ssh|tunnel)")


def pytest_runtest_setup(item):
    User.client = BUILD if OF_THE_CLIENT.match(item.path.name) else ARRANGING


@pytest.fixture(scope="session")
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="caponier-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    if not os.environ.get("CPN_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def network():
    n = net.PrivateNetwork()
    for a in ("10.77.1.4", "10.77.1.5", "10.77.1.20", "10.77.2.4", "10.77.3.4"):
        n.add(a)
    yield n
    n.close()


@pytest.fixture(scope="session")
def sshd(network, folder):
    s = Sshd(network.machines, folder / "web1", "10.77.1.4")
    yield s
    s.close()


def started(network, folder, **settings):
    g = Gateway(network, folder, **settings).start()
    g.enrol()
    g.apply(inventory())
    return g


@pytest.fixture(scope="session")
def gateway(network, folder):
    """Shared: do not kill its parts or change its inventory for good."""
    g = started(network, folder / "gateway", sessions_per_user=1000)
    yield g
    g.close()


@pytest.fixture
def own_gateway(network, tmp_path):
    """One of the test's own, to break."""
    g = started(network, tmp_path / "gateway")
    yield g
    g.close()


@pytest.fixture(scope="session")
def admin(gateway):
    return gateway.admin


@pytest.fixture(scope="session")
def ada(gateway):
    """An engineer with Reader on what a connect to web1 and db1 needs: the group."""
    u = gateway.user("ada@example.test")
    gateway.admin.arrange("role", "assign", "--assignee", "ada@example.test", "--role", "Reader", "--scope", GROUP_ID)
    return u


@pytest.fixture
def target(network):
    """The listening socket of the machine `scripted`, which the test plays."""
    s = network.machines.listen("10.77.1.5", 22)
    s.settimeout(20)
    yield s
    s.close()
