"""Sign-in, tokens, and the inventory, on a running gateway."""
import base64
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from conftest import GROUP_ID, VM, inventory, started
from lab.gateway import ADMIN, ADMIN_PASSWORD, User
from lab.net import free_port


def token(gateway, **form):
    return requests.post(f"{gateway.url}/adfs/oauth2/token", data=form, verify=str(gateway.ca), timeout=20)


def test_discovery_and_keys_fit(gateway):
    d = requests.get(f"{gateway.url}/adfs/.well-known/openid-configuration", verify=str(gateway.ca)).json()
    assert d["issuer"].startswith(gateway.url + "/adfs")
    for k in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert d[k].startswith(gateway.url)
    keys = requests.get(d["jwks_uri"], verify=str(gateway.ca)).json()["keys"]
    access = token(gateway, grant_type="password", username=ADMIN, password=ADMIN_PASSWORD, client_id="x", scope="openid").json()["access_token"]
    head = json.loads(base64.urlsafe_b64decode(access.split(".")[0] + "=="))
    assert head["alg"] == "ES256" and head["kid"] in [k["kid"] for k in keys]
    from jwcrypto import jwk, jwt
    verified = jwt.JWT(jwt=access, key=jwk.JWK(**next(k for k in keys if k["kid"] == head["kid"])))
    claims = json.loads(verified.claims)
    assert claims["aud"] == gateway.url and claims["iss"] == d["issuer"] and "tid" in claims


@pytest.mark.parametrize("form,error", [
    ({}, "invalid_request"), ({"grant_type": "magic"}, "unsupported_grant_type"),
    ({"grant_type": "password", "username": ADMIN, "password": "wrong", "client_id": "x"}, "invalid_grant"),
    ({"grant_type": "password", "username": "nobody@x", "password": "wrong", "client_id": "x"}, "invalid_grant"),
    ({"grant_type": "refresh_token", "refresh_token": "never", "client_id": "x"}, "invalid_grant"),
    ({"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "x"}, "invalid_client")])
def test_oauth_errors_in_the_rfcs_words(own_gateway, form, error):
    r = token(own_gateway, **form)
    assert r.status_code in (400, 401) and r.json()["error"] == error and r.json()["error_description"]


def test_refresh_rotates(gateway):
    first = token(gateway, grant_type="password", username=ADMIN, password=ADMIN_PASSWORD, client_id="x", scope="openid offline_access").json()
    second = token(gateway, grant_type="refresh_token", refresh_token=first["refresh_token"], client_id="x")
    assert second.status_code == 200 and second.json()["refresh_token"] != first["refresh_token"]


def refreshed(gateway, refresh_token):
    return token(gateway, grant_type="refresh_token", refresh_token=refresh_token, client_id="x")


def test_fifty_with_one_refresh_token(own_gateway):
    """MSAL's cache has no lock: near the end of an access token many of its threads post the same refresh token. Each goes
    on, and the address is no suspect. More of them than any program has are told to come later, and cost nothing either."""
    kept = signed_in(own_gateway, ADMIN, ADMIN_PASSWORD)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: refreshed(own_gateway, kept), range(50)))
    assert [r.status_code for r in answers] == [200] * 50
    assert len({r.json()["refresh_token"] for r in answers} | {kept}) == 51
    assert {refreshed(own_gateway, r.json()["refresh_token"]).status_code for r in answers[::7]} == {200}
    more = [refreshed(own_gateway, kept) for _ in range(20)]
    assert [r.status_code for r in more] == [200] * 14 + [429] * 6
    assert more[-1].json()["error"] == "temporarily_unavailable" and int(more[-1].headers["Retry-After"]) > 0
    signed_in(own_gateway, ADMIN, ADMIN_PASSWORD)


def signed_in(gateway, name, password):
    r = token(gateway, grant_type="password", username=name, password=password, client_id="x", scope="openid offline_access")
    assert r.status_code == 200, r.text
    return r.json()["refresh_token"]


def test_a_new_password_ends_refresh_tokens(own_gateway):
    g, name = own_gateway, "changes@example.test"
    g.user(name)
    before, rotated = (signed_in(g, name, "another long password 2") for _ in range(2))
    rotated = refreshed(g, rotated).json()["refresh_token"]
    admins = signed_in(g, ADMIN, ADMIN_PASSWORD)
    g.admin.ok("user", "password", name, "--password-stdin", input="a third long password 3\n")
    for t in (before, rotated):
        r = refreshed(g, t)
        assert r.status_code == 400 and r.json()["error"] == "invalid_grant"
    assert refreshed(g, signed_in(g, name, "a third long password 3")).status_code == 200
    assert refreshed(g, admins).status_code == 200


def test_wrong_passwords_are_slowed_down(own_gateway):
    codes = [token(own_gateway, grant_type="password", username=ADMIN, password=f"wrong {i}", client_id="x").status_code for i in range(12)]
    assert 429 in codes


def test_service_principal(gateway, admin):
    sp = admin.json("sp", "add", "ci")
    r = token(gateway, grant_type="client_credentials", client_id=sp["appId"], client_secret=sp["secret"], scope=f"{gateway.url}/.default")
    assert r.status_code == 200, r.text
    u = User(gateway, gateway.dir / "ci")
    secret = u.dir / "secret"
    secret.write_text(sp["secret"])
    secret.chmod(0o600)
    u.ok("login", "--service-principal", "--username", sp["appId"], "--password-file", secret, "--ca", gateway.ca)
    assert u.json("account", "show")


def test_enrolment_code_is_used_once(gateway):
    assert not (gateway.state / "enrolment-code").exists()
    r = requests.post(f"{gateway.url}/v1/enrol", json={"code": "x", "name": "evil", "password": "y" * 20}, verify=str(gateway.ca))
    assert r.status_code in (403, 409)


def test_password_never_on_argv(gateway):
    u = User(gateway, gateway.dir / "argv")
    r = u.run("login", "--username", ADMIN, "--password", ADMIN_PASSWORD)
    assert r.code == 2 and ADMIN_PASSWORD not in r.err


def test_no_prompt_without_a_terminal(gateway):
    u = User(gateway, gateway.dir / "noprompt")
    assert u.run("login", "--username", ADMIN, "--ca", gateway.ca).code == 2


def test_no_gateway_is_one_sentence(gateway):
    u = User(gateway, gateway.dir / "nogw")
    del u.env["CAPONIER_GATEWAY"]
    r = u.run("vm", "list")
    assert r.code == 2 and len(r.err.strip().splitlines()) == 1


def test_sign_in_first_exits_5(gateway):
    u = User(gateway, gateway.dir / "nologin")
    assert u.run("vm", "list", "-o", "json").code == 5


def test_apply_twice_changes_nothing_and_dry_run_shows(gateway, admin):
    again = gateway.apply(inventory(), "--dry-run")
    assert "+" not in again.out and "-" not in again.out.replace("--", "")
    inv = inventory()
    inv["machines"].append({"name": "new1", "group": "lab", "network": "hub", "address": "10.77.1.77"})
    r = gateway.apply(inv, "--dry-run")
    assert "new1" in r.out and "+" in r.out
    assert admin.run("vm", "show", "--name", "new1").code == 4  # a dry run changes nothing


def test_lists_and_shows(admin, ada, gateway):
    names = {v["name"] for v in admin.json("vm", "list")}
    assert {"web1", "db1", "lonely", "0"} <= names
    assert admin.json("vm", "show", "--name", "web1")["id"].lower() == (VM + "web1").lower()
    assert admin.json("bastion", "list")[0]["name"] == "door"
    assert ada.json("bastion", "show", "--name", "door")
    assert admin.json("role", "list")
    eve = gateway.user("eve@example.test")
    assert eve.json("vm", "list") == []


@pytest.mark.release_only  # a matter of numbers; smaller inventories go the same way
def test_twenty_thousand_machines_in_one_file(network, tmp_path):
    g = started(network, tmp_path / "g")
    inv = inventory()
    inv["networks"].append({"name": "big", "group": "lab", "prefixes": ["10.100.0.0/16"]})
    inv["machines"] += [{"name": f"m{i}", "group": "lab", "network": "big", "address": f"10.100.{i >> 8}.{i & 255}"} for i in range(1, 20001)]
    g.apply(inv)
    assert g.admin.json("vm", "show", "--name", "m20000")["name"] == "m20000"
    assert len(g.admin.json("vm", "list")) >= 20000
    r = g.apply(inv, "--dry-run")
    assert r.code == 0
    g.close()


@pytest.mark.parametrize("change,says", [
    (lambda i: i["machines"][0].update(adress="x"), "adress"), (lambda i: i["machines"][0].update(network="nowhere"), "nowhere"),
    (lambda i: i["machines"][0].update(address="10.9.9.9"), "10.9.9.9"), (lambda i: i["bastions"][0].update(native_client="flase"), "native_client"),
    (lambda i: i["bastions"][0].update(scale_units="022"), "scale_units"), (lambda i: i["bastions"][0].update(sku="Gold"), "Gold"),
    (lambda i: i["networks"][1].update(prefixes=["10.77.1.128/25"]), "overlap"), (lambda i: i["networks"][0].update(prefixes="10.0.0.0/8"), "list")])
def test_inventory_mistakes_are_told_with_their_place(gateway, change, says):
    inv = inventory()
    change(inv)
    r = gateway.apply(inv, check=None)
    assert r.code != 0 and says in r.err
    assert any(part.isdigit() for part in r.err.split(".yaml:")[1].split(":")[:2]), r.err
