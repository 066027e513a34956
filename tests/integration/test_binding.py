"""Channel binding: a sign-in's tokens are good with its key only, and a tunnel says over which TLS connection it came."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from conftest import GROUP_ID, VM, started
from lab import proxies
from lab.clock import HOUR, WallClock
from lab.gateway import BUILD, Gateway, Result, eventually, every_record
from lab.greeting import greeting
from lab.holder import Connection, Key, claims, unb64

UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Protocol", "caponier.v1"))


def kept(user):
    """The sign-in as the client keeps it: (context, its key)."""
    context = json.loads((user.dir / "config/caponier/contexts.json").read_text())["contexts"][0]
    return context, Key(unb64(context["key"])) if "key" in context else None


class Thief:
    """Somebody with a copy of ada's access token, and whatever else a test gives."""

    def __init__(self, gateway, user):
        self.gateway = gateway
        context, self.key = kept(user)
        self.token, self.refresh = context["accessToken"], context["refreshToken"]
        self.url = gateway.url + "/v1/tunnel"

    def connect(self):
        return Connection(self.gateway.port, self.gateway.ca)

    def tunnel(self, proof=None, token=None, on=None, more=()):
        """(status, word or binding) of an upgrade; proof: text, or a function of the connection."""
        with on or self.connect() as c:
            fields = [*UPGRADE, ("Authorization", f"Bearer {token or self.token}"), *more]
            if proof:
                fields.append(("DPoP", proof(c) if callable(proof) else proof))
            status, said, body = c.ask(self.gateway.port, "GET", "/v1/tunnel", *fields)
            return status, said["caponier-binding"] if status == 101 else json.loads(body).get("code") or json.loads(body)["error"]["code"]

    def good(self, c, **over):
        return self.key.proof("GET", self.url, self.token, over.pop("exporter", c.exporter), **over)


@pytest.fixture(scope="module")
def thief(gateway, ada):
    ada.ok("account", "show")
    return Thief(gateway, ada)


@pytest.fixture(scope="module")
def target(network):
    s = network.machines.listen("10.77.1.5", 22)
    s.settimeout(20)
    yield s
    s.close()


@pytest.fixture(scope="module")
def eavesdropper(gateway, folder):
    ca, leaf = proxies.make_ca(folder / "binding-eavesdropper", "Reading Along CA")
    p = proxies.Interceptor(leaf, gateway.ca)
    p.ca = ca
    yield p
    p.close()


@pytest.fixture(scope="module")
def strict(network, folder):
    g = started(network, folder / "strict", channel_binding="require")
    u = g.user("ada@example.test")
    g.admin.ok("role", "assign", "--assignee", "ada@example.test", "--role", "Reader", "--scope", GROUP_ID)
    g.ada = u
    yield g
    g.close()


# ---- a stolen token ----

def test_a_token_without_its_key_is_worth_nothing(gateway, thief):
    assert claims(thief.token)["cnf"] == {"jkt": thief.key.jkt}
    assert thief.tunnel() == (401, "key_proof")
    with thief.connect() as c:
        status, _, body = c.ask(gateway.port, "GET", "/v1/whoami", ("Authorization", f"Bearer {thief.token}"))
    assert status == 401 and json.loads(body)["error"]["code"] == "key_proof"
    form = f"resourceId={VM}scripted&protocol=tcptunnel&workloadHostPort=22&aztoken={thief.token}".encode()
    with thief.connect() as c:
        status, _, body = c.ask(gateway.port, "POST", "/api/tokens", body=form)
    assert status == 401 and "key" in json.loads(body)["message"]
    line = next(x for x in gateway.log_text().splitlines() if "key.not_proved" in x)
    assert "there is no proof" in line and thief.token not in gateway.log_text()
    refused = [r for r in every_record(gateway.admin) if r.get("reason") == "key_proof" and r["operationName"] == "session.refused"]
    assert refused and refused[-1]["userEmail"] == "ada@example.test" and refused[-1]["binding"] == "none"


def test_another_key_does_not_help(thief):
    other = Key()
    assert thief.tunnel(lambda c: other.proof("GET", thief.url, thief.token, c.exporter)) == (401, "key_proof")
    # signed by the other key in the name of the right one
    assert thief.tunnel(lambda c: other.proof("GET", thief.url, thief.token, c.exporter, header={"jwk": thief.key.jwk})) == (401, "key_proof")


def test_a_signature_is_of_one_connection(thief):
    """What was shown in one connection opens no other, neither while it is fresh nor later."""
    said = []

    def keep(c):
        said.append(thief.good(c))
        return said[0]
    assert thief.tunnel(keep) == (101, "exporter")
    assert thief.tunnel(said[0]) == (401, "key_proof")
    with thief.connect() as elsewhere:
        old = thief.good(elsewhere, iat=int(time.time()) - 120)
    assert thief.tunnel(old) == (401, "key_proof")


def test_a_nonce_serves_once(thief):
    assert thief.tunnel(lambda c: thief.good(c, jti="a" * 20)) == (101, "exporter")
    assert thief.tunnel(lambda c: thief.good(c, jti="a" * 20)) == (401, "key_proof")
    assert thief.tunnel(lambda c: thief.good(c, jti="b" * 20, exporter=None)) == (101, "none")
    assert thief.tunnel(lambda c: thief.good(c, jti="b" * 20, exporter=None)) == (401, "key_proof")


@pytest.mark.parametrize("why,over", [
    ("of another method", {"htm": "POST"}), ("without a method", {"htm": None}),
    ("for another path", {"htu": "https://localhost:1/v1/tunnel"}), ("for another host", {"htu": "https://elsewhere.test/v1/tunnel"}),
    ("for plain HTTP", {"htu": "http://localhost/v1/tunnel"}), ("with a query", {"htu": "https://localhost/v1/tunnel?x"}),
    ("of another token", {"ath": "A" * 43}), ("of no token", {"ath": None}), ("half a hash", {"ath": "A" * 20}),
    ("from the future", {"iat": int(time.time()) + 3600}), ("without a time", {"iat": None}), ("a time in words", {"iat": "now"}),
    ("without a nonce", {"jti": None}), ("a short nonce", {"jti": "a" * 15}), ("a long nonce", {"jti": "a" * 65}),
    ("another alg", {"header": {"alg": "none"}}), ("HMAC", {"header": {"alg": "HS256"}}), ("another type", {"header": {"typ": "JWT"}}),
    ("more in the header", {"header": {"kid": "x"}}), ("a private key", {"header": {"jwk": {"crv": "Ed25519", "kty": "OKP", "x": "A" * 43, "d": "A" * 43}}}),
])
def test_refused_proofs(thief, why, over):
    assert thief.tunnel(lambda c: thief.good(c, **over)) == (401, "key_proof"), why


def test_fields_that_cannot_be(thief):
    with thief.connect() as c:
        assert c.ask(thief.gateway.port, "GET", "/v1/tunnel", *UPGRADE, ("Authorization", f"Bearer {thief.token}"), ("DPoP", thief.good(c)),
                     ("dpop", thief.good(c)))[0] == 400
    with thief.connect() as c:
        assert c.ask(thief.gateway.port, "GET", "/v1/whoami", ("Authorization", f"Bearer {thief.token}"), ("DPoP", "a" * 2049))[0] == 431


def test_a_stolen_refresh_token(gateway):
    u = gateway.user("robbed@example.test")
    t = Thief(gateway, u)
    url = gateway.url + "/adfs/oauth2/token"

    def redeem(proof):
        with t.connect() as c:
            fields = [("DPoP", proof(c))] if proof else []
            status, _, body = c.ask(gateway.port, "POST", "/adfs/oauth2/token", *fields,
                                    body=f"grant_type=refresh_token&client_id=caponier&refresh_token={t.refresh}".encode())
        return status, json.loads(body)
    # a proof that is wrong in itself is refused before the token is looked at
    for proof in (lambda c: t.key.proof("GET", url, exporter=c.exporter), lambda c: t.key.proof("POST", t.url, exporter=c.exporter),
                  lambda c: t.key.proof("POST", url, iat=int(time.time()) - 120), lambda c: "nonsense"):
        status, body = redeem(proof)
        assert status == 400 and body["error"] == "invalid_dpop_proof", body
    status, body = redeem(lambda c: t.key.proof("POST", url, exporter=c.exporter))
    assert status == 200 and body["token_type"] == "DPoP" and claims(body["access_token"])["cnf"] == {"jkt": t.key.jkt}, body
    t.refresh = body["refresh_token"]
    other = Key()
    assert redeem(lambda c: other.proof("POST", url, exporter=c.exporter))[1]["error"] == "invalid_grant"
    u.login("robbed@example.test", u.password)
    t.refresh = kept(u)[0]["refreshToken"]
    assert redeem(None)[1]["error"] == "invalid_grant"


def test_tokens_without_a_key_work_as_before(gateway, thief):
    """az and all others: no proof, and one that they bring is of no concern."""
    body = f"grant_type=password&client_id=x&username=ada@example.test&password={gateway.users['ada@example.test'].password.replace(' ', '+')}".encode()
    with thief.connect() as c:
        status, _, got = c.ask(gateway.port, "POST", "/adfs/oauth2/token", body=body)
    got = json.loads(got)
    assert status == 200 and got["token_type"] == "Bearer" and "cnf" not in claims(got["access_token"])
    assert thief.tunnel(token=got["access_token"]) == (101, "none")
    assert thief.tunnel(lambda c: thief.good(c), token=got["access_token"]) == (101, "none")


# ---- straight, and through somebody who reads along ----

def greeted(user, target, *args, env={}):
    """The session of a greeting through `connect`, as the list of sessions has it; client's stderr must be empty."""
    with greeting(user, target, *args, env=env) as said:
        session = max(user.json("session", "list")["value"], key=lambda x: x["startTime"])
    assert said == [b""]
    return session


def records_of(gateway, session):
    return eventually(lambda: (lambda r: r if len(r) == 2 else None)(
        [r for r in every_record(gateway.admin) if r.get("tunnelId") == session["sessionId"]]), what="start and end")


def test_straight(gateway, ada, target):
    context, key = kept(ada)
    there = ada.dir / "config/caponier/contexts.json"
    assert key and there.stat().st_mode & 0o777 == 0o600
    session = greeted(ada, target)
    assert session["binding"] == "exporter"
    assert [r["binding"] for r in records_of(gateway, session)] == ["exporter"] * 2
    assert context["key"] not in gateway.log_text()
    lines = {x["check"]: x for x in ada.json("doctor")["value"]}
    assert lines["binding"]["state"] == "ok" and "same TLS connection" in lines["binding"]["detail"]


def test_prefer_through_interception(gateway, ada, eavesdropper, target):
    env = {"https_proxy": f"http://127.0.0.1:{eavesdropper.port}"}
    session = greeted(ada, target, "--ca", str(eavesdropper.ca), env=env)
    assert session["binding"] == "none"
    assert [r["binding"] for r in records_of(gateway, session)] == ["none"] * 2
    r = Result(subprocess.run(ada.argv("doctor", "--ca", eavesdropper.ca, "-o", "json"), env={**ada.env, **env}, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60))
    lines = {x["check"]: x for x in r.json()["value"]}
    assert lines["binding"]["state"] == "warn" and "CN=Reading Along CA" in lines["binding"]["detail"], lines
    # what it read is of no use to it
    proof = next(x for x in reversed(eavesdropper.seen) if b"DPoP:" in x and b"/v1/tunnel" in x)
    fields = dict(line.split(": ", 1) for line in proof.decode().split("\r\n")[1:] if ": " in line)
    t = Thief(gateway, ada)
    assert t.tunnel(token=fields["Authorization"].split()[1]) == (401, "key_proof")
    assert t.tunnel(fields["DPoP"], token=fields["Authorization"].split()[1]) == (401, "key_proof")


@pytest.mark.parametrize("name,shift,through", [("early", HOUR, "straight"), ("inspected", HOUR, "intercepted")])
def test_a_client_whose_clock_is_off(gateway, eavesdropper, target, folder, name, shift, through):
    """It signs in, calls and tunnels all the same: the gateway's refusal says what time it is."""
    clock = WallClock(folder / name)
    clock.set(shift)
    u = gateway.user(f"{name}@example.test")
    gateway.admin.ok("role", "assign", "--assignee", f"{name}@example.test", "--role", "Reader", "--scope", GROUP_ID)
    u.argv = lambda *args, build=None: [*clock.under, *gateway.from_outside(BUILD / "caponier", *args)]
    ca = gateway.ca
    if through == "intercepted":
        u.env, ca = {**u.env, "https_proxy": f"http://127.0.0.1:{eavesdropper.port}"}, eavesdropper.ca
    u.ok("login", "--username", f"{name}@example.test", "--password-stdin", "--ca", ca, input=u.password + "\n")
    assert kept(u)[1] and u.ok("vm", "list")
    assert greeted(u, target)["binding"] == ("none" if through == "intercepted" else "exporter")


def test_require(strict, target):
    assert greeted(strict.ada, target)["binding"] == "exporter"
    t = Thief(strict, strict.ada)
    assert t.tunnel() == (401, "key_proof")
    assert t.tunnel(lambda c: t.good(c, exporter=None)) == (403, "tls_opened")
    assert t.tunnel(lambda c: t.good(c, exporter=bytes(32))) == (403, "tls_opened")
    assert t.tunnel(t.good) == (101, "exporter")
    body = f"grant_type=password&client_id=x&username=ada@example.test&password={strict.ada.password.replace(' ', '+')}".encode()
    with t.connect() as c:
        token = json.loads(c.ask(strict.port, "POST", "/adfs/oauth2/token", body=body)[2])["access_token"]
    assert t.tunnel(token=token) == (403, "key_missing")


def test_the_mark_outlives_control(strict, target):
    with strict.ada.tunnel("scripted") as t, socket.create_connection(("127.0.0.1", t.port), 20) as c:
        c.sendall(b"SSH-2.0-me\r\n")
        s, _ = target.accept()
        with s:
            assert s.recv(100) == b"SSH-2.0-me\r\n"
            session = strict.ada.json("session", "list")["value"][-1]
            old = strict.pids("control")
            os.kill(old[0], signal.SIGKILL)
            eventually(lambda: strict.pids("control") not in ([], old), what="another control")
            again = eventually(lambda: (lambda r: r.code == 0 and [x for x in r.json()["value"] if x["sessionId"] == session["sessionId"]])(
                strict.ada.run("session", "list", "-o", "json")), what="the session is adopted")
            assert again[0]["binding"] == "exporter"
    assert [r["binding"] for r in records_of(strict, session)] == ["exporter"] * 2


def test_require_through_interception(strict, folder):
    ca, leaf = proxies.make_ca(folder / "strict-eavesdropper", "Reading Along CA")
    p = proxies.Interceptor(leaf, strict.ca)
    try:
        def run(*args):
            return Result(subprocess.run(strict.ada.argv(*args, "--ca", ca), env={**strict.ada.env, "https_proxy": f"http://127.0.0.1:{p.port}"},
                                         text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60))
        r = run("connect", "scripted")
        assert r.code == 255 and r.out == "" and "opens the TLS connection" in r.err and "channel_binding: require" in r.err, r
        assert "have its host left out" in r.err and "(the certificate here is issued by CN=Reading Along CA,O=Example)" in r.err and r.err.count("\n") == 1
        assert run("vm", "list").code == 0
        lines = {x["check"]: x for x in run("doctor", "-o", "json").json()["value"]}
        assert lines["tunnel"]["state"] == "fail" and "TLS inspection" in lines["tunnel"]["hint"]
        assert not strict.ada.json("session", "list")["value"]
        refused = [x for x in every_record(strict.admin) if x.get("reason") == "tls_opened"]
        assert refused and refused[0]["userEmail"] == "ada@example.test"
    finally:
        p.close()


def test_the_setting_takes_effect_at_reload(own_gateway, tmp_path, target):
    """A carrier that came in unbound takes no new streams; sessions that run go on."""
    g = own_gateway
    ca, leaf = proxies.make_ca(tmp_path / "eavesdropper", "Reading Along CA")
    p = proxies.Interceptor(leaf, g.ca)
    admin = g.admin
    admin.env = {**admin.env, "https_proxy": f"http://127.0.0.1:{p.port}"}
    try:
        with admin.tunnel("scripted", "--ca", str(ca)) as t:
            c = socket.create_connection(("127.0.0.1", t.port), 20)
            c.sendall(b"SSH-2.0-me\r\n")
            s, _ = target.accept()
            with c, s:
                assert s.recv(100) == b"SSH-2.0-me\r\n"
                g.write_config(channel_binding="require")
                g.process.send_signal(signal.SIGHUP)
                eventually(lambda: "channel_binding" in g.log_text(), what="reload")
                s.sendall(b"SSH-2.0-t\r\n")
                assert c.recv(100) == b"SSH-2.0-t\r\n"
                with socket.create_connection(("127.0.0.1", t.port), 20) as d:
                    d.sendall(b"SSH-2.0-me\r\n")
                    assert b"opens the TLS connection" in d.recv(4096)
            assert "opens the TLS connection" in t.stderr()
    finally:
        p.close()


@pytest.mark.parametrize("value", ["", "always", "Require", True])
def test_other_settings_stop_the_start(network, tmp_path, value):
    g = Gateway(network, tmp_path / "g", channel_binding=value)
    try:
        g.start(wait=False)
        assert g.process.wait(20) != 0
        assert "channel_binding" in g.log_text() and "require" in g.log_text(), g.log_text()
    finally:
        g.close()
