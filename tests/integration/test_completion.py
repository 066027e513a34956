"""Completion in real shells: machines, bastions and sessions by name, quickly, silently, and nothing that a shell could misread."""
import json
import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from lab.fakegate import FakeGate, signed_in
from lab.gateway import BUILD, PATIENCE

SHELLS = ["bash", "zsh"]


def on_a_terminal(tmp_path, user, shell, line):
    """Type `line` (tabs and all) and Enter into an interactive shell; the arguments with which caponier was run."""
    home = tmp_path / shell
    ran, folder = home / "ran", home / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    argv = " ".join(f"'{a}'" for a in user.argv())
    (folder / "caponier").write_text(f'#!/bin/sh\ncase $1 in names|completion) exec {argv} "$@";; esac\nprintf "%s\\n" "$@" > {ran}.part && mv {ran}.part {ran}\n')
    (folder / "caponier").chmod(0o755)
    script = subprocess.run([BUILD / "caponier", "completion", shell], capture_output=True, text=True, check=True).stdout
    (home / "made").write_text(script)
    ran.unlink(missing_ok=True)
    start = {"bash": f"PS1='ready> '\nsource {home}/made\nbind 'set bell-style none'\n",
             "zsh": f"PS1='ready> '\nautoload -Uz compinit && compinit -u -D\nsource {home}/made\nunsetopt beep\n"}[shell]
    (home / "rc").write_text(start)
    (home / ".zshrc").write_text(start)
    program = {"bash": ["bash", "--noprofile", "--rcfile", str(home / "rc"), "-i"], "zsh": ["zsh", "-d", "-i"]}[shell]
    env = {**user.env, "PATH": f"{folder}:/usr/bin:/bin", "HOME": str(home), "ZDOTDIR": str(home), "TERM": "dumb"}
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execvpe(program[0], program, env)
    seen = b""

    def until(enough, seconds=20):
        nonlocal seen
        end = time.monotonic() + seconds * PATIENCE
        while not enough() and time.monotonic() < end:
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    seen += os.read(fd, 65536)
                except OSError:
                    return
        assert enough(), seen

    try:
        until(lambda: b"ready> " in seen)
        os.write(fd, line.encode() + b"\r")  # a shell reads on only when it has completed
        until(ran.exists)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(fd)
    return ran.read_text().splitlines()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("typed,args", [
    ("caponier ssh scr\t", ["ssh", "scripted"]),
    ("caponier ssh root@scr\t", ["ssh", "root@scripted"]),
    ("caponier con\tdb\t", ["connect", "db1"]),
    ("caponier tunnel --target-resource-id lon\t", ["tunnel", "--target-resource-id", "lonely"]),
    ("caponier tunnel lis\t", ["tunnel", "list"]),
    ("caponier tunnel scr\t", ["tunnel", "scripted"]),
    ("caponier tunnel -n do\t", ["tunnel", "-n", "door"]),
    ("caponier rdp --name do\t", ["rdp", "--name", "door"]),
    ("caponier vm sh\tlon\t", ["vm", "show", "lonely"]),
    ("caponier vm hostkey app\tdb\t", ["vm", "hostkey", "approve", "db1"]),
    ("caponier network bastion ssh scr\t", ["network", "bastion", "ssh", "scripted"]),
    ("caponier session disconnect --target web\t", ["session", "disconnect", "--target", "web1"]),
    ("caponier ssh-config --suf\t", ["ssh-config", "--suffix"]),
    ("caponier scp scr\tx", ["scp", "scripted:x"]),
    ("caponier ssh nothing-like-it\t", ["ssh", "nothing-like-it"]),
])
def test_names_are_completed(tmp_path, admin, shell, typed, args):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    assert on_a_terminal(tmp_path, admin, shell, typed) == args


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
@pytest.mark.parametrize("typed,words", [
    ("caponier ssh scr", ["scripted"]), ("caponier ssh root@scr", ["root@scripted"]), ("caponier vm show lon", ["lonely"]),
    ("caponier tunnel --name do", ["door"]), ("caponier tunnel --target-resource-id web", ["web1"]), ("caponier scp scr", ["scripted:"]),
    ("caponier session disconnect --target db", ["db1"]), ("caponier sess", ["session"]), ("caponier vm host", ["hostkey"]), ("caponier ssh zz", []),
])
def test_fish(tmp_path, admin, typed, words):
    folder = tmp_path / "bin"
    folder.mkdir()
    argv = " ".join(f"'{a}'" for a in admin.argv())
    (folder / "caponier").write_text(f'#!/bin/sh\nexec {argv} "$@"\n')
    (folder / "caponier").chmod(0o755)
    script = tmp_path / "made"
    script.write_text(subprocess.run([BUILD / "caponier", "completion", "fish"], capture_output=True, text=True, check=True).stdout)
    r = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C {json.dumps(typed)}"], cwd=tmp_path, text=True, capture_output=True,
                       env={**admin.env, "PATH": f"{folder}:/usr/bin:/bin", "HOME": str(tmp_path)}, timeout=60)
    assert [line.split("\t")[0] for line in r.stdout.splitlines()] == words and not r.stderr, r


def test_what_one_may_not_see_is_not_named(gateway):
    user = gateway.user("blind@example.test")
    assert user.ok("names", "machines").out == ""
    assert gateway.admin.ok("names", "machines", "WEB").out == "web1\n"
    assert gateway.admin.ok("names", "nonsense").out == ""


HOSTILE = ["$(touch ran)", "`touch ran`", "a b", "a;b", "-oProxyCommand=x", "--", "", "a\nb", "a\tb", "\x1b[2J", "*", "a'b", 'a"b', "a\\b", "a|b", "a&b",
           "a>b", "a%b", "~root", "é", "a" * 81, "‮abc", "a:b", "a@b", "a/b", ".hidden", "_x", "good-1.x_Y"]


@pytest.fixture
def fake(tmp_path):
    vm = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/"
    g = FakeGate(tmp_path / "fake", {"/v1/documents": {"value": [{"kind": "virtualMachine", "id": n if i % 2 else vm + n, "body": {}} for n in HOSTILE for i in (0, 1)]
                                                       + [{"id": 5}, "x", None, {}], "nextLink": "/v1/documents?again"},
                                     "/v1/sessions": {"value": [{"sessionId": n} for n in HOSTILE]}})
    yield g
    g.close()


def names(env, *args, **kw):
    return subprocess.run([BUILD / "caponier", "names", *args], env=env, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, **kw)


def test_a_hostile_gateways_names_are_words(tmp_path, fake):
    env = signed_in(tmp_path, fake)
    for kind in ("machines", "bastions", "sessions"):
        r = names(env, kind)
        assert set(r.stdout.splitlines()) == {"good-1.x_Y"} and r.returncode == 0 and r.stderr == "", (kind, r)
    assert names(env, "machines", "$(id)").stdout == names(env, "machines", "x&y").stdout == ""
    assert len(fake.asked) == 3  # one page each, and nothing for a word that is none


def stall(s):
    while s.recv(65536):
        pass


def drip(s):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(80):
        s.sendall(b" ")
        time.sleep(0.1)


@pytest.mark.parametrize("answer", [stall, drip, b"HTTP/1.1 302 x\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n", (401, {"error": {"message": "no"}}),
                                    (403, {"error": {"message": "no"}, "missing": [{"role": "R", "scope": "/"}]}), (500, {}), b"garbage\r\n\r\n", [], {"value": {}}, {"value": "x"}],
                         ids=lambda a: getattr(a, "__name__", None))
def test_it_is_quick_and_silent_whatever_happens(tmp_path, fake, answer):
    fake.answers = {"/": answer}
    start = time.monotonic()
    r = names(signed_in(tmp_path, fake), "machines")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "") and time.monotonic() - start < 4 * PATIENCE, r


def test_without_a_sign_in_nobody_is_asked(tmp_path, fake):
    env = signed_in(tmp_path, fake, expiresOn=5)  # it would have to be renewed
    for change in ({}, {"CAPONIER_GATEWAY": fake.url}, {"XDG_CONFIG_HOME": "/nonexistent"}, {"HOME": "", "XDG_CONFIG_HOME": ""}, {"CAPONIER_GATEWAY": "nonsense"}):
        r = names({**env, **change}, "machines")
        assert (r.returncode, r.stdout, r.stderr) == (0, "", ""), (change, r)
    (tmp_path / "config/caponier/contexts.json").chmod(0o644)
    assert names(env, "machines").stderr == ""
    assert fake.asked == []


def test_it_is_no_command_for_people(tmp_path):
    run = lambda *a: subprocess.run([BUILD / "caponier", *a], capture_output=True, text=True).stdout  # noqa: E731
    assert "\n  names " not in run("--help") and "caponier names" not in run("help", "--markdown") and '"names"' not in run("help", "--dump-json")
