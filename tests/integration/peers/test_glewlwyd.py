"""Sign-in through Debian's glewlwyd, a provider written in C by other people."""
import pytest

from lab.gateway import Gateway
from lab.glewlwyd import ALGORITHMS, SECRET, Glewlwyd
from test_provider import ROBOT_APP, SignIn, said, token, whoami


@pytest.fixture(scope="module")
def world(network, folder):
    g = Gateway(network, folder / "glewlwyd-gateway", penalty_wrong_secret="0s")
    p = Glewlwyd(network.gateway, folder / "glewlwyd", g.url).start()
    p.sign_with("RS256")
    p.furnish()
    g.settings.update(p.settings())
    g.start()
    g.enrol()
    yield g, p
    g.close()
    p.close()


def sign_in(g, p, person):
    s = SignIn(g)
    s.back(p.approve(s.leave(), person))
    return s


@pytest.fixture(scope="module")
def known(world):
    """Grace and a service are made known; her subject is the one that the page told her as a stranger."""
    g, p = world
    page = sign_in(g, p, "grace").page
    assert page.status_code == 403 and "does not" in said(page), page.text
    subject = said(page).rsplit(": ", 1)[1]
    g.apply({"users": [{"name": "grace", "external": {"issuer": p.issuer, "subject": subject}}],
             "service_principals": [{"name": "robot", "app_id": ROBOT_APP, "external": {"issuer": p.issuer, "subject": "robot"}}],
             "user_groups": [{"name": "on-call", "external": "oncall"}],
             "assignments": [{"principal": "on-call", "role": "Reader", "scope": "/"}]})
    return g, p


def test_the_gateways_secret_is_wrong(known):
    """Grace proved herself there, but the provider gives this gateway no token."""
    g, p = known
    p.set_secret("another secret 1")
    try:
        page = sign_in(g, p, "grace").page
        assert page.status_code == 403 and "not accepted" in said(page), page.text
    finally:
        p.set_secret(SECRET)
    assert sign_in(g, p, "grace").page.status_code == 200


def test_somebody_unknown_stays_out(known):
    g, p = known
    page = sign_in(g, p, "zoë").page
    assert page.status_code == 403 and "does not" in said(page), page.text


@pytest.mark.parametrize("secret,client", [("wrong", ROBOT_APP), ("", ROBOT_APP), ("robots-secret", "robot")])
def test_a_service_without_its_secret(known, secret, client):
    g, _ = known
    r = token(g, grant_type="client_credentials", client_id=client, client_secret=secret)
    assert r.status_code in (400, 401) and r.json()["error"] == "invalid_client" or secret == "", r.text


def test_a_code_serves_once(known):
    g, p = known
    s = SignIn(g)
    back = p.approve(s.leave(), "grace")
    assert s.back(back).status_code == 200
    assert s.browser.show(back).status_code == 400


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_person_signs_in(known, alg):
    g, p = known
    p.sign_with(alg)
    s = sign_in(g, p, "grace")
    assert s.page.status_code == 200 and "grace" in s.page.text, s.page.text
    got = s.approve()["access_token"]
    assert whoami(g, got)["name"] == "grace"


def test_a_service_is_proved_there(known):
    g, _ = known
    r = token(g, grant_type="client_credentials", client_id=ROBOT_APP, client_secret="robots-secret")
    assert r.status_code == 200, r.text


def test_it_goes_and_comes_back(known):
    g, p = known
    got = sign_in(g, p, "grace").approve()["access_token"]
    p.stop()
    assert whoami(g, got)["name"] == "grace"
    p.start()
    assert sign_in(g, p, "grace").page.status_code == 200
