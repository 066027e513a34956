"""Other people's programs, unmodified, against a gateway that they reach on loopback and nothing else."""
import json

import pytest

from conftest import GROUP_ID, SUBSCRIPTION, inventory
from lab.az import Azure, Outside
from lab.gateway import ADMIN, ADMIN_PASSWORD, Gateway

OTHER = "99999999-2222-3333-4444-555555555555"


def lab(**over):
    """The shared gateway's inventory: the lab, and a second subscription."""
    return inventory(**{"subscriptions": [{"id": SUBSCRIPTION, "name": "Lab"}, {"id": OTHER, "name": "Über uns"}],
                        "groups": [{"name": "lab", "subscription": "Lab"}], **over})


@pytest.fixture(scope="session")
def outside(network):
    ns = Outside(inside=network.gateway)
    yield ns
    ns.close()


@pytest.fixture(scope="session")
def gateway(network, folder, outside):
    g = Gateway(network, folder / "gateway", outside=outside, sessions_per_user=1000,
                penalty_wrong_secret="0s").start()  # one address tries for everybody here
    g.enrol()
    g.apply(lab())
    yield g
    g.close()


@pytest.fixture(scope="session")
def cli(gateway, folder):
    """Makes an az for NAME, pointed at the gateway."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = Azure(gateway, folder / f"az-{name}").register()
        return made[name]
    return make


@pytest.fixture(scope="session")
def root(cli):
    """The first administrator, signed in by password."""
    az = cli("root")
    az.login(ADMIN, ADMIN_PASSWORD)
    return az


@pytest.fixture(scope="session")
def ada_cli(cli, ada):
    """Reader on the group, signed in by password."""
    az = cli("ada")
    az.login("ada@example.test", ada.password)
    return az


@pytest.fixture(scope="session")
def builder(gateway):
    """A service principal with Reader on the group: {objectId, appId, secret}."""
    sp = json.loads(gateway.admin.ok("sp", "add", "builder", "-o", "json").out)
    gateway.admin.ok("role", "assign", "--assignee", "builder", "--role", "Reader", "--scope", GROUP_ID)
    return sp


@pytest.fixture(autouse=True)
def nothing_leaves(outside):
    """No test lets a program reach for anything but the gateway."""
    before = outside.tried()
    yield
    assert outside.tried() == before, "a packet wanted to leave"
