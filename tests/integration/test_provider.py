"""People and services whom a provider elsewhere proves, with one that lies when it is told to."""
import concurrent.futures
import html
import json
import os
import re
import secrets
import signal
import time
import urllib.parse

import pytest
import requests

from conftest import started
from lab.gateway import ADMIN, ADMIN_PASSWORD, User, eventually, every_record
from lab.idp import Provider, make_key
from lab.terminal import OnTerminal, opened, opener

AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
URN = "urn:ietf:params:oauth:grant-type:device_code"
ROBOT_APP = "99999999-2222-3333-4444-555555555555"


class Browser(requests.Session):
    """Keeps the gateway's cookie; follows nothing by itself."""

    def __init__(self, gateway):
        super().__init__()
        self.trust_env = False  # or the environment would choose whom to trust
        self.verify, self.gateway = str(gateway.ca), gateway

    def show(self, path, **params):
        url = path if path.startswith("https://") else self.gateway.url + path
        return self.get(url, params=params, allow_redirects=False, timeout=30)

    def fill(self, path, **form):
        return self.post(self.gateway.url + path, data=form, headers={"Origin": self.gateway.url},
                         allow_redirects=False, timeout=30)


def token(gateway, **form):
    return requests.post(gateway.url + "/adfs/oauth2/token", data=form, verify=str(gateway.ca), timeout=30)


class SignIn:
    """A device code, and the browser in which its person is asked for."""

    def __init__(self, gateway):
        self.gateway, self.browser = gateway, Browser(gateway)
        begun = requests.post(gateway.url + "/adfs/oauth2/devicecode", verify=str(gateway.ca), timeout=30,
                              data={"client_id": AZ, "scope": "openid profile offline_access"})
        assert begun.status_code == 200, begun.text
        self.device = begun.json()
        self.browser.show("/device", user_code=self.device["user_code"])
        self.page = self.browser.fill("/device", user_code=self.device["user_code"])

    def flow(self, page=None):
        found = re.search(r'(?:name="flow" value="|/signin/leave\?flow=)([0-9a-f]+)"', (page or self.page).text)
        assert found, (page or self.page).text
        return found.group(1)

    def leave(self):
        """Where the gateway sends the browser; the page when it sends it nowhere."""
        self.page = self.browser.show("/signin/leave", flow=self.flow())
        return self.page.headers.get("Location")

    def back(self, url):
        self.page = self.browser.show(url)
        return self.page

    def through(self, provider, sub, **claims):
        return self.back(provider.approve(self.leave(), sub, **claims))

    def approve(self):
        done = self.browser.fill("/signin/decide", flow=self.flow(), decision="approve")
        assert done.status_code == 200, done.text
        return token(self.gateway, grant_type=URN, client_id=AZ, device_code=self.device["device_code"]).json()


def said(page):
    return html.unescape(re.search(r'<p class="bad" role="alert">(.*?)</p>', page.text).group(1))


def whoami(gateway, access):
    r = requests.get(gateway.url + "/v1/whoami", headers={"Authorization": "Bearer " + access},
                     verify=str(gateway.ca), timeout=30)
    return r.json() if r.status_code == 200 else r.status_code


@pytest.fixture(scope="module")
def provider(network, folder):
    p = Provider(network.gateway, folder / "provider")
    yield p
    p.close()


@pytest.fixture(autouse=True)
def honest(provider):
    provider.reset()
    if not provider.server:
        provider.start()


@pytest.fixture(scope="module")
def gateway(network, folder, provider):
    g = started(network, folder / "provider-gateway", **provider.settings(oidc_provision="create"),
                penalty_wrong_secret="0s")
    g.apply({"users": [{"name": "grace", "external": {"issuer": provider.issuer, "subject": "Grace-1"}}],
             "service_principals": [{"name": "robot", "app_id": ROBOT_APP, "external": {
                 "issuer": provider.issuer, "subject": "robot at the provider"}}],
             "user_groups": [{"name": "on-call", "external": "oncall at the provider"}],
             "assignments": [{"principal": "on-call", "role": "Reader", "scope": "/"}]})
    yield g
    g.close()


# ---- refusals ----

LIES = {
    "another issuer": {"claims": {"iss": "https://localhost/other"}},
    "issuer with a slash": {"claims": {"iss": "SLASH"}},
    "for another client": {"claims": {"aud": "another"}},
    "for two clients": {"claims": {"aud": ["caponier gateway", "another"]}},
    "issued to another": {"claims": {"azp": "another"}},
    "no nonce": {"claims": {"nonce": None}},
    "another nonce": {"claims": {"nonce": "another"}},
    "expired": {"claims": {"exp": 1000}},
    "from tomorrow": {"claims": {"iat": 4000000000}},
    "no subject": {"claims": {"sub": None}},
    "a number for a subject": {"claims": {"sub": 7}},
    "too many groups": {"claims": {"groups": [f"g{i}" for i in range(513)]}},
    "groups elsewhere": {"claims": {"_claim_names": {"groups": "src1"}}},
    "an access token": {"header": {"typ": "at+jwt"}},
    "another's access token": {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "an unsigned token": {"token_answer": {"id_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJHcmFjZS0xIn0."}},
    "no token": {"token_answer": {"id_token": None}},
    "a token of letters": {"token_answer": {"id_token": "x" * 20000}},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_provider_proves_nobody(gateway, provider, lie):
    for knob, value in LIES[lie].items():
        if value.get("iss") == "SLASH":
            value = {"iss": provider.issuer + "/"}
        setattr(provider, knob, value)
    s = SignIn(gateway)
    page = s.through(provider, "Grace-1")
    assert page.status_code == 403 and "not accepted" in said(page), page.text
    polled = token(gateway, grant_type=URN, client_id=AZ, device_code=s.device["device_code"]).json()
    assert polled["error"] == "authorization_pending"


def test_a_key_that_nobody_published_is_asked_for_once_a_minute(gateway, provider):
    SignIn(gateway).through(provider, "Grace-1")
    provider.key = make_key("ES256", "made up")
    before = provider.asked["/realm/keys"]
    for _ in range(4):
        assert SignIn(gateway).through(provider, "Grace-1").status_code == 403
    assert provider.asked["/realm/keys"] - before <= 1


def test_an_answer_of_another_provider_is_refused(gateway, provider):
    s = SignIn(gateway)
    page = s.back(provider.back(s.leave(), code="stolen", iss="https://evil.example.test"))
    assert page.status_code == 400 and "another provider" in said(page)
    s = SignIn(gateway)
    before = provider.asked.get("/realm/token", 0)
    page = s.back(provider.back(s.leave(), code="stolen", iss=None))
    assert page.status_code == 400 and "another provider" in said(page)
    assert provider.asked.get("/realm/token", 0) == before


def test_states_serve_once_and_in_one_browser(gateway, provider):
    s = SignIn(gateway)
    back = provider.approve(s.leave(), "Grace-1")
    flow, rest = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))["state"].split(".")
    stranger = Browser(gateway)
    stranger.show("/device")
    assert stranger.show(back).status_code == 400
    for state in ("", flow, flow + ".", "." + rest, flow + "." + rest[:-1], flow + "." + rest + "x", "0" * 32 + "." + rest):
        wrong = re.sub(r"state=[^&]*", "state=" + state, back)
        assert s.browser.show(wrong).status_code == 400, state
    assert s.back(back).status_code == 200, s.page.text
    again = s.browser.show(back)
    assert again.status_code == 400 and "over" in again.text
    assert s.approve()["access_token"]
    assert s.browser.show(back).status_code == 400


def test_a_second_way_out_ends_the_first(gateway, provider):
    s = SignIn(gateway)
    asked = s.page
    first = s.leave()
    s.page = asked
    second = s.leave()
    assert s.browser.show(provider.approve(first, "Grace-1")).status_code == 400
    assert s.back(provider.approve(second, "Grace-1")).status_code == 200


def test_the_provider_says_no(gateway, provider):
    s = SignIn(gateway)
    page = s.back(provider.back(s.leave(), error="access_denied", error_description="<b>no</b>"))
    assert page.status_code == 403 and "did not let you in" in said(page) and "<b>no" not in page.text
    assert s.through(provider, "Grace-1").status_code == 200  # and they may try again


def test_a_code_that_is_none(gateway, provider):
    s = SignIn(gateway)
    assert s.back(provider.back(s.leave(), code="made up")).status_code == 403
    s = SignIn(gateway)
    assert s.back(provider.back(s.leave())).status_code == 400
    s = SignIn(gateway)
    assert s.back(provider.back(s.leave(), code="x" * 3000)).status_code == 400


def test_passwords_say_where_to_go(gateway):
    sentence = "the Test Works sign in with a device code or in a browser"
    for name in ("grace", "nobody@example.test", "external:someone"):
        r = token(gateway, grant_type="password", client_id=AZ, username=name, password="whatever password")
        assert r.status_code == 400 and r.json()["error"] == "invalid_grant", r.text
        assert sentence in r.json()["error_description"]
    good = token(gateway, grant_type="password", client_id=AZ, username=ADMIN, password=ADMIN_PASSWORD)
    assert good.status_code == 200, "the first administrator's way in"


def test_no_local_password_opens_an_external_account(gateway):
    gateway.admin.run("user", "password", "grace", "--password-stdin", input="a local password 3\n")
    r = token(gateway, grant_type="password", client_id=AZ, username="grace", password="a local password 3")
    assert r.status_code == 400
    s = SignIn(gateway)
    page = s.browser.fill("/signin/password", flow=s.flow(), username="grace", password="a local password 3")
    assert page.status_code == 403


def test_who_is_not_named_is_refused(network, folder, provider):
    g = started(network, folder / "strict-gateway", **provider.settings(oidc_local_passwords=True))
    try:
        page = SignIn(g).through(provider, "stranger-7", preferred_username=ADMIN, email=ADMIN, email_verified=True)
        assert page.status_code == 403 and "stranger-7" in said(page) and "the Test Works knows you" in said(page)
        assert all("stranger-7" not in str(u) for u in g.admin.json("user", "list"))
    finally:
        g.close()


def test_half_a_provider_and_a_secret_for_all_do_not_start(network, folder, provider):
    from lab.gateway import Gateway
    open_file = folder / "open-secret"
    open_file.write_text("x")
    open_file.chmod(0o644)
    for settings, sentence in (({"oidc_issuer": provider.issuer}, "oidc_client_id"),
                               (provider.settings(oidc_client_secret_file=str(open_file)), "open-secret"),
                               (provider.settings(oidc_ca="/nowhere"), "/nowhere")):
        g = Gateway(network, folder / f"half-{secrets.token_hex(3)}", **settings)
        g.start(wait=False)
        assert g.process.wait(timeout=30) != 0
        assert sentence in g.log_text(), g.log_text()
        g.log.close()


# ---- what works ----

@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_a_person_signs_in_by_every_algorithm(gateway, provider, alg):
    provider.reset(alg)
    s = SignIn(gateway)
    page = s.through(provider, "Grace-1")
    assert page.status_code == 200 and "grace" in page.text, page.text
    assert whoami(gateway, s.approve()["access_token"])["name"] == "grace"


def later(gateway):
    """A minute has passed for the gateway's memory of unknown keys: its control is new."""
    import os
    import signal
    (pid,) = gateway.pids("control")
    os.kill(pid, signal.SIGKILL)
    for _ in range(200):
        time.sleep(0.05)
        try:
            if gateway.admin_get("/readyz")[0] == 200 and gateway.pids("control") not in ([], [pid]):
                return
        except OSError:
            pass
    pytest.fail("control did not come back")


def test_keys_turn_while_the_gateway_runs(gateway, provider):
    later(gateway)
    assert SignIn(gateway).through(provider, "Grace-1").status_code == 200
    old = provider.key
    provider.key = make_key("ES256", "turned")
    provider.published = [old, provider.key]
    assert SignIn(gateway).through(provider, "Grace-1").status_code == 200
    provider.published = [provider.key]
    assert SignIn(gateway).through(provider, "Grace-1").status_code == 200


def test_groups_of_the_claim_decide(gateway, provider):
    def documents(access):
        r = requests.get(gateway.url + "/v1/documents?kind=principal", verify=str(gateway.ca), timeout=30,
                         headers={"Authorization": "Bearer " + access})
        return len(r.json()["value"])

    s = SignIn(gateway)
    s.through(provider, "Grace-1", groups=["oncall at the provider", "others"])
    access = s.approve()["access_token"]
    assert documents(access) > 1
    gateway.apply({"users": [{"name": "grace", "external": {"issuer": provider.issuer, "subject": "Grace-1"}}]})
    assert documents(access) > 1, "an inventory takes no group away"
    SignIn(gateway).through(provider, "Grace-1", groups=["others"])
    assert documents(access) == 1, "the next sign-in does, for tokens that are out as well"


def test_groups_that_change_are_in_the_record(gateway, provider):
    def changes():
        return [json.loads(r["groups"]) for r in every_record(gateway.admin)
                if r.get("operationName") == "login.provider" and r.get("externalSubject") == "member" and "groups" in r]

    for groups in (["b", "a"], ["a", "b"], ["a"], []):
        SignIn(gateway).through(provider, "member", groups=groups)
    assert changes() == [["a", "b"], ["a"], []]


def test_somebody_new_is_made_and_never_merged(gateway, provider):
    names = []
    for sub in ("new-1", "new-2"):
        s = SignIn(gateway)
        assert s.through(provider, sub, preferred_username=ADMIN).status_code == 200, s.page.text
        me = whoami(gateway, s.approve()["access_token"])
        names.append(me["name"])
    assert names[0] == "external:" + ADMIN and names[1].startswith(names[0] + "~")
    users = {u["name"]: u for u in gateway.admin.json("user", "list")}
    assert ADMIN in users and set(names) <= set(users)
    s = SignIn(gateway)
    s.through(provider, "new-1", preferred_username="another name now")
    assert whoami(gateway, s.approve()["access_token"])["name"] == names[0]
    gateway.apply({"users": [{"name": "grace", "external": {"issuer": provider.issuer, "subject": "Grace-1"}}]})
    assert names[0] in {u["name"] for u in gateway.admin.json("user", "list")}


def test_subjects_have_a_case(gateway, provider):
    s = SignIn(gateway)
    s.through(provider, "GRACE-1", preferred_username="grace")
    assert whoami(gateway, s.approve()["access_token"])["name"].startswith("external:grace")


def test_a_disabled_person_stays_out(gateway, provider):
    entry = {"name": "grace", "external": {"issuer": provider.issuer, "subject": "Grace-1"}}
    gateway.apply({"users": [{**entry, "enabled": False}]})
    page = SignIn(gateway).through(provider, "Grace-1")
    assert page.status_code == 403 and "disabled" in said(page)
    gateway.apply({"users": [entry]})
    assert SignIn(gateway).through(provider, "Grace-1").status_code == 200


def test_services_are_proved_by_the_provider(gateway, provider):
    good = token(gateway, grant_type="client_credentials", client_id=ROBOT_APP, client_secret="robot's secret")
    assert good.status_code == 200, good.text
    assert whoami(gateway, good.json()["access_token"])["name"] == "robot"
    bad = token(gateway, grant_type="client_credentials", client_id=ROBOT_APP, client_secret="wrong")
    assert bad.status_code == 401 and bad.json()["error"] == "invalid_client"


def test_a_burst_of_a_services_wrong_secrets_is_not_tried(gateway, provider):
    """Four are asked about at a time; the others hear 429 before the provider hears of them. Right ones all pass."""
    def asks(secret, n):
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            return [r.status_code for r in pool.map(lambda i: token(
                gateway, grant_type="client_credentials", client_id=ROBOT_APP, client_secret=secret), range(n))]
    assert asks("robot's secret", 20) == [200] * 20
    was = gateway.settings["penalty_wrong_secret"]
    gateway.write_config(penalty_wrong_secret="2s", penalty_threshold="1s", penalty_max="2s")
    os.kill(gateway.process.pid, signal.SIGHUP)
    eventually(lambda: 429 in asks("wrong", 4), what="the new penalty")
    eventually(lambda: asks("robot's secret", 1) == [200], what="it has run off")
    codes = asks("wrong", 20)
    assert 1 <= codes.count(401) <= 6 and codes.count(401) + codes.count(429) == 20, codes
    eventually(lambda: asks("robot's secret", 1) == [200], what="it has run off")
    gateway.write_config(penalty_wrong_secret=was, penalty_threshold="15s", penalty_max="10m")
    os.kill(gateway.process.pid, signal.SIGHUP)


def test_who_is_signed_in_goes_on_while_the_provider_is_down(gateway, provider):
    s = SignIn(gateway)
    s.through(provider, "Grace-1")
    got = s.approve()
    waiting = SignIn(gateway)
    url = provider.approve(waiting.leave(), "Grace-1")
    provider.stop()
    began = time.monotonic()
    page = waiting.back(url)
    assert page.status_code == 503 and "the Test Works does not answer" in said(page)
    assert time.monotonic() - began < 8
    robot = token(gateway, grant_type="client_credentials", client_id=ROBOT_APP, client_secret="robot's secret")
    assert robot.status_code == 503 and "does not answer" in robot.json()["error_description"]
    assert whoami(gateway, got["access_token"])["name"] == "grace"
    fresh = token(gateway, grant_type="refresh_token", client_id=AZ, refresh_token=got["refresh_token"])
    assert fresh.status_code == 200
    assert token(gateway, grant_type="password", client_id=AZ, username=ADMIN, password=ADMIN_PASSWORD).status_code == 200
    provider.start()
    assert SignIn(gateway).through(provider, "Grace-1").status_code == 200


def test_secrets_of_the_provider_are_in_no_log(gateway, provider):
    from lab.idp import SECRET
    text = gateway.log_text()
    assert SECRET not in text and "robot's secret" not in text and "code=" not in text


@pytest.mark.parametrize("way", ["browser", "code"])
def test_the_client_signs_in_the_same_way(gateway, provider, tmp_path, way):
    u = User(gateway, tmp_path / "grace")
    t = OnTerminal(u, "login", "--ca", gateway.ca, *(["--use-device-code"] if way == "code" else []), **opener(u))
    person = SignIn.__new__(SignIn)
    person.gateway, person.browser = gateway, Browser(gateway)
    if way == "browser":
        person.page = person.browser.show(opened(t))
    else:
        person.browser.show("/device")
        person.page = person.browser.fill("/device", user_code=re.search(r"the code (\S+)", t.said("the code")).group(1))
    person.through(provider, "Grace-1")
    done = person.browser.fill("/signin/decide", flow=person.flow(), decision="approve")
    if way == "browser":
        assert requests.get(done.headers["Location"], timeout=10).status_code == 200
    assert t.end() == 0, t.err
    assert u.json("account", "show")["name"] == "grace"
