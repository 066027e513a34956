"""Debian's Ansible: ten hosts at once by ssh-config's names, nothing else said to it; and hosts that take no key and no password."""
import subprocess

import pytest

from lab import net
from lab.sshd import Sshd
from peers.conftest import lab as peers_lab
from test_ssh_config_identity import config  # noqa: F401
from test_ssh_identity import guest, lab  # noqa: F401

HOSTS = 10
pytestmark = pytest.mark.skipif(not net.ROOT, reason="the lab's guest account needs root")


@pytest.fixture(scope="module")
def hosts(network, gateway, folder):
    """One sshd on ten addresses, each a machine whose key the gateway knows."""
    addresses = [network.add(f"10.77.1.{30 + i}") for i in range(HOSTS)]
    s = Sshd(network.machines, folder / "ansible", "0.0.0.0", 2222)
    machines = [{"name": f"host{i}", "group": "lab", "network": "hub", "address": a, "host_keys": [s.public_host_key()]}
                for i, a in enumerate(addresses)]
    gateway.apply(peers_lab(machines=peers_lab()["machines"] + machines))
    yield s
    gateway.apply(peers_lab())
    s.close()


def test_ten_hosts_in_parallel(gateway, hosts, tmp_path):
    user = gateway.admin
    config = tmp_path / "ssh_config"
    config.write_text(f"User guest\nIdentityFile {hosts.key}\nIdentitiesOnly yes\n")
    user.ok("ssh-config", "--file", config, "--suffix", "lab")
    (tmp_path / "hosts").write_text("".join(f"host{i}.lab\n" for i in range(HOSTS)))
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\ninventory = hosts\nforks = {HOSTS}\nremote_tmp = /tmp/ansible-${{USER}}\n"
        f"interpreter_python = /usr/bin/python3\n[ssh_connection]\nssh_args = -F {config} -o Port=2222\n")
    env = {**user.env, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    (tmp_path / "note").write_text("from afar\n")
    for module, args in (("ping", ""), ("command", "id -un"), ("copy", f"src={tmp_path}/note dest={hosts.home}/{{{{ inventory_hostname }}}}")):
        r = subprocess.run(user.gateway.from_outside("ansible", "all", "-o", "-m", module, *(["-a", args] if args else [])),
                           env=env, cwd=tmp_path, capture_output=True, text=True, timeout=180)
        assert r.returncode == 0, r.stdout + r.stderr
        said = dict(line.split(" | ", 1) for line in r.stdout.splitlines())
        assert len(said) == HOSTS and all(what.startswith(("SUCCESS", "CHANGED")) for what in said.values()), r.stdout
    assert {p.name for p in hosts.home.glob("host*.lab")} == {f"host{i}.lab" for i in range(HOSTS)}


def test_by_identity_alone(guest, config, tmp_path):  # noqa: F811
    (tmp_path / "hosts").write_text("web1.lab\ndb1.lab\n")
    (tmp_path / "ansible.cfg").write_text("[defaults]\ninventory = hosts\nforks = 10\nremote_tmp = /tmp/ansible-${USER}\n"
                                          f"interpreter_python = /usr/bin/python3\n[ssh_connection]\nssh_args = -F {config}\n")
    r = subprocess.run(["ansible", "all", "-o", "-m", "command", "-a", "id -un"], env={**guest.env, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")},
                       cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert r.returncode == 0 and r.stdout.count("guest") == 2, r
