"""Sign-in through panva/oidc-provider: its own pages, its own keys, in and out of order."""
import pytest

from lab.idp import make_key
from lab.oidcprovider import OidcProvider
from test_provider import AZ, ROBOT_APP, SignIn, said, token, whoami


@pytest.fixture(scope="module")
def world(network, folder):
    """A gateway whose name the provider knows before it starts."""
    from lab.gateway import Gateway
    g = Gateway(network, folder / "oidc-gateway", penalty_wrong_secret="0s", oidc_provision="create")
    p = OidcProvider(network.gateway, folder / "oidc-provider", g.url)
    g.settings.update(p.settings())
    g.start()
    g.enrol()
    g.apply({"users": [{"name": "grace", "external": {"issuer": p.issuer, "subject": "grace-1"}}],
             "service_principals": [{"name": "robot", "app_id": ROBOT_APP,
                                     "external": {"issuer": p.issuer, "subject": "robot"}}],
             "user_groups": [{"name": "on-call", "external": "oncall"}],
             "assignments": [{"principal": "on-call", "role": "Reader", "scope": "/"}]})
    yield g, p
    p.close()
    g.close()


@pytest.fixture(scope="module")
def keys():
    return {alg: make_key(alg, "key " + alg) for alg in ("ES256", "ES384", "RS256", "PS256", "EdDSA")}


def sign_in(g, p, person):
    s = SignIn(g)
    s.back(p.approve(s.leave(), person))
    return s


def test_the_provider_is_down_at_first(world):
    g, _ = world
    s = SignIn(g)
    assert s.leave() is None and s.page.status_code == 503 and "does not answer" in said(s.page)


@pytest.mark.parametrize("alg", ["ES256", "ES384", "RS256", "PS256", "EdDSA"])
def test_a_person_signs_in_on_its_pages(world, keys, alg):
    g, p = world
    p.stop()
    p.people = {"grace-1": {"preferred_username": "root@example.test", "groups": ["oncall", "x"]}}
    p.start(alg, *keys.values())
    s = sign_in(g, p, "grace-1")
    assert s.page.status_code == 200 and "grace" in s.page.text, s.page.text
    assert whoami(g, s.approve()["access_token"])["name"] == "grace"


def test_somebody_new_is_made(world):
    g, p = world
    p.people["new-1"] = {"preferred_username": "Zoë"}
    p.say()
    assert whoami(g, sign_in(g, p, "new-1").approve()["access_token"])["name"] == "external:Zoë"


def test_a_service_is_proved_there(world):
    g, _ = world
    good = token(g, grant_type="client_credentials", client_id=ROBOT_APP, client_secret="robots-secret")
    assert good.status_code == 200, good.text
    bad = token(g, grant_type="client_credentials", client_id=ROBOT_APP, client_secret="wrong")
    assert bad.status_code == 401 and bad.json()["error"] == "invalid_client"


def test_a_code_serves_once(world):
    g, p = world
    s = SignIn(g)
    back = p.approve(s.leave(), "grace-1")
    assert "iss=" in back
    assert s.back(back).status_code == 200
    assert s.browser.show(back).status_code == 400


def test_it_goes_and_comes_back_with_a_new_key(world, keys):
    g, p = world
    got = sign_in(g, p, "grace-1").approve()
    p.stop()
    s = SignIn(g)
    url = s.leave()  # its description is known still
    assert url and whoami(g, got["access_token"])["name"] == "grace"
    p.start("ES256", make_key("ES256", "the second"), keys["RS256"])
    assert sign_in(g, p, "grace-1").page.status_code == 200
