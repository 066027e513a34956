"""What a person gets wrong, and the line that says so: it names what was typed, and what to do."""
import json
import subprocess

import pytest

from lab.gateway import BUILD, User

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


@pytest.mark.parametrize("args, says", [
    (["can-i", "web1", "--user", b"j\xf6rg"], "the value of --user is not UTF-8"),
    (["tunnel", "web1", b"-g\xf6"], "the value of --resource-group is not UTF-8"),
    (["user", "password", b"\xf6"], "argument 1 is not UTF-8"),
])
def test_what_no_request_can_say_is_not_left_out(args, says):
    """Without the word it would be about somebody or something else."""
    r = subprocess.run([CLI, *args], env={"HOME": "/nonexistent"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert r.returncode == 2 and says in r.stderr and not r.stdout, r


@pytest.mark.parametrize("args", [["tunnel"], ["tunnel", "list"], ["vm", "hostkey", "approve"], ["vm"], ["vm", "hostkey"], ["network", "bastion", "tunnel"]])
def test_help_before_or_behind(args):
    before, behind = run("help", *args), run(*args, "--help")
    assert before.returncode == behind.returncode == 0 and before.stdout == behind.stdout != ""


@pytest.mark.parametrize("url", ["localhost", "http://localhost", "bastion.example.org:8443"])
def test_a_gateway_that_is_no_url(url):
    r = run("vm", "list", "--gateway", url)
    assert r.returncode == 2 and f"the gateway '{url}' must be an https URL, such as https://" in r.stderr and r.stderr.count("\n") == 1, r


@pytest.mark.parametrize("word", ["", "intel", "OpenSSL", "op\x1b[2Jenssl"])
def test_a_cipher_library_that_is_not_known(word):
    r = run("vm", "list", CAPONIER_GATEWAY="https://one.example.test", CAPONIER_TLS_AES=word)
    assert r.returncode == 2 and r.stderr.startswith("caponier: CAPONIER_TLS_AES: '") and "expected auto|openssl" in r.stderr and "\x1b" not in r.stderr, r


@pytest.mark.parametrize("more, hint", [([], "run 'caponier login'\n"), (["--gateway", "https://other.example.test"],
                                                                      "run 'caponier login --gateway https://other.example.test'\n")])
def test_not_signed_in_says_where_to(more, hint):
    """Without --gateway login would go to another one than the command did."""
    r = run("vm", "list", *more, CAPONIER_GATEWAY="https://one.example.test")
    assert r.returncode == 5 and r.stderr.endswith(hint), r


def test_a_ca_that_is_not_there(tmp_path):
    r = run("login", "--gateway", "https://localhost:1", "--ca", tmp_path / "nope.pem")
    assert r.returncode == 2 and r.stderr == f"caponier: the CA file {tmp_path}/nope.pem: No such file or directory\n", r


def test_a_ca_of_the_gateways_own_is_hinted_at_where_none_was_named(gateway, ada):
    hint = "if that is the gateway's own CA, trust it by --ca FILE"
    r = run("login", "--gateway", gateway.url, "--username", "x", "--password-file", "/etc/hostname")
    assert r.returncode == 1 and hint in r.stderr and r.stderr.count("\n") == 1, r
    r = ada.run("vm", "list", "--ca", "/etc/ssl/certs/ca-certificates.crt", check=1)
    assert "its certificate is not trusted" in r.err and hint not in r.err, r


@pytest.mark.parametrize("args, says", [
    (["tunnel", "nope"], "nope: there is no such machine"),
    (["can-i", "nope"], "nope: there is no such machine"),
    (["tunnel", "-L", "0:nope:22"], "nope: there is no such machine"),
    (["tunnel", "web1", "--name", "shut"], "shut: there is no such bastion"),
    (["account", "set", "--account", "who@example.test"], "who@example.test: no such sign-in at https://"),
])
def test_what_is_not_there_is_named(ada, args, says):
    r = ada.run(*args)
    assert r.code == (5 if args[0] == "account" else 4) and says in r.err, r


def test_a_wrong_word_for_an_option_is_told_before_anything_else(ada):
    r = ada.run("ssh", "web1", "--auth-type", "pw")
    assert r.code == 255 and r.err == "caponier: --auth-type: expected password, ssh-key or aad\n", r


@pytest.mark.parametrize("text, says", [("", "the file is empty"), ('{"groups": [', "did not find"), ("groups: lab\n", "groups: not a list"),
                                        ("groups:\n  - name: lab\n    colour: red\n", ":3:13: groups[0].colour: unknown key")])
def test_an_inventory_that_is_none(admin, tmp_path, text, says):
    (tmp_path / "lab.yaml").write_text(text)
    r = admin.run("apply", "-f", tmp_path / "lab.yaml", "--dry-run")
    assert r.code == 2 and f"{tmp_path}/lab.yaml:" in r.err and says in r.err and "1 error; nothing was sent" in r.err, r
    r = admin.run("apply", "-f", tmp_path / "none.yaml")
    assert r.code == 2 and r.err == f"caponier: --file: {tmp_path}/none.yaml: No such file or directory\n", r


def test_a_service_principals_sign_in_that_has_ended_is_no_missing_one(gateway, tmp_path):
    """It has no refresh token, so nothing renews it."""
    made = gateway.admin.json("sp", "add", "mistaken")
    bot = User(gateway, tmp_path / "bot")
    bot.ok("login", "--service-principal", "--username", made["appId"], "--password-stdin", "--ca", gateway.ca, input=made["secret"] + "\n")
    kept = bot.dir / "config/caponier/contexts.json"
    stored = json.loads(kept.read_text())
    stored["contexts"][0]["expiresOn"] = 1000
    kept.write_text(json.dumps(stored))
    r = bot.run("vm", "list", check=5)
    assert r.err == f"caponier: the sign-in at {gateway.url} has ended; run 'caponier login'\n", r
    r = bot.run("vm", "list", "--gateway", gateway.url, check=5)
    assert r.err.endswith(f"run 'caponier login --gateway {gateway.url}'\n"), r
