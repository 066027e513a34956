"""What a client keeps of its sign-ins, and what it sends of them, while others are at the same file; a test plays the gateway."""
import base64
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
from email.utils import formatdate

import pytest

from lab.fakegate import FakeGate, signed_in
from lab.gateway import BUILD, PATIENCE, eventually
from lab.proxies import with_files

CLI = str(BUILD / "caponier")
SUBSCRIPTION = "22222222-2222-3333-4444-555555555555"
ADA = {"name": "ada@example.test", "objectId": "11111111-2222-3333-4444-555555555555", "type": "User"}
SUBSCRIPTIONS = {"value": [{"kind": "subscription", "id": "/subscriptions/" + SUBSCRIPTION, "body": {"displayName": "Lab"}}]}
TOKENS = {"access_token": "fresh access", "refresh_token": "fresh refresh", "token_type": "Bearer", "expires_in": 3600}


@pytest.fixture
def fake(tmp_path):
    g = FakeGate(tmp_path / "fake")
    g.env = signed_in(tmp_path, g)
    g.file = tmp_path / "config/caponier/contexts.json"
    yield g
    g.close()


def run(fake, *args, input="", under=lambda argv: argv, **kw):
    return subprocess.run(under([CLI, *map(str, args)]), env=kw.pop("env", fake.env), input=input, text=True, capture_output=True, timeout=60 * PATIENCE, **kw)


def answer(s, body, status=200, head=""):
    text = json.dumps(body)
    s.sendall(f"HTTP/1.1 {status} x\r\n{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


def kept(fake):
    return json.loads(fake.file.read_text())["contexts"][0]


def renewed_by_another(fake):
    """As a second process leaves the file: the refresh token that stood there is used up."""
    text = json.loads(fake.file.read_text())
    text["contexts"][0].update(accessToken="second", refreshToken="refresh 2")
    fake.file.write_text(json.dumps(text))


def test_a_chosen_subscription_puts_no_used_token_back(fake):
    def meanwhile(s):
        renewed_by_another(fake)
        answer(s, SUBSCRIPTIONS)

    fake.answers = {"/v1/documents": meanwhile}
    r = run(fake, "account", "set", "--subscription", "Lab")
    assert r.returncode == 0, r
    assert (kept(fake)["subscription"], kept(fake)["refreshToken"], kept(fake)["accessToken"]) == (SUBSCRIPTION, "refresh 2", "second")


def holds(process, path):
    """Has it the file open?"""
    try:
        return any(os.path.realpath(f) == str(path) for f in pathlib.Path(f"/proc/{process.pid}/fd").iterdir())
    except OSError:
        return False


def test_a_renewal_under_way_does_not_replace_a_new_sign_in(fake):
    fake.answers = {"/adfs/oauth2/token": TOKENS, "/v1/whoami": ADA, "/v1/documents": SUBSCRIPTIONS}
    lock = fake.file.with_name("renew.lock")
    with open(os.open(lock, os.O_CREAT | os.O_RDWR, 0o600), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        with subprocess.Popen([CLI, "login", "--username", "ada@example.test", "--password-stdin"], env=fake.env, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
            p.stdin.write("a password\n")
            p.stdin.close()
            eventually(lambda: p.poll() is not None or holds(p, lock), 20, "it ends, or waits for the lock")
            renewed_by_another(fake)
            fcntl.flock(f, fcntl.LOCK_UN)
            assert p.wait(30 * PATIENCE) == 0, p.stderr.read()
    assert kept(fake)["refreshToken"] == "fresh refresh", kept(fake)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_is_ended_in_a_renewal_keeps_it_first(fake, sign, first):
    """The gateway has used the old refresh token up: with it in the file the next command would end the sign-in. As the command's first
    request, and when others have been made, whose lookups left threads that a signal can end as well."""
    fake.env = signed_in(fake.file.parents[2], fake, **({"expiresOn": 5} if first else {}))

    def meanwhile(s):
        os.kill(p.pid, sign)
        answer(s, TOKENS)

    fake.answers = {"/adfs/oauth2/token": meanwhile, "/v1/": lambda s: answer(s, {}, 401)}
    with subprocess.Popen([CLI, "vm", "list"], env=fake.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        assert p.wait(30 * PATIENCE) == -sign, p.stderr.read()
    assert kept(fake)["refreshToken"] == "fresh refresh", kept(fake)


def test_a_name_without_end_spoils_no_other_sign_in(fake):
    """Of a hostile gateway: the file must stay one that can be read."""
    fake.answers = {"/adfs/oauth2/token": TOKENS, "/v1/whoami": {**ADA, "name": "a" * 300000}, "/adfs/oauth2/revoke": {}}
    before = fake.file.read_text()
    r = run(fake, "login", "--username", "ada@example.test", "--password-stdin", input="a password\n")
    assert r.returncode == 1 and "does not say who signed in" in r.stderr, r
    assert fake.file.read_text() == before
    assert any(line.startswith("POST /adfs/oauth2/revoke") for line in fake.asked), fake.asked  # what is not kept is no longer good


def test_a_code_that_was_redeemed_is_not_asked_for_again(fake):
    """Who that is cannot be told just now: the code is spent all the same, and a second try counts as a wrong secret."""
    fake.answers = {"/adfs/oauth2/devicecode": {"device_code": "d", "user_code": "AB", "verification_uri": fake.url, "expires_in": 60, "interval": 0},
                    "/adfs/oauth2/token": TOKENS, "/v1/whoami": (503, {}), "/adfs/oauth2/revoke": {}}
    r = run(fake, "login", "--use-device-code")
    assert r.returncode == 1, r
    assert sum(line.startswith("POST /adfs/oauth2/token") for line in fake.asked) == 1, fake.asked


def test_clearing_goes_on_after_a_sign_in_that_is_gone(fake):
    def leave(*users):
        text = json.loads(fake.file.read_text())
        first = text["contexts"][0] if text["contexts"] else row
        fake.file.write_text(json.dumps({"version": 1, "contexts": [{**first, "user": u} for u in users]}))

    def meanwhile(s):
        if len(fake.asked) == 1:
            leave("carol@example.test")  # Bob's own logout
        answer(s, {})

    row = kept(fake)
    leave("ada@example.test", "bob@example.test", "carol@example.test")
    fake.answers = {"/adfs/oauth2/revoke": meanwhile}
    r = run(fake, "account", "clear")
    assert r.returncode == 0 and not r.stderr, r
    assert json.loads(fake.file.read_text())["contexts"] == [] and len(fake.asked) == 2


@pytest.mark.release_only  # it only waits, for long
def test_the_settings_of_a_desktop_are_written_by_one_at_a_time(fake):
    fake.answers = {"/v1/resolve": {"bastion": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Network/bastionHosts/door", "name": "web1",
                                    "targetResourceId": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web1"}}
    folder = os.open(fake.file.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    r = run(fake, "rdp", "--configure", "web1")
    assert r.returncode == 1 and "another caponier holds" in r.stderr, r
    os.close(folder)
    r = run(fake, "rdp", "--configure", "web1")
    assert r.returncode == 0, r


# ---- in memory ----

def copies(pid, secret):
    """How often it stands in what the process can write."""
    found = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            place, mode = line.split()[:2]
            if mode.startswith("rw"):
                begin, end = (int(x, 16) for x in place.split("-"))
                mem.seek(begin)
                found += mem.read(end - begin).count(secret.encode())
    return found


@pytest.mark.release_only  # sanitizers keep freed memory apart, and mark it
def test_a_served_secret_is_not_left_in_memory(fake, tmp_path):
    """While the client waits for an answer: of the code that enrolled nothing is there, of the refresh token what it will keep."""
    seen, began = {}, threading.Event()
    code, refresh = "one-time-code-81723", "refresh-token-55172-" + "x" * 40

    def count(name, secret, body):
        def look(s):
            assert began.wait(20)
            seen[name] = copies(p.pid, secret)
            answer(s, body)
        return look

    (tmp_path / "code").write_text(code + "\n")
    fake.answers = {"/v1/enrol": count("code while it serves", code, {}),
                    "/adfs/oauth2/token": count("code", code, {**TOKENS, "refresh_token": refresh}),
                    "/v1/whoami": count("refresh", refresh, ADA), "/v1/documents": SUBSCRIPTIONS}
    p = subprocess.Popen([CLI, "login", "--enrol", "--username", "ada@example.test", "--code-file", tmp_path / "code", "--password-stdin"],
                         env=fake.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    began.set()
    out, err = p.communicate("a password\n", timeout=60 * PATIENCE)
    assert p.returncode == 0, err
    assert seen.pop("code while it serves") > 0 and seen == {"code": 0, "refresh": 1}, seen


# ---- /etc/caponier/client.yaml ----

@pytest.fixture
def machine(tmp_path):
    """A machine whose administrator wrote that file."""
    etc = tmp_path / "etc"
    (etc / "caponier").mkdir(parents=True)
    shutil.copy("/etc/hosts", etc)

    def make(text):
        (etc / "caponier/client.yaml").write_text(text)
        return lambda argv: with_files(argv, {"/etc": etc})
    make.file = etc / "caponier/client.yaml"
    return make


def test_an_administrators_ca_is_good_after_the_sign_in_too(fake, tmp_path, machine):
    fake.env = signed_in(tmp_path, fake, ca=None)
    fake.answers = {"/v1/documents": SUBSCRIPTIONS, "/v1/whoami": ADA, "/adfs/oauth2/token": TOKENS, "/adfs/oauth2/revoke": {}}
    under = machine(f"gateway: {fake.url}/\nca: {fake.ca}\n")
    for env in ({}, {"CAPONIER_GATEWAY": fake.url}):
        r = run(fake, "vm", "list", under=under, env={**fake.env, **env})
        assert r.returncode == 0, r
    r = run(fake, "doctor", under=under)
    assert f"trusted by {fake.ca}" in r.stdout, r
    r = run(fake, "login", "--username", "ada@example.test", "--password-stdin", input="a password\n", under=under)
    assert r.returncode == 0 and "ca" not in kept(fake), r  # it stays the administrator's to change
    r = run(fake, "account", "clear", under=under)
    assert r.returncode == 0 and not r.stderr and fake.asked[-1].startswith("POST /adfs/oauth2/revoke"), r


def test_an_administrators_ca_is_that_of_one_gateway(fake, tmp_path, machine):
    fake.env = signed_in(tmp_path, fake, ca=None)
    under = machine(f"gateway: https://localhost:1\nca: {fake.ca}\n")
    r = run(fake, "vm", "list", under=under)
    assert r.returncode == 1 and "--ca FILE" in r.stderr and not fake.asked, r


def test_an_administrators_file_that_cannot_be_read_is_said(fake, machine):
    under = machine("")
    machine.file.unlink()
    machine.file.mkdir()
    for args in (["vm", "list"], ["login", "--gateway", fake.url]):
        r = run(fake, *args, under=under)
        assert r.returncode == 2 and "/etc/caponier/client.yaml: Is a directory" in r.stderr, r


# ---- the clock that is off ----

def refusing(*words):
    """The token endpoint of a gateway whose clock is an hour off ours: a word of refusal each time, then tokens."""
    left = list(words)

    def refuse(s):
        off = f"Date: {formatdate(time.time() + 3600, usegmt=True)}\r\n"
        answer(s, {"error": left.pop(0)}, 400, off) if left else answer(s, TOKENS)
    return refuse


def polls(fake):
    return [h for h in fake.heads if h.startswith("POST /adfs/oauth2/token ")]


def keys(fake):
    """Those that were proved at the token endpoint."""
    proofs = [next(line for line in h.split("\r\n") if line.lower().startswith("dpop: ")).split()[1] for h in polls(fake)]
    return {json.dumps(json.loads(base64.urlsafe_b64decode(p.split(".")[0] + "==="))["jwk"]) for p in proofs}


def test_a_wrong_password_is_sent_once(fake):
    fake.answers = {"/adfs/oauth2/token": refusing("invalid_grant")}
    r = run(fake, "login", "--username", "ada@example.test", "--password-stdin", input="wrong\n")
    assert r.returncode == 5 and len(polls(fake)) == 1, (r, fake.asked)


def test_a_proof_that_looks_old_is_made_again_once(fake):
    fake.answers = {"/adfs/oauth2/token": refusing("invalid_dpop_proof"), "/v1/whoami": ADA, "/v1/documents": SUBSCRIPTIONS}
    r = run(fake, "login", "--username", "ada@example.test", "--password-stdin", input="right\n")
    assert r.returncode == 0 and len(polls(fake)) == 2, (r, fake.asked)
    fake.heads.clear()
    fake.answers["/adfs/oauth2/token"] = refusing(*["invalid_dpop_proof"] * 3)
    r = run(fake, "login", "--username", "ada@example.test", "--password-stdin", input="right\n")
    assert r.returncode == 5 and len(polls(fake)) == 2, (r, fake.asked)


def test_each_poll_for_a_code_is_sent_once_and_of_one_key(fake):
    fake.answers = {"/adfs/oauth2/devicecode": {"device_code": "x", "user_code": "y", "verification_uri": "https://z/", "interval": 1, "expires_in": 60},
                    "/adfs/oauth2/token": refusing("authorization_pending", "authorization_pending", "expired_token")}
    r = run(fake, "login", "--use-device-code")
    assert r.returncode == 5 and len(polls(fake)) == 3 and len(keys(fake)) == 1, (r, fake.asked, keys(fake))
