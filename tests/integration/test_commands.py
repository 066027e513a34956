"""Every command says what it takes; completions come from the same table."""
import json
import os
import subprocess

import pytest

from lab.gateway import BUILD

CLI = str(BUILD / "caponier")


def run(*args, **kw):
    return subprocess.run([CLI, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, **kw)


def table():
    return json.loads(run("help", "--dump-json").stdout)


def test_documents_match_the_table():
    root = os.path.join(os.path.dirname(__file__), "../..")
    r = subprocess.run([os.path.join(root, "tools/check-docs"), CLI, str(BUILD / "caponierd")], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


def test_every_command_has_help_with_each_flag_default_and_an_example():
    commands = table()["commands"]
    assert len(commands) > 20
    for c in commands:
        out = run(*c["name"].split(), "--help").stdout
        for o in c["options"]:
            assert "--" + o["long"] in out, (c["name"], o)
            if o.get("default"):
                assert o["default"] in out, (c["name"], o)
        assert "xample" in out and "caponier " + c["name"] in out, c["name"]


@pytest.mark.parametrize("args", [["nonsense"], ["vm"], ["vm", "nonsense"], ["vm", "list", "--nonsense"], ["tunnel", "--port"],
                                  ["tunnel", "x", "--port", "99999"], ["tunnel", "x", "--port", "-1"], ["tunnel", "x", "--resource-port", "0"],
                                  ["tunnel", "a", "b"], ["session", "list", "-o", "xml"], ["tunnel", "x", "--timeout", "soon"]])
def test_usage_errors_exit_2(args):
    r = run(*args, env={"CAPONIER_GATEWAY": "https://127.0.0.1:1", "HOME": "/nonexistent"})
    assert r.returncode == 2 and r.stderr and not r.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path):
    r = run("completion", shell)
    assert r.returncode == 0 and "tunnel" in r.stdout and "resource-port" in r.stdout
    if shell == "bash":
        f = tmp_path / "c"
        f.write_text(r.stdout)
        assert subprocess.run(["bash", "-n", str(f)]).returncode == 0


def test_both_spellings():
    assert run("network", "bastion", "tunnel", "--help").stdout == run("tunnel", "--help").stdout


def test_broken_pipe_and_closed_descriptors_end_cleanly():
    r = subprocess.run(f"{CLI} help --dump-json | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}", shell=True, executable="/bin/bash", capture_output=True)
    assert r.returncode in (0, 1, 141) and b"ault" not in r.stderr
    r = subprocess.run(f"{CLI} --version <&- >&- 2>&-; echo $?", shell=True, executable="/bin/bash", capture_output=True, text=True)
    assert int(r.stdout) in (0, 1)


@pytest.mark.parametrize("typed,want,not_want", [
    ("tunnel", {"list", "stop", "--port", "--detach"}, {"--all"}), ("tunnel list", {"--output"}, {"--port"}), ("tunnel stop", {"--all"}, {"--port"}),
    ("network bastion tunnel stop", {"--all"}, {"--port"}), ("tunnel web1", {"--port"}, {"--all"}), ("vm", {"list", "show"}, {"--output"}),
    ("ssh-config", {"--suffix"}, {"--port"}),
])
def test_bash_completes(typed, want, not_want, tmp_path):
    (tmp_path / "c").write_text(run("completion", "bash").stdout)
    words = ["caponier", *typed.split(), ""]
    script = f"source {tmp_path}/c; COMP_WORDS=({' '.join(w or chr(39) * 2 for w in words)}); COMP_CWORD={len(words) - 1}; _caponier; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    got = set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20).stdout.split())
    assert want <= got and not not_want & got, got
