"""Debian's Ansible: ten hosts at once by ssh-config's names, nothing else said to it; and hosts that take no key and no password."""
import re
import subprocess

import pytest
import requests

from conftest import VM, inventory
from lab import net
from lab.gateway import eventually
from lab.sshd import Sshd
from peers.conftest import lab as peers_lab
from test_ssh_certificates import USER
from test_ssh_config_identity import agents, config  # noqa: F401
from test_ssh_identity import guest, lab, nothing_left  # noqa: F401

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


@pytest.fixture(scope="module")
def trusting(network, lab):  # noqa: F811
    """Ten machines that let in whom the gateway certifies, and nobody by key or password."""
    addresses = [network.add(f"10.77.1.{80 + i}") for i in range(HOSTS)]
    ca = lab.dir / "ca.pub"
    ca.write_text(requests.get(f"{lab.url}/v1/ssh-ca", verify=str(lab.ca), timeout=20).text)
    s = Sshd(network.machines, lab.dir / "trusting", "0.0.0.0", 2223, TrustedUserCAKeys=ca, PasswordAuthentication="no", AuthorizedKeysFile="none")
    machines = [{"name": f"host{i}", "group": "lab", "network": "hub", "address": a, "host_keys": [s.public_host_key()]}
                for i, a in enumerate(addresses)]
    lab.apply(inventory(machines=inventory()["machines"] + machines))
    for m in machines:
        lab.admin.ok("role", "assign", "--assignee", "guest@example.test", "--role", USER, "--scope", VM + m["name"])
    yield s
    s.close()


@pytest.mark.parametrize("sharing", [None, "-C -o ControlMaster=auto -o ControlPersist=60s"])  # the second is what Ansible does by itself
def test_ten_hosts_by_identity_alone(guest, config, trusting, tmp_path, sharing):  # noqa: F811
    """Each by a certificate of its own, and when all is over nothing of it is on disk."""
    config.write_text(config.read_text().replace(" --suffix", " --identity-idle 3 --suffix"))
    (tmp_path / "hosts").write_text("".join(f"host{i}.lab ansible_port=2223\n" for i in range(HOSTS)))
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\ninventory = hosts\nforks = {HOSTS}\nremote_tmp = /tmp/ansible-${{USER}}\ninterpreter_python = /usr/bin/python3\n"
        f"[ssh_connection]\nssh_common_args = -F {config}\nssh_args = {sharing or '-o ControlMaster=no'}\n")
    before = accepted(trusting)
    (tmp_path / "note").write_text("from afar\n")
    for module, args in (("command", "id -un"), ("copy", f"src={tmp_path}/note dest={trusting.home}/{{{{ inventory_hostname }}}}")):
        r = subprocess.run(["ansible", "all", "-o", "-m", module, "-a", args], env={**guest.env, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")},
                           cwd=tmp_path, capture_output=True, text=True, timeout=180)
        assert r.returncode == 0 and r.stdout.count("CHANGED") == HOSTS, r
    assert {p.name for p in trusting.home.glob("host*.lab")} == {f"host{i}.lab" for i in range(HOSTS)}
    for p in trusting.home.glob("host*.lab"):
        p.unlink()
    certified = accepted(trusting)[len(before):]
    assert len(set(certified)) >= HOSTS and all(certified), certified
    assert len(certified) == HOSTS or not sharing, certified  # one sign-in a host
    for s in (guest.dir / ".ansible/cp").glob("*"):
        subprocess.run(["ssh", "-o", f"ControlPath={s}", "-O", "exit", "any"], env=guest.env, capture_output=True, timeout=20)
    eventually(lambda: not agents(guest), what="the agents to end")
    nothing_left(guest)


def accepted(machine):
    """The certificates by which somebody was let in, as sshd names them; None: by something else."""
    lines = [n for n in (machine.dir / "sshd.log").read_text().splitlines() if re.match(r"Accepted \S+ for ", n)]
    found = [re.search(r"^Accepted publickey for guest from .* ED25519-CERT SHA256:\S+ ID (.*) CA ED25519 ", n) for n in lines]
    return [m and m[1] for m in found]
