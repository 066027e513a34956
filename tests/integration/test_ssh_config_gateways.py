"""Two gateways with a machine of the same name each: nothing that `caponier ssh-config` writes leads from one to the other."""
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from conftest import inventory, started
from lab import net
from lab.gateway import ADMIN, ADMIN_PASSWORD, User
from lab.sshd import Sshd

pytestmark = pytest.mark.skipif(not net.ROOT, reason="the lab's guest account needs root")
HERE, THERE = "10.77.1.4", "10.77.2.4"  # web1 of the first gateway, and of the second


@pytest.fixture(scope="module")
def there(network, folder):
    s = Sshd(network.machines, folder / "web1-there", THERE)
    yield s
    s.close()


@pytest.fixture(scope="module")
def gateways(network, folder, sshd, there):
    """Both on the host `localhost`, with a port each."""
    both = []
    for name, machine in (("one", sshd), ("two", there)):
        g = started(network, folder / name)
        both.append(g)
        g.apply(inventory(machines=[{"name": "web1", "group": "lab", "network": "hub" if machine is sshd else "spoke",
                                     "address": machine.addr, "host_keys": [machine.public_host_key()]}]))
    yield both
    for g in both:
        g.close()


@pytest.fixture
def person(gateways, sshd, there):
    """Signed in at both, sharing connections. Their paths are short: that of a socket is 107 bytes at most."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="cpn", dir="/var/tmp"))
    user = User(gateways[0], home)
    for g in gateways:
        user.env["CAPONIER_GATEWAY"] = g.url
        user.arrange("login", "--username", ADMIN, "--password-stdin", "--ca", g.ca, input=ADMIN_PASSWORD + "\n")
    del user.env["CAPONIER_GATEWAY"]
    user.keys = [sshd.key, there.key]
    yield user
    for s in home.glob("cm-*"):
        subprocess.run(["ssh", "-o", f"ControlPath={s}", "-O", "exit", "any"], env=user.env, capture_output=True, timeout=20)
    shutil.rmtree(home, ignore_errors=True)  # the sockets of what was told to exit are going


def configured(user, gateway, path, *args, sharing="%h", code=0):
    if not path.exists():
        path.write_text("User guest\nLogLevel ERROR\nConnectTimeout 20\nControlMaster auto\nControlPersist 60\n"
                        f"ControlPath {user.dir}/cm-{sharing}\nIdentitiesOnly yes\n" + "".join(f"IdentityFile {k}\n" for k in user.keys))
    return user.run("ssh-config", "--gateway", gateway.url, "--file", path, *args, check=code)


def where(user, path, name):
    """The address of the machine that answers there."""
    r = subprocess.run(["ssh", "-F", path, name, "echo $SSH_CONNECTION"], env=user.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r
    return r.stdout.split()[2]


def kept(user):
    return {p.name: p.read_text() for p in (user.dir / "config/caponier/known_hosts.d").glob("web1*")}


@pytest.mark.parametrize("sharing", ["%h", "%C", "%r@%h:%p", "%n"])
def test_beside_each_other_in_one_file(person, gateways, sshd, there, sharing):
    path = person.dir / "c"
    for g, suffix in zip(gateways, ("a", "b")):
        configured(person, g, path, "--suffix", suffix, sharing=sharing)
    for _ in range(2):  # the second time over the connection of the first
        assert (where(person, path, "web1.a"), where(person, path, "web1.b")) == (HERE, THERE)
    assert len(list(person.dir.glob("cm-*"))) == 2
    assert sorted(text.split(" ", 1)[1].strip() for text in kept(person).values()) == sorted(s.public_host_key() for s in (sshd, there))


@pytest.mark.parametrize("sharing", ["%h", "%C", "%r@%h:%p"])
@pytest.mark.parametrize("name", ["web1.lab", "web1"])
def test_the_same_name_in_two_files(person, gateways, sshd, there, sharing, name):
    for g, path in zip(gateways, (person.dir / "one", person.dir / "two")):
        configured(person, g, path, "--suffix", "lab", "web1", sharing=sharing)
    for _ in range(2):
        assert (where(person, person.dir / "one", name), where(person, person.dir / "two", name)) == (HERE, THERE)
    assert len(list(person.dir.glob("cm-*"))) == 2
    assert sorted(text.split(" ", 1)[1].strip() for text in kept(person).values()) == sorted(s.public_host_key() for s in (sshd, there))


@pytest.mark.parametrize("first, second, says", [
    ([], [], "'*.localhost'"),  # both are on this host
    (["--suffix", "lab"], ["--suffix", "LAB"], "'*.LAB'"),
    (["--suffix", "lab"], ["--suffix", "b.lab"], "'*.b.lab'"),
    (["--suffix", "b.lab"], ["--suffix", "lab"], "'*.lab'"),
    (["--suffix", "a", "db1", "web1"], ["--suffix", "b", "x", "Web1"], "'Web1'"),
    (["--suffix", "a", "web1.b"], ["--suffix", "b"], "'*.b'"),
    (["--suffix", "a"], ["--suffix", "b", "web1.a"], "'web1.a'"),
])
def test_no_host_is_of_two_gateways(person, gateways, first, second, says):
    """Beside each other ssh would mix their options; in place of each other nobody would notice."""
    path = person.dir / "c"
    configured(person, gateways[0], path, *first)
    before = path.read_text()
    r = configured(person, gateways[1], path, *second, code=2)
    suffix = first[1] if first else "localhost"
    assert path.read_text() == before
    assert f"{says} leads to {gateways[0].url} already" in r.err and f"'caponier ssh-config --suffix {suffix} --remove'" in r.err, r
    configured(person, gateways[0], path, *first)  # its own it may write again
    person.ok("ssh-config", "--gateway", gateways[1].url, "--file", path, "--suffix", suffix, "--remove")
    configured(person, gateways[1], path, *second)


def test_names_that_only_look_alike_are_two(person, gateways):
    path = person.dir / "c"
    configured(person, gateways[0], path, "--suffix", "lab", "web1")
    configured(person, gateways[1], path, "--suffix", "mylab", "web", "web11", "lab")
    assert path.read_text().count("# >>> caponier") == 2
