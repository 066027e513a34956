"""caponier ssh and scp: the user's own programs by name, and no machine that is not who the gateway says."""
import concurrent.futures
import os
import pathlib
import shlex
import subprocess

import pytest

from conftest import VM, inventory, started
from lab import net
from lab.gateway import ADMIN, ADMIN_PASSWORD, SANITIZED, User
from lab.sshd import PASSWORD, Sshd
from test_sessions import audit

pytestmark = pytest.mark.skipif(not net.ROOT, reason="the lab's guest account needs root")


@pytest.fixture(scope="module")
def impostor(network, folder):
    """Another sshd where db1 should be, with a host key of its own."""
    s = Sshd(network.machines, folder / "impostor", "10.77.2.4")
    yield s
    s.close()


def as_known(sshd):
    """The lab with one host key for web1 and for db1, where it is wrong, and none for the rest."""
    machines = inventory()["machines"]
    for m in machines:
        m["host_keys"] = [sshd.public_host_key()] if m["name"] in ("web1", "db1") else []
    return inventory(machines=machines)


@pytest.fixture(scope="module")
def keyed(network, folder, sshd, impostor):
    g = started(network, folder / "keyed-ssh", sessions_per_user=1000, tickets_per_minute=60000)
    g.apply(as_known(sshd))
    yield g
    g.close()


def opts(sshd):
    return ["--auth-type", "ssh-key", "--ssh-key", sshd.key]


def test_the_remote_status_by_name_id_and_address(keyed, sshd):
    admin = keyed.admin
    for target in (["guest@web1"], ["guest@10.77.1.4"], ["-u", "guest", VM + "web1"]):
        r = admin.run("ssh", *opts(sshd), *target, "--", "echo out; echo err >&2; exit 42")
        assert r.code == 42 and r.out == "out\n" and r.err == "err\n", r
    r = admin.run("ssh", *opts(sshd), "-u", "guest", "--target-resource-id", VM + "web1", "--", "exit 3")
    assert r.code == 3, r
    assert admin.run("ssh", *opts(sshd), "guest@web1", "--", "kill -9 $$").code == 255  # as ssh has it


def test_password_and_nothing_else(keyed, sshd):
    argv = ["sshpass", "-p", PASSWORD, *keyed.admin.argv("ssh", "--auth-type", "password", "guest@web1", "--", "echo $((6*7))")]
    r = subprocess.run(argv, env=keyed.admin.env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and r.stdout == "42\n", r.stderr


def test_scp_both_ways(keyed, sshd, tmp_path):
    admin = keyed.admin
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a file").write_bytes(os.urandom(300000))
    assert admin.run("scp", "-r", "-i", sshd.key, tmp_path / "d", "guest@web1:folder").code == 0
    assert admin.run("scp", "-i", sshd.key, "guest@web1:folder/a file", tmp_path / "back").code == 0
    assert (tmp_path / "back").read_bytes() == (tmp_path / "d/a file").read_bytes()
    for args in (["a", "b"], ["web1:a", "db1:b"], [":a", "b"], ["web1:a"], ["-ox@web1:a", "b"]):
        assert admin.run("scp", *args).code == 255, args


def test_two_accounts_and_either_by_name(keyed, sshd, folder, tmp_path):
    """Whoever signed in last has no role: what works is the other one's, all the way to the connect below ssh."""
    user = User(keyed, folder / "two-accounts")
    user.login(ADMIN, ADMIN_PASSWORD)
    user.login("nobody@example.test", keyed.user("nobody@example.test").password)
    assert user.run("ssh", *opts(sshd), "guest@web1", "--", "true").code == 255
    r = user.run("ssh", "--account", ADMIN, *opts(sshd), "guest@web1", "--", "echo in; exit 4")
    assert (r.code, r.out) == (4, "in\n"), r
    (tmp_path / "note").write_text("by name\n")
    r = user.run("scp", "--account", ADMIN, "-i", sshd.key, tmp_path / "note", "guest@web1:two-accounts")
    assert r.code == 0 and (sshd.home / "two-accounts").read_text() == "by name\n", r
    r = user.run("ssh", "--account", "nobody@example.test", *opts(sshd), "guest@web1", "--", "true")
    assert r.code == 255 and "no such machine" in r.err, r
    r = user.run("vm", "hostkey", "approve", "--account", ADMIN, "web1", "--fingerprint", "SHA256:" + "A" * 43)
    assert r.code == 3 and "nothing was approved" in r.err, r  # the key was read below that account


def test_another_machine_in_its_place_is_refused_every_time(keyed, impostor):
    admin, times = keyed.admin, 10 if SANITIZED else 100

    def attempt(i):
        extra = (["-oStrictHostKeyChecking=no"], ["-oUserKnownHostsFile=/dev/null"], [])[i % 3]
        r = admin.run("ssh", *opts(impostor), "guest@db1", "--", *extra, "echo inside")
        return r.code == 255 and "inside" not in r.out and "IDENTIFICATION HAS CHANGED" in r.err or r

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(attempt, range(times))) == {True}
    assert b"Accepted" not in (impostor.dir / "sshd.log").read_bytes()


def test_an_unknown_key_is_named_and_approved(keyed, sshd, network, folder):
    admin = keyed.admin
    ada = keyed.user("ada@example.test")
    new = Sshd(network.machines, folder / "scripted-sshd", "10.77.1.5")
    try:
        printed = subprocess.run(["ssh-keygen", "-lf", new.dir / "host_key.pub"], capture_output=True, text=True, check=True).stdout.split()[1]
        r = admin.run("ssh", *opts(new), "guest@scripted", "--", "true")
        assert r.code == 255 and printed in r.err and f"caponier vm hostkey approve scripted --fingerprint {printed}" in r.err, r
        r = admin.run("vm", "hostkey", "approve", "scripted")  # nobody to ask
        assert r.code == 2 and printed in r.err and "--fingerprint" in r.err
        r = admin.run("vm", "hostkey", "approve", "scripted", "--fingerprint", "SHA256:" + "A" * 43)
        assert r.code == 3 and "nothing was approved" in r.err
        keyed.admin.ok("role", "assign", "--assignee", "ada@example.test", "--role", "Reader", "--scope", VM.split("/providers/")[0])
        r = ada.run("vm", "hostkey", "approve", "scripted", "--fingerprint", printed)
        assert r.code == 3, r
        assert admin.run("ssh", *opts(new), "guest@scripted", "--", "true").code == 255
        for _ in range(2):
            assert new.public_host_key() in str(admin.json("vm", "hostkey", "approve", "scripted", "--fingerprint", printed))
        assert admin.run("ssh", *opts(new), "guest@scripted", "--", "echo in").out == "in\n"
        assert admin.json("vm", "show", "scripted")["sshHostKeys"] == [" ".join(new.public_host_key().split())]
        events = [x for x in audit(admin) if "machine.host_key" in x.values()]
        assert any(new.public_host_key() in str(x) for x in events), events
    finally:
        new.close()
    assert not list((admin.dir / "config/caponier/known_hosts.d").glob("scan*"))


def test_the_command_that_approves_leads_to_the_same_port_and_bastion(keyed, sshd, network, folder):
    other = Sshd(network.machines, folder / "scripted-2222", "10.77.1.5", 2222)
    try:
        keyed.apply(as_known(sshd))
        argv = ["--gateway", keyed.url, "--name", "door", "--resource-port", "2222", "--account", ADMIN]
        for command in (["ssh", *argv, *opts(other), "guest@scripted", "--", "true"],
                        ["ssh", *argv, *opts(other), "-u", "guest", "--target-resource-id", VM + "scripted", "--", "true"],
                        ["scp", *argv, "-i", other.key, "/etc/hostname", "guest@scripted:"]):
            r = keyed.admin.run(*command)
            (line,) = [n for n in r.err.splitlines() if n.startswith("  caponier ")]
            words = shlex.split(line)[1:]
            assert r.code == 255 and set(argv) <= set(words) and words[-3] in ("scripted", VM + "scripted"), r
        keyed.admin.ok(*words)
        assert keyed.admin.run("ssh", *argv, *opts(other), "guest@scripted", "--", "echo in").out == "in\n"
    finally:
        other.close()


def test_an_address_that_is_no_machine_is_checked_as_ssh_checks_hosts(keyed, network, folder, tmp_path):
    """ssh asks once, with the fingerprint; what is accepted is in the user's own known_hosts, by address and gateway."""
    address = network.add("10.77.1.62")
    known = tmp_path / "known_hosts"
    ask = tmp_path / "askpass"
    ask.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\necho yes\n')
    ask.chmod(0o755)
    env = {**keyed.admin.env, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}

    def attempt(s, *more, env=keyed.admin.env):
        return subprocess.run(keyed.admin.argv("ssh", *opts(s), f"guest@{address}", "--", f"-oUserKnownHostsFile={known}", *more, "echo in"), env=env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, start_new_session=True)

    first = Sshd(network.machines, folder / "stranger", address)
    try:
        r = attempt(first)  # nobody to ask
        assert r.returncode == 255 and r.stdout == "" and "Host key verification failed" in r.stderr, r
        assert attempt(first, env=env).stdout == "in\n"
        printed = subprocess.run(["ssh-keygen", "-lf", first.dir / "host_key.pub"], capture_output=True, text=True, check=True).stdout.split()[1]
        assert printed in (tmp_path / "asked").read_text()
        (line,) = known.read_text().splitlines()
        assert line.endswith(first.public_host_key())
        assert attempt(first).stdout == "in\n"
    finally:
        first.close()
    second = Sshd(network.machines, folder / "stranger-2", address)
    try:
        r = attempt(second, env=env)
        assert r.returncode == 255 and r.stdout == "" and "IDENTIFICATION HAS CHANGED" in r.stderr, r
    finally:
        second.close()


def test_only_the_ssh_of_an_absolute_path_runs(keyed, sshd, tmp_path):
    bad = tmp_path / "ssh"
    bad.write_text("#!/bin/sh\necho poisoned\n")
    bad.chmod(0o755)
    env = {**keyed.admin.env, "PATH": ".::relative:/usr/bin:/bin"}
    r = subprocess.run(keyed.admin.argv("ssh", *opts(sshd), "guest@web1", "--", "echo real"), env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert r.stdout == "real\n", r.stderr


@pytest.mark.parametrize("args", [["-oProxyCommand=touch x@web1"], ["--", "-oProxyCommand=touch x"], ["nowhere"], ["a b@web1"], ["-u", "-x", "web1"], ["web1\n"],
                                  ["--auth-type", "none", "web1"], ["--ssh-key", "k", "--auth-type", "password", "web1"], ["a@web1", "-u", "b"], []])
def test_ours_is_255(keyed, args, tmp_path):
    r = subprocess.run(keyed.admin.argv("ssh", *args), env=keyed.admin.env, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert r.returncode == 255 and r.stderr and not list(tmp_path.iterdir()), r


def test_nothing_of_it_stays_but_public_keys(keyed):
    folder = keyed.admin.dir / "config/caponier/known_hosts.d"
    for f in pathlib.Path(folder).iterdir():
        assert f.stat().st_mode & 0o777 == 0o600 and "PRIVATE" not in f.read_text()
