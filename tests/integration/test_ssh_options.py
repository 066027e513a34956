"""What ssh makes of the command line that `caponier ssh` gives it, and of ssh-config's stanza, beside a configuration of the user's: `ssh -G` says it."""
import subprocess

import pytest

from lab.fakegate import FakeGate, signed_in
from lab.gateway import BUILD

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVV"
ROUND_IT = """KnownHostsCommand /usr/bin/evil %H
ControlMaster auto
ControlPath /run/user/0/%C
HostName elsewhere
Port 77
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
GlobalKnownHostsFile /dev/null
HostKeyAlias other
ProxyCommand touch ran
UpdateHostKeys yes
VerifyHostKeyDNS yes
ForwardAgent yes
"""


def answers(machine="web1", group=GROUP):
    return {"/v1/resolve": {"bastion": GROUP + "Microsoft.Network/bastionHosts/door", "name": machine, "sshHostKeys": [KEY],
                            "targetResourceId": group + "Microsoft.Compute/virtualMachines/" + machine}}


@pytest.fixture
def fake(tmp_path):
    g = FakeGate(tmp_path / "fake", answers())
    yield g
    g.close()


def explained(config, *args):
    r = subprocess.run(["/usr/bin/ssh", "-G", "-F", str(config), *args], capture_output=True, text=True, timeout=20)
    assert r.returncode == 0, r
    return dict(line.split(" ", 1) for line in r.stdout.splitlines() if " " in line)


def given(tmp_path, env, *args, program="ssh"):
    """The words that `caponier PROGRAM ARGS` runs it with."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {tmp_path}/argv\n')
    (folder / program).chmod(0o755)
    r = subprocess.run([BUILD / "caponier", program, *args], env={**env, "PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, timeout=60,
                       stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r
    return (tmp_path / "argv").read_text().split("\0")[:-1]


def seen(tmp_path, env, *args):
    config = tmp_path / "user_config"
    config.write_text(ROUND_IT)
    return explained(config, *given(tmp_path, env, *args))


def test_no_setting_of_the_users_is_a_way_round_the_check(fake, tmp_path):
    d = seen(tmp_path, signed_in(tmp_path, fake), "guest@web1")
    assert (d["stricthostkeychecking"], d["hostkeyalias"], d["updatehostkeys"], d["verifyhostkeydns"]) == ("true", "web1", "false", "false"), d
    assert d.get("knownhostscommand", "none") == "none" and "/known_hosts.d/ssh-" in d["userknownhostsfile"], d
    assert "connect" in d["proxycommand"] and "touch" not in d["proxycommand"] and d["user"] == "guest"
    assert d["controlmaster"] == "auto"  # which stays the user's own


def test_a_shared_connection_is_of_one_machine_port_account_and_gateway(fake, tmp_path):
    here, bob = signed_in(tmp_path, fake), tmp_path / "bob"
    first = seen(tmp_path, here, "web1")
    assert first["hostname"].startswith("web1.") and first["hostname"].endswith(f".localhost_{fake.port}") and first["port"] == "22", first
    others = {"port": seen(tmp_path, here, "--resource-port", "2222", "web1"),
              "address": seen(tmp_path, here, "10.77.1.4"),
              "account": seen(tmp_path, signed_in(bob, fake, user="bob@example.test"), "web1")}
    second = FakeGate(tmp_path / "second", answers())
    others["gateway"] = seen(tmp_path, signed_in(tmp_path / "there", second), "web1")
    second.close()
    for name, more in (("machine", {"machine": "db1"}), ("group", {"group": GROUP.replace("/g/", "/h/")})):
        fake.answers = answers(**more)
        others[name] = seen(tmp_path, here, "web1")
    fake.answers = answers()
    paths = {name: d["controlpath"] for name, d in others.items()}
    assert len({first["controlpath"], *paths.values()}) == 1 + len(paths), (first["controlpath"], paths)
    assert seen(tmp_path, here, "web1")["controlpath"] == first["controlpath"]  # and the same the next time


@pytest.mark.parametrize("more", [[], ["--auth-type", "aad"]])
def test_no_setting_behind_the_stanza_is_one_either(fake, tmp_path, more):
    config = tmp_path / "stanza"
    config.write_text(ROUND_IT)
    env = signed_in(tmp_path, fake)
    subprocess.run([BUILD / "caponier", "ssh-config", "--file", config, "--suffix", "lab", *more], env=env, check=True, timeout=20)
    d = explained(config, "web1.lab")
    assert d["stricthostkeychecking"] == "true" and d.get("knownhostscommand", "none") == "none" and d["updatehostkeys"] == "false", d
    assert "known_hosts.d/" in d["userknownhostsfile"] and "connect" in d["proxycommand"], d
    assert (d.get("controlpath", "none") == "none", d["forwardagent"]) == ((True, "no") if more else (False, "yes")), d
    assert explained(config, "elsewhere")["hostkeyalias"] == "other"


# ---- which options are ours, and which are ssh's or the command's ----

ID = GROUP + "Microsoft.Compute/virtualMachines/web1"


@pytest.mark.parametrize("args, ours, tail", [
    (["web1", "ls", "-la"], [], ["web1", "ls", "-la"]),
    (["web1", "-i", "key", "grep", "-i", "--", "x", "--help"], ["-ikey", "-oIdentitiesOnly=yes"], ["web1", "grep", "-i", "--", "x", "--help"]),
    (["-p", "2222", "-l", "ada", "web1"], ["-oPort=2222", "-lada"], ["web1"]),
    (["--target-resource-id", ID, "ls", "-la"], [], ["web1", "ls", "-la"]),
    (["web1", "--", "-v", "ls", "-la"], [], ["web1", "-v", "ls", "-la"]),
    (["ada@web1", "-u", "-x", "ls"], None, None), (["web1", "-v"], None, None), (["-N", "web1"], None, None)])
def test_options_end_where_those_of_ssh_do(fake, tmp_path, args, ours, tail):
    env = signed_in(tmp_path, fake)
    if tail is None:
        r = subprocess.run([BUILD / "caponier", "ssh", *args], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
        assert r.returncode == 255 and ("caponier ssh TARGET -- -v" in r.stderr or "-u" in args), r
        return
    argv = given(tmp_path, env, *args)
    assert argv[-len(tail):] == tail and set(ours) <= set(argv[:-len(tail)]), argv


@pytest.mark.parametrize("args, asked, ours, tail", [
    (["-Crl800", "a", "web1:b@[c]:d"], "web1", ["-C", "-r", "-l800"], ["a", "web1:b@[c]:d"]),
    (["-Cx", "a", "web1:b"], None, None, None),
    (["-C", "-q", "-r", "-p", "-O", "-v", "-l", "800", "a", "web1:b"], "web1", ["-C", "-q", "-r", "-p", "-O", "-v", "-l800"], ["a", "web1:b"]),
    (["-P", "2222", "-i", "key", "ada@web1:b", "."], "web1", ["-oPort=2222", "-ikey"], ["ada@web1:b", "."]),
    (["a", "guest@[fd77::4]:x"], "fd77::4", [], ["a", "guest@web1:x"]),
    (["[fd77::4]:x:y", "./odd:name"], "fd77::4", [], ["web1:x:y", "./odd:name"]),
    (["--target-resource-id", ID, "a", "ada@there:x"], ID, [], ["a", "ada@web1:x"]),
    (["--target-ip-address", "fd77::4", "a", "there:x"], "fd77::4", [], ["a", "web1:x"]),
    (["--target-resource-id", ID, "a", "b"], None, None, None), (["--target-resource-id", ID, "a", "web1:b", "db1:c"], None, None, None),
    (["a", "guest@[fd77::4]"], None, None, None), (["a", "[]:x"], None, None, None), (["a", "[web1:x"], None, None, None), (["-l", "fast", "a", "web1:"], None, None, None)])
def test_what_scp_is_given(fake, tmp_path, args, asked, ours, tail):
    env = signed_in(tmp_path, fake)
    if tail is None:
        r = subprocess.run([BUILD / "caponier", "scp", *args], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
        assert r.returncode == 255 and r.stderr and not fake.asked, r
        return
    argv = given(tmp_path, env, *args, program="scp")
    alias = next(a.split("=")[1] for a in argv if a.startswith("-oHostKeyAlias="))
    assert alias == (asked.replace(":", "_") if ":" in asked else "web1"), argv
    assert argv[argv.index("--") + 1:] == [w.replace("web1:", alias + ":") for w in tail] and set(ours) <= set(argv), argv
