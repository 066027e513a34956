"""Other people's programs, unmodified, against a gateway that they reach on loopback and nothing else."""
import pytest

from conftest import started
from lab.az import Azure, Outside


@pytest.fixture(scope="session")
def outside(network):
    ns = Outside(inside=network.gateway)
    yield ns
    ns.close()


@pytest.fixture(scope="session")
def gateway(network, folder, outside):
    g = started(network, folder / "gateway", outside=outside, sessions_per_user=1000)
    yield g
    g.close()


@pytest.fixture(scope="session")
def cli(gateway, folder):
    """Makes an az of its own for NAME, pointed at the gateway."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = Azure(gateway, folder / f"az-{name}").register()
        return made[name]
    return make


@pytest.fixture(autouse=True)
def nothing_leaves(outside):
    """No test lets a program reach for anything but the gateway."""
    before = outside.tried()
    yield
    assert outside.tried() == before, "a packet wanted to leave"
