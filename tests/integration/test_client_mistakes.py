"""What a person gets wrong, and the line that says so: it names what was typed, and what to do."""
import subprocess

import pytest

from lab.gateway import BUILD

CLI = str(BUILD / "caponier")


def run(*args, **env):
    return subprocess.run([CLI, *map(str, args)], env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("args, says", [
    (["tunel", "web1"], "there is no command 'tunel'; is 'tunnel' meant?"),
    (["nonsense", "--help"], "there is no command 'nonsense'\nTry 'caponier --help'."),
    (["vm", "lst"], "there is no command 'vm lst'\nTry 'caponier vm --help'."),
    (["vm", "hostkey"], "which of these?"),
    (["vm", "hostkey", "approv"], "there is no command 'vm hostkey approv'\nTry 'caponier vm hostkey --help'."),
    (["network", "bastion", "tunel"], "there is no command 'tunel'; is 'tunnel' meant?"),
    (["network", "bastion"], "usage: caponier COMMAND"),
    (["--gateway", "https://x", "vm", "list"], "--gateway stands before the command; options go behind it"),
    (["help", "tunel"], "there is no command 'tunel'"),
    (["apply"], "--file must be given\nusage: caponier apply --file FILE ["),
    (["apply", "-f", ""], "--file must be given"),
    (["role", "assign", "--assignee", "ada@example.test"], "--scope must be given\nusage: caponier role assign --assignee NAME [--role ROLE] --scope ID ["),
    (["role", "assign", "--assignee", "ada@example.test", "--scope", "lab"], "'lab' is no resource id"),
    (["role", "remove", "--ids="], "--ids must be given"),
])
def test_a_command_that_is_none_or_not_whole(args, says):
    r = run(*args)
    assert r.returncode == 2 and says in r.stderr and not r.stdout, r


@pytest.mark.parametrize("args", [["tunnel"], ["tunnel", "list"], ["vm", "hostkey", "approve"], ["vm"], ["vm", "hostkey"], ["network", "bastion", "tunnel"]])
def test_help_before_or_behind(args):
    before, behind = run("help", *args), run(*args, "--help")
    assert before.returncode == behind.returncode == 0 and before.stdout == behind.stdout != ""
