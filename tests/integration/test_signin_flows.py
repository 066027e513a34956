"""Device codes, authorization codes with PKCE and the managed identity, as programs and browsers ask for them."""
import base64
import hashlib
import html
import json
import re
import secrets
import time
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from lab.gateway import ADMIN, ADMIN_PASSWORD, every_record

AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
URN = "urn:ietf:params:oauth:grant-type:device_code"
HOME = "http://localhost:8400"
COOKIE = "__Host-caponier"


class Web(requests.Session):
    """A browser as far as forms go: keeps the cookie, names its origin, follows nothing by itself."""

    def __init__(self, gateway, origin=None):
        super().__init__()
        self.trust_env = False  # else a CA bundle of the environment wins
        self.verify, self.base, self.origin = str(gateway.ca), gateway.url, origin or gateway.url
        self.headers["User-Agent"] = "Mozilla/5.0 (test <b>browser</b>)"

    def show(self, path, **params):
        return self.get(self.base + path, params=params, allow_redirects=False, timeout=30)

    def fill(self, path, **form):
        return self.post(self.base + path, data=form, headers={"Origin": self.origin}, allow_redirects=False, timeout=30)


def hidden(page):
    return html.unescape(re.search(r'name="flow" value="([^"]+)"', page.text).group(1))


def token(gateway, path="/adfs/oauth2/token", **form):
    return requests.post(gateway.url + path, data=form, verify=str(gateway.ca), timeout=30)


def begin(gateway, path="/adfs/oauth2/devicecode", **form):
    r = requests.post(gateway.url + path, data={"client_id": AZ, "scope": "openid profile offline_access", **form},
                      verify=str(gateway.ca), headers={"User-Agent": "az <script>alert(1)</script>"}, timeout=30)
    return r


def poll(gateway, flow, grant=URN, client=AZ):
    return token(gateway, grant_type=grant, client_id=client, device_code=flow["device_code"], code=flow["device_code"])


def person(web, flow_id, name=ADMIN, password=ADMIN_PASSWORD):
    return web.fill("/signin/password", flow=flow_id, username=name, password=password)


def claims(jwt):
    return json.loads(base64.urlsafe_b64decode(jwt.split(".")[1] + "=="))


def is_a_page(r, status=200):
    assert r.status_code == status, r.text
    assert r.headers["Content-Type"] == "text/html; charset=utf-8" and r.headers["Cache-Control"] == "no-store"
    policy = r.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "'unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", r.text, re.S).group(1)
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert r.headers["X-Frame-Options"] == "DENY" and r.headers["Referrer-Policy"] == "same-origin"
    assert "<script" not in r.text
    return r


@pytest.fixture
def web(gateway):
    return Web(gateway)


# ---- refusals ----

def test_a_device_code_is_pending_then_too_fast(own_gateway):
    flow = begin(own_gateway).json()
    assert flow["interval"] == 5 and flow["expires_in"] == 900
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", flow["user_code"])
    assert flow["verification_uri"] == own_gateway.url + "/device"
    assert flow["message"] == (f"To sign in, use a web browser to open the page {own_gateway.url}/device and enter the code "
                               f"{flow['user_code']} to authenticate.")
    r = poll(own_gateway, flow)
    assert r.status_code == 400 and r.json()["error"] == "authorization_pending"
    assert poll(own_gateway, flow, "device_code").json()["error"] == "slow_down"
    assert poll(own_gateway, flow, client="another").json()["error"] == "invalid_grant"


@pytest.mark.parametrize("form,error", [({"client_id": ""}, "invalid_request"), ({"client_id": "a" * 200}, "invalid_request"),
                                        ({"scope": "a\x01"}, "invalid_scope")])
def test_device_requests_are_refused_in_the_rfcs_words(gateway, form, error):
    r = begin(gateway, **form)
    assert r.status_code == 400 and r.json()["error"] == error and r.json()["error_description"]


def test_a_service_principal_is_no_program_of_a_person(gateway, admin, web):
    """A stranger is told the same of it as of an id that nobody has; whoever has signed in is refused."""
    robot = admin.json("sp", "add", "lonely-robot")["appId"]
    answers = [begin(gateway, client_id=id) for id in (robot, "0a1b2c3d-0000-4000-8000-0000000000ff")]
    assert [(r.status_code, sorted(r.json())) for r in answers] == [(200, sorted(answers[1].json()))] * 2
    web.show("/device")
    page = person(web, hidden(web.fill("/device", user_code=answers[0].json()["user_code"])))
    assert page.status_code == 403 and "a service principal signs in with its secret" in page.text
    assert poll(gateway, answers[0].json(), client=robot).json()["error"] == "authorization_pending"


def test_other_pages_cannot_post(gateway, web):
    web.show("/device")
    for origin in ("https://evil.example", "null", gateway.url.replace("https", "http"), gateway.url + "0"):
        r = Web(gateway, origin)
        r.cookies.update(web.cookies)
        assert r.fill("/device", user_code="BCDF-GHJK").status_code == 403
    assert requests.get(gateway.url + "/v1/version", headers={"Origin": gateway.url}, verify=str(gateway.ca)).status_code == 403


def test_another_browser_cannot_go_on(own_gateway):
    flow = begin(own_gateway).json()
    first, second, third = Web(own_gateway), Web(own_gateway), Web(own_gateway)
    first.show("/device"), second.show("/device")
    page = first.fill("/device", user_code=flow["user_code"])
    assert second.fill("/device", user_code=flow["user_code"]).status_code == 400
    assert person(second, hidden(page)).status_code == 400
    assert third.fill("/device", user_code=flow["user_code"]).status_code == 400  # no cookie at all
    consent = person(first, hidden(page))
    assert consent.status_code == 200
    assert second.fill("/signin/decide", flow=hidden(consent), decision="approve").status_code == 400
    assert poll(own_gateway, flow).json()["error"] == "authorization_pending"


def test_guessing_user_codes_is_slowed_down(own_gateway):
    web = Web(own_gateway)
    web.show("/device")
    answers = [web.fill("/device", user_code="BCDF-GHJK") for _ in range(8)]
    assert answers[0].status_code == 400 and answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    is_a_page(answers[-1], 429)


def test_wrong_passwords_are_slowed_down_and_read_alike(own_gateway):
    web = Web(own_gateway)
    flow = begin(own_gateway).json()
    web.show("/device")
    page = web.fill("/device", user_code=flow["user_code"])
    wrong = person(web, hidden(page), password="not this one")
    unknown = person(web, hidden(page), name="nobody@example.test")
    is_a_page(wrong, 403), is_a_page(unknown, 403)
    said = [re.search(r'role="alert">(.*?)<', r.text).group(1) for r in (wrong, unknown)]
    assert said[0] == said[1] == "the user name or password is wrong"
    codes = [person(web, hidden(page), password="not this one").status_code for _ in range(5)]
    assert 429 in codes


AUTHORIZE = {"client_id": AZ, "response_type": "code", "redirect_uri": HOME, "state": "s t&a=te", "scope": "openid offline_access",
             "code_challenge_method": "S256", "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "nonce": "n-1"}


@pytest.mark.parametrize("change", [{"redirect_uri": "https://evil.example/"}, {"redirect_uri": "http://localhost@evil.example/"},
                                    {"redirect_uri": "http://localhost.evil.example/"}, {"redirect_uri": None},
                                    {"client_id": None}, {"state": "x" * 513}])
def test_nobody_is_sent_elsewhere(web, change):
    r = is_a_page(web.show("/adfs/oauth2/authorize", **{**AUTHORIZE, **change}), 400)
    assert "Location" not in r.headers


@pytest.mark.parametrize("change,error", [
    ({"response_type": "token"}, "unsupported_response_type"), ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"), ({"code_challenge": "short"}, "invalid_request"),
    ({"response_mode": "fragment"}, "invalid_request"), ({"prompt": "none"}, "login_required"),
    ({"scope": "a\x01"}, "invalid_scope")])
def test_programs_hear_what_was_wrong(web, change, error):
    r = web.show("/adfs/oauth2/authorize", **{**AUTHORIZE, **change})
    assert r.status_code == 303 and r.headers["Location"].startswith(HOME + "?")
    answer = parse_qs(urlsplit(r.headers["Location"]).query)
    assert answer["error"] == [error] and answer["state"] == [AUTHORIZE["state"]] and "code" not in answer


def test_markup_stays_text(web):
    r = is_a_page(web.show("/adfs/oauth2/authorize", **{**AUTHORIZE, "client_id": "<script>alert(1)</script>\"'"}))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;" in r.text
    assert "&lt;b&gt;browser&lt;/b&gt;" in r.text
    r = is_a_page(web.show("/device", user_code='"><script>x</script>'))
    assert 'value=""' in r.text


@pytest.mark.parametrize("path", ["/nobody/v2.0/.well-known/openid-configuration", "/nobody/discovery/v2.0/keys"])
def test_other_tenants_are_not_here(gateway, path):
    r = requests.get(gateway.url + path, verify=str(gateway.ca))
    assert r.status_code == 404 and r.json()["error"] == "invalid_request" and r.json()["error_description"]
    assert token(gateway, "/nobody/oauth2/v2.0/token", grant_type="password", client_id="x").status_code == 404
    assert begin(gateway, "/nobody/oauth2/v2.0/devicecode").status_code == 404


# ---- what works ----

def approve_device(gateway, flow, decision="approve"):
    web = Web(gateway)
    form = is_a_page(web.show("/device", user_code=flow["user_code"].lower()))
    assert f'value="{flow["user_code"]}"' in form.text
    cookie = form.headers["Set-Cookie"]
    assert cookie.startswith(COOKIE + "=") and all(w in cookie for w in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    asked = is_a_page(web.fill("/device", user_code=flow["user_code"].lower().replace("-", " ")))
    for shown in ("Azure CLI", "From", "az &lt;script&gt;alert(1)&lt;/script&gt;", flow["user_code"]):
        assert shown in asked.text, shown
    consent = is_a_page(person(web, hidden(asked)))
    assert ADMIN in consent.text and "Azure CLI" in consent.text
    is_a_page(web.fill("/signin/decide", flow=hidden(consent), decision=decision))
    again = web.fill("/signin/decide", flow=hidden(consent), decision="approve")
    is_a_page(again, 400)


def test_a_device_signs_in(gateway):
    flow = begin(gateway).json()
    approve_device(gateway, flow)
    r = poll(gateway, flow)
    assert r.status_code == 200, r.text
    got = r.json()
    assert claims(got["access_token"])["upn"] == ADMIN and got["scope"] == "openid profile offline_access"
    assert claims(got["id_token"])["aud"] == AZ and got["client_info"]
    again = poll(gateway, flow)
    assert again.status_code == 400 and again.json()["error"] == "invalid_grant"
    fresh = token(gateway, grant_type="refresh_token", refresh_token=got["refresh_token"], client_id=AZ)
    assert fresh.status_code == 200


def test_a_person_says_no(gateway):
    flow = begin(gateway).json()
    approve_device(gateway, flow, "deny")
    assert poll(gateway, flow).json()["error"] == "access_denied"


def signed_in_code(gateway, verifier, path="/adfs/oauth2/authorize", **change):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    web = Web(gateway)
    asked = is_a_page(web.show(path, **{**AUTHORIZE, "code_challenge": challenge, **change}))
    consent = is_a_page(person(web, hidden(asked)))
    assert f"form-action 'self' {HOME};" in consent.headers["Content-Security-Policy"]
    return web.fill("/signin/decide", flow=hidden(consent), decision="approve")


def test_a_program_signs_in_by_browser_and_a_reused_code_revokes(own_gateway):
    gateway = own_gateway
    verifier = secrets.token_urlsafe(48)
    r = signed_in_code(gateway, verifier)
    assert r.status_code == 303 and r.headers["Location"].startswith(HOME + "?code=")
    answer = parse_qs(urlsplit(r.headers["Location"]).query)
    assert answer["state"] == [AUTHORIZE["state"]]
    form = {"grant_type": "authorization_code", "client_id": AZ, "code": answer["code"][0], "redirect_uri": HOME, "code_verifier": verifier}
    for wrong in ({"code_verifier": verifier[:-1] + "!"}, {"redirect_uri": HOME + "/"}):
        refused = token(gateway, **{**form, **wrong})
        assert refused.status_code == 400 and refused.json()["error"] == "invalid_grant", wrong
    got = token(gateway, **form).json()
    assert claims(got["id_token"])["nonce"] == "n-1" and claims(got["access_token"])["upn"] == ADMIN
    assert token(gateway, **form).json()["error"] == "invalid_grant"
    revoked = token(gateway, grant_type="refresh_token", refresh_token=got["refresh_token"], client_id=AZ)
    assert revoked.status_code == 400 and revoked.json()["error"] == "invalid_grant"


def test_form_post_hands_the_answer_over_by_a_button(own_gateway):
    r = is_a_page(signed_in_code(own_gateway, secrets.token_urlsafe(48), response_mode="form_post"))
    assert f'action="{HOME}"' in r.text and 'name="code"' in r.text and 'name="state"' in r.text


def test_the_tenants_authority(own_gateway):
    get = lambda path: requests.get(own_gateway.url + path, verify=str(own_gateway.ca))  # noqa: E731
    adfs = get("/adfs/.well-known/openid-configuration").json()
    for tenant in (adfs["tenant"], "organizations", "common"):
        d = get(f"/{tenant}/v2.0/.well-known/openid-configuration").json()
        assert d["issuer"] == adfs["issuer"]  # what the tokens say
        assert d["token_endpoint"] == f"{own_gateway.url}/{tenant}/oauth2/v2.0/token"
        assert requests.get(d["jwks_uri"], verify=str(own_gateway.ca)).json() == get("/adfs/discovery/keys").json()
        flow = begin(own_gateway, f"/{tenant}/oauth2/v2.0/devicecode").json()
        approve_device(own_gateway, flow)
        r = token(own_gateway, f"/{tenant}/oauth2/v2.0/token", grant_type=URN, client_id=AZ, device_code=flow["device_code"])
        assert claims(r.json()["access_token"])["iss"] == d["issuer"]
    r = signed_in_code(own_gateway, secrets.token_urlsafe(48), f"/{adfs['tenant']}/oauth2/v2.0/authorize")
    assert "code=" in r.headers["Location"]


def test_a_private_cloud_describes_itself(gateway):
    def get(version):
        return requests.get(f"{gateway.url}/metadata/endpoints", params={"api-version": version}, verify=str(gateway.ca))
    old = get("2015-01-01").json()
    assert set(old) == {"galleryEndpoint", "graphEndpoint", "portalEndpoint", "authentication"}
    assert old["authentication"] == {"loginEndpoint": gateway.url + "/adfs", "audiences": [gateway.url]}
    for version in ("2019-05-01", "2022-09-01"):
        new = get(version).json()[0]
        assert new["resourceManager"] == gateway.url and new["authentication"]["loginEndpoint"] == gateway.url + "/adfs"
    assert get("yesterday").status_code == 400


def test_managed_identity(gateway, admin):
    sp = admin.json("sp", "add", "machine")
    secret, url = f"{sp['appId']}:{sp['secret']}", gateway.url + "/adfs/oauth2/msi"
    ca = str(gateway.ca)
    form, basic = {"resource": gateway.url}, (sp["appId"], sp["secret"])
    refused = [requests.post(url, data=form, verify=ca), requests.post(url, data=form, verify=ca, headers={"Metadata": "true"}),
               requests.post(url, data=form, verify=ca, auth=basic),
               requests.get(url, params=form, verify=ca, headers={"X-IDENTITY-HEADER": "no colon"})]
    for r in refused:
        assert r.status_code == 401 and r.json()["error"] == "invalid_client" and "WWW-Authenticate" in r.headers, r.text
    assert requests.post(url, verify=ca, headers={"secret": secret}, data={"x": "y"}).status_code == 400
    answers = [requests.post(url, data=form, verify=ca, headers={"Metadata": "true"}, auth=basic),
               requests.get(url, params=form, verify=ca, headers={"X-IDENTITY-HEADER": secret}),
               requests.get(url + "/", params=form, verify=ca, headers={"secret": secret})]
    for r in answers:
        assert r.status_code == 200, r.text
        got = r.json()
        assert {"access_token", "expires_in", "expires_on", "resource", "token_type"} <= set(got)
        assert int(got["expires_on"]) > time.time() and got["resource"] == gateway.url
        assert claims(got["access_token"])["tid"] and claims(got["access_token"])["idtyp"] == "app"
    assert requests.post(gateway.url + "/adfs/oauth2/token", data={"grant_type": "client_credentials"}, auth=basic, verify=ca).status_code == 200


def test_the_record_says_who_approved_what_from_where(gateway, admin):
    flow = begin(gateway).json()
    approve_device(gateway, flow)
    records = list(every_record(admin))
    last = [r for r in records if r.get("decision")][-1]
    assert last["decision"] == "approved" and last["userEmail"] == ADMIN and last["clientId"] == AZ and last["requestedFrom"]
    assert flow["device_code"] not in json.dumps(records) and flow["user_code"] not in json.dumps(records)
