"""SSH certificates: the token request exactly as `az ssh` posts it, and a real sshd that trusts the gateway's CA."""
import base64
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
import requests

from conftest import GROUP_ID, VM, started
from lab.gateway import ADMIN, ADMIN_PASSWORD, eventually, every_record
from lab.net import ROOT
from lab.ssh import OPTIONS
from lab.sshd import Sshd, keygen

AS_ROOT = pytest.mark.skipif(not ROOT, reason="sshd gives other accounts only to root")
AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
LINUX = "https://pas.windows.net/CheckMyAccess/Linux/.default"
USER, ADMINISTRATOR = "Virtual Machine User Login", "Virtual Machine Administrator Login"


def b64url(raw):
    return base64.urlsafe_b64encode(raw).decode()


def fields(line):
    """The strings of an OpenSSH public key."""
    blob, out = base64.b64decode(line.split()[1]), []
    while blob:
        n = int.from_bytes(blob[:4], "big")
        out.append(blob[4:4 + n])
        blob = blob[4 + n:]
    return out


class Key:
    """A fresh key as the extension makes one, and its request members."""

    def __init__(self, folder, kind="rsa"):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = keygen(folder / "id", kind)
        self.public = (folder / "id.pub").read_text()
        parts = fields(self.public)
        if kind == "rsa":  # a number as it stands in the key, with its zero and with padding
            self.cnf = {"kty": "RSA", "n": b64url(parts[2]), "e": b64url(parts[1])}
        else:
            self.cnf = {"kty": "OKP", "crv": "Ed25519", "x": b64url(parts[1]).rstrip("=")}
        self.id = hashlib.sha256(json.dumps(self.cnf).encode()).hexdigest()
        self.type = ("ssh-rsa" if kind == "rsa" else "ssh-ed25519") + "-cert-v01@openssh.com"
        self.cnf["kid"] = self.id
        self.form = {"token_type": "ssh-cert", "req_cnf": json.dumps(self.cnf), "key_id": self.id}

    def keep(self, reply):
        """The certificate of a reply, where ssh(1) is told to find it."""
        self.certificate = pathlib.Path(str(self.path) + "-cert.pub")
        self.certificate.write_text(f"{self.type} {reply['access_token']}\n")
        return self

    def shown(self):
        return subprocess.run(["ssh-keygen", "-L", "-f", self.certificate], capture_output=True, text=True, check=True).stdout

    def principals(self):
        lines = self.shown().split("Principals:")[1].split("Critical Options:")[0]
        return [line.strip() for line in lines.splitlines() if line.strip()]


@pytest.fixture
def key(tmp_path):
    return Key(tmp_path / "key")


class People:
    def __init__(self, gateway):
        self.gateway = gateway
        self.url, self.ca = f"{gateway.url}/adfs/oauth2/token", str(gateway.ca)
        self.admin = gateway.admin

    def post(self, **form):
        return requests.post(self.url, data=form, verify=self.ca, timeout=20)

    def refresh_token(self, name, password="another long password 2"):
        r = self.post(grant_type="password", username=name, password=password, client_id=AZ,
                      scope=f"{self.gateway.url}/.default offline_access openid profile")
        assert r.status_code == 200, r.text
        return r.json()["refresh_token"]

    def user_asks(self, key, refresh_token, scope=LINUX, **more):
        return self.post(client_id=AZ, grant_type="refresh_token", refresh_token=refresh_token, client_info="1",
                         scope=f"{scope} offline_access openid profile", **key.form, **more)

    def cert(self, key, name, **more):
        r = self.user_asks(key, self.refresh_token(name), **more)
        assert r.status_code == 200, r.text
        return key.keep(r.json())

    def assign(self, who, role, scope=GROUP_ID):
        self.admin.ok("role", "assign", "--assignee", who, "--role", role, "--scope", scope)


@pytest.fixture(scope="module")
def people(gateway):
    """guest: User Login on web1. boss: Administrator Login on the group. eve: nothing."""
    p = People(gateway)
    for name in ("guest@example.test", "boss@example.test", "eve.cert@example.test"):
        gateway.user(name)
    p.assign("guest@example.test", USER, VM + "web1")
    p.assign("boss@example.test", ADMINISTRATOR)
    return p


def machine_sshd(network, folder, people, address, machine, strict):
    """An sshd that trusts the CA: by account name alone, or by what the machine's own id admits."""
    folder.mkdir(parents=True, exist_ok=True)
    ca = folder / "caponier-ca.pub"
    ca.write_text(requests.get(f"{people.gateway.url}/v1/ssh-ca", verify=people.ca, timeout=20).text)
    more = {"TrustedUserCAKeys": ca, "PermitRootLogin": "yes"}
    if strict:
        script = pathlib.Path(__file__).parents[2] / "dist/caponier-principals"
        (folder / "machine").write_text(VM + machine + "\n")
        more["AuthorizedPrincipalsCommand"] = f"/run/caponier-principals %u {folder}/machine"
        more["AuthorizedPrincipalsCommandUser"] = "nobody"
        more["before"] = f"chmod 755 /run && install -m 755 {script} /run/"  # sshd wants root's own folders above it
    return Sshd(network.machines, folder, address, **more)


@pytest.fixture(scope="module")
def simple(network, folder, people):
    network.add("10.77.1.30")
    s = machine_sshd(network, folder / "cert-simple", people, "10.77.1.30", "web1", False)
    yield s
    s.close()


def sign_in(network, sshd, key, user="guest", command="id -un"):
    return subprocess.run(network.gateway.argv(
        "ssh", *OPTIONS, "-o", "PasswordAuthentication=no", "-i", key.path, "-o", f"CertificateFile={key.certificate}",
        "-p", sshd.port, f"{user}@{sshd.addr}", command), capture_output=True, text=True, timeout=30)


def records(people, serial):
    return [r for r in every_record(people.admin) if r.get("certificateSerial") == serial]


# ---- refusals ----

@pytest.mark.parametrize("change,error", [
    ({"token_type": "pop"}, "invalid_request"),
    ({"scope": "https://pas.windows.net/CheckMyAccess/Windows/.default"}, "invalid_scope"),
    ({"req_cnf": None}, "invalid_request"),
    ({"req_cnf": ""}, "invalid_request"),
    ({"req_cnf": "{}"}, "invalid_request"),
    ({"req_cnf": '{"kty":"RSA","n":"AQAB","e":"AQAB"}'}, "invalid_request"),
    ({"req_cnf": '{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}'}, "invalid_request"),
    ({"key_id": "a" * 129}, "invalid_request"),
    ({"key_id": "a\nb"}, "invalid_request"),
    ({"target": "web1"}, "invalid_request"),
])
def test_bad_requests_are_refused_in_the_rfcs_words(people, key, change, error):
    form = {"client_id": AZ, "grant_type": "password", "username": "guest@example.test", "password": "another long password 2",
            "scope": LINUX, **key.form, **change}
    r = people.post(**form)
    assert (r.status_code, r.json()["error"]) == (400, error)
    assert r.json()["error_description"]


def test_without_the_role_no_certificate_and_the_words_say_which(people, key):
    token = people.refresh_token("eve.cert@example.test")
    r = people.user_asks(key, token)
    assert r.status_code == 400 and r.json()["error"] == "unauthorized_client"
    assert USER in r.json()["error_description"] and ADMINISTRATOR in r.json()["error_description"]
    r = people.user_asks(key, token, target=VM + "web1")  # the refresh token is still good
    assert r.status_code == 400 and r.json()["error"] == "unauthorized_client"
    assert "Reader" in r.json()["error_description"] and VM + "web1" in r.json()["error_description"]


def test_a_reserved_account_is_nobodys(people, key):
    people.assign(ADMIN, ADMINISTRATOR, VM + "scripted")
    r = people.user_asks(key, people.refresh_token(ADMIN, ADMIN_PASSWORD))
    assert r.status_code == 400 and "reserved" in r.json()["error_description"]


# ---- what is in one ----

@pytest.mark.parametrize("scope", [LINUX, "https://pas.chinacloudapi.cn/CheckMyAccess/Linux/.default",
                                   "https://pasff.usgovcloudapi.net/CheckMyAccess/Linux/.default"])
def test_a_user_gets_what_the_cli_reads(people, key, scope):
    token = people.refresh_token("guest@example.test")
    r = people.user_asks(key, token, scope)
    assert r.status_code == 200, r.text
    body = r.json()
    assert {"token_type", "access_token", "expires_in", "refresh_token", "id_token", "client_info"} <= set(body)
    assert body["token_type"] == "ssh-cert" and 0 < int(body["expires_in"]) <= 600
    assert body["refresh_token"] != token and r.headers["Cache-Control"] == "no-store"
    text = key.keep(body).shown()
    assert key.principals()[0] == "guest"
    assert len(key.principals()) == 2
    assert "permit-pty" in text and "permit-port-forwarding" in text and "permit-agent-forwarding" not in text and "permit-X11" not in text and "force-command" not in text
    assert "RSA-CERT" in text and "guest@example.test" in text
    serial = text.split("Serial: ")[1].split()[0]
    record = eventually(lambda: records(people, serial), what="the audit record")[0]
    assert record["certificateKeyId"] in text and record["userEmail"] == "guest@example.test"
    assert record["decisionId"] in text and record["objectId"] in text


def test_ed25519_and_a_target(people, gateway, tmp_path):
    gateway.admin.ok("role", "assign", "--assignee", "boss@example.test", "--role", "Reader", "--scope", GROUP_ID)
    key = people.cert(Key(tmp_path / "ed", "ed25519"), "boss@example.test", target=VM + "web1")
    tag = hashlib.sha256((VM + "web1").lower().encode()).hexdigest()[:32]
    assert key.principals() == ["boss", f"boss@{tag}", f"caponier-admin@{tag}"]
    key = people.cert(Key(tmp_path / "wide", "ed25519"), "boss@example.test")
    assert f"boss@{hashlib.sha256(GROUP_ID.lower().encode()).hexdigest()[:32]}" in key.principals()


def test_a_service_principal(people, key):
    made = people.admin.json("sp", "add", "guestbot")
    form = dict(client_id=made["appId"], client_secret=made["secret"], grant_type="client_credentials", scope=LINUX,
                client_info="1", **key.form)
    r = people.post(**form)
    assert r.status_code == 400 and USER in r.json()["error_description"]
    people.assign(made["appId"], USER)
    r = people.post(**form)
    assert r.status_code == 200 and r.json()["token_type"] == "ssh-cert" and "refresh_token" not in r.json()
    assert key.keep(r.json()).principals()[0] == "guestbot"


# ---- a real sshd ----

@AS_ROOT
def test_a_certificate_signs_in(people, network, simple, key):
    people.cert(key, "guest@example.test")
    r = sign_in(network, simple, key)
    assert (r.returncode, r.stdout) == (0, "guest\n"), r.stderr


@AS_ROOT
def test_another_account_is_refused(people, network, simple, key):
    people.cert(key, "guest@example.test")
    assert sign_in(network, simple, key, "root").returncode == 255
    assert "guest" in key.principals()
    people.cert(key, "boss@example.test")
    assert sign_in(network, simple, key, "guest").returncode == 255


@AS_ROOT
def test_another_ca_is_refused(people, network, simple, tmp_path):
    key, ca = Key(tmp_path / "k"), keygen(tmp_path / "ca")
    subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "x", "-n", "guest", "-V", "+5m", str(key.path) + ".pub"], check=True)
    key.certificate = pathlib.Path(str(key.path) + "-cert.pub")
    assert sign_in(network, simple, key).returncode == 255


@AS_ROOT
def test_strict_machines_take_only_their_own_scopes(people, network, folder, key):
    """guest may sign in to web1 and nowhere else, although the account exists on both machines."""
    for machine, address, want in (("web1", "10.77.1.31", 0), ("db1", "10.77.1.32", 255)):
        network.add(address)
        s = machine_sshd(network, folder / f"cert-strict-{machine}", people, address, machine, True)
        try:
            people.cert(key, "guest@example.test")
            r = sign_in(network, s, key)
            assert r.returncode == want, (machine, r.stderr, (s.dir / "sshd.log").read_text()[-2000:])
            assert sign_in(network, s, key, "root").returncode == 255
            people.cert(key, "boss@example.test")
            r = sign_in(network, s, key, "root")  # the group's administrator
            assert (r.returncode, r.stdout) == (0, "root\n"), (s.dir / "sshd.log").read_text()[-2000:]
        finally:
            s.close()


@AS_ROOT
def test_source_address_and_expiry(network, folder, own_gateway, tmp_path):
    """A certificate is good from the gateway's address only, and not for ever."""
    own_gateway.stop()
    own_gateway.write_config(ssh_cert_source_address=["10.77.0.1/32"], ssh_cert_extensions="permit-pty permit-user-rc")
    own_gateway.start()
    people = People(own_gateway)
    own_gateway.user("guest@example.test")
    people.assign("guest@example.test", USER)
    key = people.cert(Key(tmp_path / "k"), "guest@example.test")
    assert "source-address 10.77.0.1/32" in key.shown() and "permit-user-rc" in key.shown()
    network.add("10.77.1.33")
    s = machine_sshd(network, folder / "cert-source", people, "10.77.1.33", "web1", False)
    try:
        assert sign_in(network, s, key).returncode == 0
        elsewhere = subprocess.run(network.machines.argv(
            "ssh", *OPTIONS, "-o", "PasswordAuthentication=no", "-i", key.path, "-o", f"CertificateFile={key.certificate}",
            f"guest@{s.addr}", "true"), capture_output=True, text=True, timeout=30)
        assert elsewhere.returncode == 255
        ca = own_gateway.state / "ssh-ca"  # the same CA signs one that has just run out
        subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "old", "-n", "guest", "-V", "-10m:-1m", str(key.path) + ".pub"], check=True)
        assert sign_in(network, s, key).returncode == 255
    finally:
        s.close()


def test_the_ca_stays_and_can_be_switched_off(own_gateway):
    url = f"{own_gateway.url}/v1/ssh-ca"
    first = requests.get(url, verify=str(own_gateway.ca), timeout=20)
    assert first.status_code == 200 and first.text.startswith("ssh-ed25519 ") and first.text.count("\n") == 1
    assert (own_gateway.state / "ssh-ca").stat().st_mode & 0o777 == 0o600
    own_gateway.stop()
    own_gateway.start()
    assert requests.get(url, verify=str(own_gateway.ca), timeout=20).text == first.text
    own_gateway.stop()
    own_gateway.write_config(ssh_certificates=False)
    own_gateway.start()
    assert requests.get(url, verify=str(own_gateway.ca), timeout=20).status_code == 404


def test_the_ca_key_may_lie_in_an_agent(own_gateway, tmp_path):
    ca, sock = keygen(tmp_path / "agent-ca"), tmp_path / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    try:
        eventually(sock.exists, what="the agent's socket")
        subprocess.run(["ssh-add", "-q", ca], env={"SSH_AUTH_SOCK": str(sock), "PATH": "/usr/bin:/bin"}, check=True)
        ca.unlink()
        own_gateway.stop()
        own_gateway.write_config(ssh_ca_key=str(ca) + ".pub", ssh_ca_agent=str(sock))
        own_gateway.start()
        people = People(own_gateway)
        own_gateway.user("guest@example.test")
        people.assign("guest@example.test", USER)
        key = people.cert(Key(tmp_path / "k"), "guest@example.test")
        want = subprocess.run(["ssh-keygen", "-l", "-f", str(ca) + ".pub"], capture_output=True, text=True, check=True).stdout.split()[1]
        assert want in key.shown()
    finally:
        agent.terminate()
        agent.wait()


def test_many_at_once_each_get_their_own(people, tmp_path):
    import concurrent.futures
    keys = [Key(tmp_path / str(i), "ed25519") for i in range(12)]
    tokens = [people.refresh_token("guest@example.test") for _ in keys]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda kt: people.user_asks(*kt), zip(keys, tokens)))
    assert [r.status_code for r in replies] == [200] * 12, time.monotonic() - began
    serials = {k.keep(r.json()).shown().split("Serial: ")[1].split()[0] for k, r in zip(keys, replies)}
    assert len(serials) == 12


def test_certificates_of_one_user_a_minute(network, folder, key):
    """The limit is the user's own, says when to come back, and costs nobody the refresh token."""
    g = started(network, folder / "cert-rate", ssh_certs_per_minute=2, fronts=1)
    try:
        people = People(g)
        for name in ("busy.cert@example.test", "calm.cert@example.test"):
            g.user(name)
            people.assign(name, USER)
        token = people.refresh_token("busy.cert@example.test")
        for _ in range(2):
            r = people.user_asks(key, token)
            assert r.status_code == 200, r.text
            token = r.json()["refresh_token"]
        r = people.user_asks(key, token)
        assert (r.status_code, r.json()["error"]) == (429, "temporarily_unavailable") and int(r.headers["Retry-After"]) > 0
        assert "certificates" in r.json()["error_description"]
        people.cert(key, "calm.cert@example.test")
        g.write_config(ssh_certs_per_minute=100)
        os.kill(g.process.pid, signal.SIGHUP)
        eventually(lambda: people.user_asks(key, token).status_code == 200, what="the new limit; the token was not used up")
    finally:
        g.close()
