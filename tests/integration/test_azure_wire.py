"""Status, headers and shape of what the Azure door answers where nothing goes well: unknown addresses, other methods, no
token, a source that guesses, a store that cannot write. One row for each statement of what its clients read."""
import concurrent.futures
import contextlib
import http.client
import os
import signal
import ssl
import subprocess
import time
from urllib.parse import urlencode, urlsplit

import pytest
import requests
import websocket

from conftest import BASTION, GROUP_ID, SUBSCRIPTION, VM, inventory, started
from lab.gateway import ADMIN, ADMIN_PASSWORD, PATIENCE, eventually
from lab.queues import sockets, unread
from test_arm import Arm, error, put_body
from test_azure_door import AzureClient

SUB_ID = f"/subscriptions/{SUBSCRIPTION}"
AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
JSON = "application/json; charset=utf-8"


@pytest.fixture(scope="module")
def reader(gateway, ada):
    return Arm(gateway, "ada@example.test", ada.password)


@pytest.fixture(scope="module")
def root(gateway, admin):
    return Arm(gateway, ADMIN, ADMIN_PASSWORD)


def bare(gateway, method, path, **kw):
    return requests.request(method, gateway.url + path, verify=str(gateway.ca), timeout=30, **kw)


def sign_in(gateway, password=ADMIN_PASSWORD, scope="openid", name=ADMIN):
    return bare(gateway, "POST", "/adfs/oauth2/token", data={
        "grant_type": "password", "client_id": AZ, "username": name, "password": password, "scope": scope})


# ---- shapes of errors: ARM, OAuth, data plane, directory ----

@pytest.mark.parametrize("method,path,status,code", [
    ("GET", GROUP_ID + "/providers/Microsoft.Network/natGateways", 404, "InvalidResourceType"),
    ("GET", SUB_ID + "/providers/Microsoft.Storage/storageAccounts", 404, "InvalidResourceType"),
    ("GET", SUB_ID + "/nothing", 404, "ResourceNotFound"),
    ("PUT", VM + "web1", 405, "HttpMethodNotAllowed"),
    ("DELETE", GROUP_ID, 405, "HttpMethodNotAllowed"),
    ("OPTIONS", BASTION + "door", 405, "HttpMethodNotAllowed"),
    ("POST", "/tenants", 405, "HttpMethodNotAllowed")])
def test_addresses_that_are_not_there_are_refused_in_azures_shape(reader, method, path, status, code):
    r = reader.ask(method, path)
    error(r, status, code)
    assert r.headers["Content-Type"] == JSON and r.headers["x-ms-correlation-request-id"]
    assert (status == 405) == ("Allow" in r.headers)


@pytest.mark.parametrize("name", ["a" * 81, "tür", "名前", "a b", "...", "x" * 200])
def test_names_that_no_bastion_can_have(root, name):
    said = error(root.ask("PUT", BASTION + name, json=put_body()), 400, "InvalidResourceName")
    assert f"'{name}'" in said  # whole, and readable
    assert name in error(root.ask("GET", BASTION + name), 404, "ResourceNotFound")


def test_an_id_that_is_too_long(root):
    for path in (BASTION + "a" * 300, GROUP_ID + "/providers/Microsoft.Network" + "/a/b" * 200):
        r = root.ask("PUT", path, json=put_body())
        assert r.status_code in (400, 404, 405) and r.json()["error"]["message"], r.text


def test_names_in_any_script(own_gateway):
    """Groups, people and tags, written in the inventory and over ARM, come back as they were, also in errors."""
    inv = inventory()
    inv["groups"].append({"name": "büro-東京"})
    own_gateway.apply(inv)
    user = own_gateway.user("zoë@example.test")
    root, zoe = Arm(own_gateway, ADMIN, ADMIN_PASSWORD), Arm(own_gateway, "zoë@example.test", user.password)
    group = f"{SUB_ID}/resourceGroups/büro-東京"
    assert root.get(group)["name"] == "büro-東京" and root.get(group.replace("ro-", "RO-"))["name"] == "büro-東京"  # ASCII letters of any case
    made = f"{group}/providers/Microsoft.Network/bastionHosts/door"
    r = root.ask("PUT", made, json={**put_body(), "tags": {"städte": "日本"}})
    assert r.status_code == 201 and r.json()["id"] == made
    root.wait(r)
    assert root.get(made)["tags"] == {"städte": "日本"}
    said = error(zoe.ask("GET", made), 403, "AuthorizationFailed")
    assert "zoë@example.test" in said and made in said
    root.wait(root.ask("DELETE", made))


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/api/tokens", 405), ("PUT", "/api/tokens", 405), ("GET", "/api/nothing", 404), ("DELETE", "/api/tokens/", 404),
    ("POST", "/api/rdpfile", 405), ("GET", "/api/connection", 405)])
def test_the_data_plane_always_has_a_message(gateway, method, path, status):
    r = bare(gateway, method, path)
    assert r.status_code == status and r.headers["Content-Type"] == JSON
    assert isinstance(r.json()["message"], str) and r.json()["message"]


@pytest.mark.parametrize("method,path,kw,status", [
    ("GET", "/adfs/oauth2/token", {}, 405), ("GET", "/adfs/nothing", {}, 404), ("GET", "/common/oauth2/v2.0/nothing", {}, 404),
    ("POST", "/adfs/oauth2/token", {"json": {}}, 415), ("POST", "/adfs/oauth2/token", {"data": {"x": "y" * 70000}}, 413),
    ("POST", "/common/oauth2/v2.0/token", {"data": {"x": "y" * 70000}}, 413)])
def test_the_authority_speaks_oauth(gateway, method, path, kw, status):
    r = bare(gateway, method, path, **kw)
    assert r.status_code == status and isinstance(r.json()["error"], str) and r.json()["error_description"]


@pytest.mark.parametrize("form,status,word", [
    ({}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "invalid_request"),
    ({"grant_type": "implicit", "client_id": AZ}, 400, "unsupported_grant_type"),
    ({"grant_type": "password", "client_id": AZ, "username": "u"}, 400, "invalid_request"),
    ({"grant_type": "password", "client_id": AZ, "username": "u", "password": "p"}, 400, "invalid_grant"),
    ({"grant_type": "password", "client_id": AZ, "username": "u", "password": "p", "scope": "\x01"}, 400, "invalid_scope"),
    ({"grant_type": "password", "client_id": AZ, "username": "u" * 300, "password": "p"}, 400, "invalid_request"),
    ({"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "p"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "x", "client_assertion": "eyJ"}, 400, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "nobody"}, 400, "invalid_request"),
    ({"grant_type": "refresh_token", "client_id": AZ, "refresh_token": "x"}, 400, "invalid_grant"),
    ({"grant_type": "refresh_token", "client_id": AZ}, 400, "invalid_request"),
    ({"grant_type": "authorization_code", "client_id": AZ, "code": "x"}, 400, "invalid_grant"),
    ({"grant_type": "device_code", "client_id": AZ, "device_code": "x"}, 400, "invalid_grant"),
    ({"grant_type": "device_code", "client_id": AZ}, 400, "invalid_request")])
def test_every_oauth_error_in_the_rfcs_words(own_authority, form, status, word):
    r = bare(own_authority, "POST", "/adfs/oauth2/token", data=form)
    assert (r.status_code, r.json()["error"]) == (status, word), r.text
    assert r.json()["error_description"] and r.headers["Cache-Control"] == "no-store"
    assert (status == 401) == r.headers.get("WWW-Authenticate", "").startswith("Basic")


@pytest.fixture(scope="module")
def own_authority(network, folder):
    """Nobody is kept out here: these rows are about words."""
    g = started(network, folder / "words", penalty_wrong_secret="0s", fronts=1)
    yield g
    g.close()


def test_a_challenge_says_where_to_sign_in_and_what_is_wrong(reader):
    r = bare(reader.gateway, "GET", BASTION + "door?api-version=2022-01-01")
    where = f'Bearer authorization_uri="{reader.gateway.url}/adfs"'
    assert r.status_code == 401 and r.headers["WWW-Authenticate"] == where  # RFC 6750 3.1: no error where no token was
    error(r, 401, "AuthenticationFailed")
    r = reader.ask("GET", BASTION + "door", token="x.y.z")
    assert r.headers["WWW-Authenticate"].startswith(where + ', error="invalid_token", error_description="')
    assert "claims=" not in r.headers["WWW-Authenticate"]


# ---- addresses as clients write them ----

def test_a_slash_at_the_end_and_letters_of_any_case(reader):
    door = reader.get(BASTION + "door")
    for path in (BASTION + "door/", (BASTION + "door").upper(), (BASTION + "door").lower()):
        assert reader.get(path) == door
    assert reader.get("/subscriptions/", version="2019-11-01") == reader.get("/subscriptions", version="2019-11-01")
    page = reader.ask("GET", f"{GROUP_ID}/providers/Microsoft.Compute/virtualMachines/", params={"$top": "2"}).json()
    assert len(page["value"]) == 2 and urlsplit(page["nextLink"]).path.endswith("/virtualMachines")
    assert reader.get(page["nextLink"])["value"]


def test_what_newer_az_reads_of_tenants_and_subscriptions(reader):
    """2.61 and later ask with 2022-12-01 and show the default domain."""
    [tenant] = reader.get("/tenants", version="2022-12-01")["value"]
    assert tenant["defaultDomain"] and tenant["tenantType"] == "AAD" and tenant["domains"] == [tenant["defaultDomain"]]
    [sub] = reader.get("/subscriptions", version="2022-12-01")["value"]
    assert sub["managedByTenants"] == [] and sub["state"] == "Enabled"


@pytest.mark.parametrize("tenant", ["common", "organizations", "GUID", "guid"])
def test_the_authority_of_newer_az(gateway, reader, tenant):
    """/{tenant}/v2.0 after `core.instance_discovery=false`: endpoints below the same tenant, on the same host."""
    guid = reader.get("/tenants", version="2016-06-01")["value"][0]["tenantId"]
    tenant = {"GUID": guid.upper(), "guid": guid}.get(tenant, tenant)
    found = bare(gateway, "GET", f"/{tenant}/v2.0/.well-known/openid-configuration").json()
    for name in ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint"):
        assert found[name].startswith(f"{gateway.url}/{tenant}/oauth2/v2.0/"), (name, found[name])
    assert urlsplit(found["issuer"]).netloc == urlsplit(gateway.url).netloc
    keys = requests.get(found["jwks_uri"], verify=str(gateway.ca), timeout=20).json()["keys"]
    assert keys[0]["kid"]
    r = requests.post(found["token_endpoint"], verify=str(gateway.ca), timeout=20, data={
        "grant_type": "password", "client_id": AZ, "username": ADMIN, "password": ADMIN_PASSWORD, "client_info": "1",
        "claims": '{"access_token":{"xms_cc":{"values":["CP1"]}}}', "scope": f"{gateway.url}/.default offline_access openid profile"})
    body = r.json()
    assert r.status_code == 200 and {"access_token", "refresh_token", "id_token", "client_info", "expires_in", "scope"} <= set(body)
    r = requests.post(found["token_endpoint"], verify=str(gateway.ca), timeout=20, data={
        "grant_type": "refresh_token", "client_id": AZ, "refresh_token": body["refresh_token"], "client_info": "1",
        "scope": "https://management.core.windows.net//.default offline_access openid profile"})
    assert r.status_code == 200 and r.json()["refresh_token"] != body["refresh_token"]
    assert reader.ask("GET", BASTION + "door", token=r.json()["access_token"]).status_code == 200
    # Without a realm of its own a name is signed in by password: 404 is what tells MSAL so.
    assert bare(gateway, "GET", f"/common/userrealm/{ADMIN}?api-version=1.0").status_code == 404


# ---- sessions ----

def test_both_calls_about_sessions_do_for_every_client(root):
    r = root.ask("POST", BASTION + "door/getActiveSessions")
    assert r.status_code == 202 and isinstance(r.json()["value"], list)  # az rest shows the body
    followed = root.ask("GET", r.headers["Location"])  # others follow
    assert followed.status_code == 200 and set(followed.json()) <= {"value", "nextLink"}
    ids = ["11111111-2222-3333-4444-555555555555", "no id at all"]
    r = root.ask("POST", BASTION + "door/disconnectActiveSessions", json={"sessionIds": ids})
    assert r.status_code == 200 and [(x["sessionId"], x["state"]) for x in r.json()["value"]] == [(i, "NotFound") for i in ids]
    assert root.get(r.headers["Location"]) == r.json() and "Azure-AsyncOperation" not in r.headers  # az would show that one
    error(root.ask("POST", BASTION + "door/disconnectActiveSessions", json={"sessionIds": ids * 501}), 400, "InvalidRequestContent")
    error(root.ask("POST", BASTION + "ghost/getActiveSessions"), 404, "ResourceNotFound")


def test_an_operation_is_its_makers_and_has_its_share(own_gateway):
    """129 of one caller push out that caller's first, and nobody else's."""
    g = own_gateway
    other = g.user("other@example.test")
    g.admin.ok("role", "assign", "--assignee", "other@example.test", "--role", "Contributor", "--scope", GROUP_ID)
    root, other = Arm(g, ADMIN, ADMIN_PASSWORD), Arm(g, "other@example.test", other.password)

    def one(who):
        return who.ask("POST", BASTION + "door/disconnectActiveSessions", json={"sessionIds": []}).headers["Location"]
    theirs, first = one(other), one(root)
    assert root.get(first) == {"value": []}
    error(other.ask("GET", first), 404, "OperationNotFound")
    last = [one(root) for _ in range(128)]
    error(root.ask("GET", first), 404, "OperationNotFound")
    for url in (last[0], last[-1]):
        assert root.get(url) == {"value": []}
    assert other.get(theirs) == {"value": []}
    error(root.ask("GET", theirs.replace("operationResults", "operations")), 404, "OperationNotFound")


# ---- bursts of guesses ----

def burst(gateway, ask, n):
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(ask, range(n)))


def test_a_burst_of_wrong_secrets_is_not_tried(own_gateway):
    """Sixty at once: the first few are, the others are told to wait before anybody looks at them; then nobody is."""
    answers = burst(own_gateway, lambda i: sign_in(own_gateway, f"wrong {i}"), 60)
    codes = [r.status_code for r in answers]
    tried, put_off = codes.count(400), codes.count(429)
    assert tried + put_off + codes.count(503) == 60 and tried <= 6, codes
    for r in answers:
        if r.status_code == 429:
            assert int(r.headers["Retry-After"]) > 0 and r.json()["error"] == "temporarily_unavailable"
    assert sign_in(own_gateway).status_code == 429  # the right one has to wait as well


def test_a_burst_of_wrong_secrets_of_one_service(own_gateway):
    sp = own_gateway.admin.json("sp", "add", "robot")
    codes = [r.status_code for r in burst(own_gateway, lambda i: bare(own_gateway, "POST", "/adfs/oauth2/token", data={
        "grant_type": "client_credentials", "client_id": sp["appId"], "client_secret": f"wrong {i}"}), 40)]
    assert codes.count(401) <= 6 and codes.count(401) + codes.count(429) == 40, codes


def test_a_burst_of_people_who_know_their_password(own_gateway):
    """Many behind one address sign in at once: none of them is taken for somebody who guesses."""
    assert [r.status_code for r in burst(own_gateway, lambda _: sign_in(own_gateway), 12)] == [200] * 12


def from_address(gateway, source, name, password):
    """(status, Retry-After) of a sign-in from another address of this machine."""
    context = ssl.create_default_context(cafile=str(gateway.ca))
    c = http.client.HTTPSConnection("localhost", gateway.port, timeout=30, source_address=(source, 0), context=context)
    with contextlib.closing(c):
        c.request("POST", "/adfs/oauth2/token", urlencode({"grant_type": "password", "client_id": AZ, "username": name, "password": password,
                                                           "scope": "openid"}), {"Content-Type": "application/x-www-form-urlencoded"})
        r = c.getresponse()
        return r.status, r.getheader("Retry-After")


def test_a_name_is_locked_from_everywhere(network, tmp_path):
    """Each source tries once, so none is put off; the name they try is, also for its owner, and nobody else's is."""
    g = started(network, tmp_path / "name", penalty_wrong_secret="1m", penalty_threshold="62s")
    try:
        other = g.user("other@example.test")
        codes = [from_address(g, f"127.6.0.{i}", ADMIN, "wrong")[0] for i in range(1, 9)]
        assert codes[:5] == [400] * 5 and codes[-1] == 429, codes
        status, wait = from_address(g, "127.6.1.1", ADMIN.upper(), ADMIN_PASSWORD)
        assert status == 429 and int(wait) > 0
        assert from_address(g, "127.6.1.2", "other@example.test", other.password)[0] == 200
    finally:
        g.close()


def test_a_user_who_is_shut_out(own_gateway):
    """Disabled: what was signed in is refused everywhere at once, and a password reads as a wrong one."""
    g = own_gateway
    people = [{"name": "gone@example.test"}]
    user = g.user("gone@example.test")
    arm = Arm(g, "gone@example.test", user.password)
    kept = sign_in(g, user.password, "openid offline_access", "gone@example.test").json()["refresh_token"]
    az = AzureClient(g, arm.token)
    assert arm.ask("GET", "/subscriptions").status_code == 200
    g.apply({"users": [{**people[0], "enabled": False}]})
    r = sign_in(g, user.password, "openid", "gone@example.test")
    assert (r.status_code, r.json()) == (400, sign_in(g, "wrong", "openid", "nobody@example.test").json())
    r = bare(g, "POST", "/adfs/oauth2/token", data={"grant_type": "refresh_token", "client_id": AZ, "refresh_token": kept})
    assert (r.status_code, r.json()["error"]) == (400, "invalid_grant")
    r = arm.ask("GET", "/subscriptions")
    assert r.status_code in (401, 403) and r.json()["error"]["code"] == "AuthenticationFailed"
    r = az.post()
    assert r.status_code in (401, 403) and r.json()["message"]


def test_a_refresh_token_that_was_revoked(own_gateway):
    kept = sign_in(own_gateway, scope="offline_access").json()["refresh_token"]
    assert bare(own_gateway, "POST", "/adfs/oauth2/revoke", data={"client_id": AZ, "token": kept}).status_code == 200
    r = bare(own_gateway, "POST", "/adfs/oauth2/token", data={"grant_type": "refresh_token", "client_id": AZ, "refresh_token": kept})
    assert (r.status_code, r.json()["error"]) == (400, "invalid_grant") and "sign in again" in r.json()["error_description"]


def test_a_penalty_runs_off(network, tmp_path):
    g = started(network, tmp_path / "locked", penalty_wrong_secret="5s", penalty_threshold="1s", penalty_max="3s")
    try:
        while sign_in(g, "wrong").status_code != 429:
            pass
        r = sign_in(g)
        assert r.status_code == 429 and 1 <= int(r.headers["Retry-After"]) <= 3
        began = time.monotonic()
        eventually(lambda: sign_in(g).status_code == 200, 10, "the penalty has run off")
        assert time.monotonic() - began < 8 * PATIENCE
    finally:
        g.close()


# ---- the store cannot write ----

@pytest.fixture
def full(network, tmp_path):
    """A gateway whose disk can be filled: (gateway, fill, empty)."""
    state = tmp_path / "g" / "state"
    state.mkdir(parents=True, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(state)], check=True)
    filler = state / "filler"

    def fill():
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b"x" * 4096)
    g = None
    try:
        g = started(network, tmp_path / "g")
        yield g, fill, filler.unlink
        g.close()
    finally:
        if g:
            g.stop()
        subprocess.run(["umount", "-l", str(state)], check=True)


def test_a_full_disk_at_every_door(full, network):
    """503, Retry-After and a reason in the words of each door; what only reads goes on; afterwards all is well."""
    g, fill, empty = full
    root = Arm(g, ADMIN, ADMIN_PASSWORD)
    az = AzureClient(g, root.token)
    target = network.machines.listen("10.77.1.5", 22)
    fill()
    try:
        r = root.ask("PATCH", BASTION + "door", json={"tags": {"a": "b"}})
        assert "disk is full" in error(r, 503, "ServiceUnavailable") and r.headers["Retry-After"] == "1"
        r = root.ask("PUT", f"{GROUP_ID}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-666666666666",
                     version="2022-04-01", json={"properties": {"principalId": "x", "roleDefinitionId": "y"}})
        assert r.status_code in (400, 404, 503) and r.json()["error"]["code"]
        r = sign_in(g, scope="openid offline_access")
        assert (r.status_code, r.json()["error"], r.headers["Retry-After"]) == (503, "temporarily_unavailable", "1")
        assert r.json()["error_description"]
        r = sign_in(g)  # a token to keep or not: its record is to be
        assert r.status_code == 503 and "disk is full" in r.json()["error_description"] and r.headers["Retry-After"] == "1"
        assert root.get(BASTION + "door")["name"] == "door"
        r = az.post()
        if r.status_code == 200:  # tickets are memory on one node; what a session leaves is not
            with pytest.raises(websocket.WebSocketBadStatusException) as e:
                az.ws(r.json(), headers={"Caponier-Client": "1"})
            assert e.value.status_code == 503
        else:
            assert r.status_code == 503 and r.json()["message"] and r.headers["Retry-After"]
        empty()
        r = root.ask("PATCH", BASTION + "door", json={"tags": {"a": "b"}})
        assert r.status_code == 200 and r.json()["tags"] == {"a": "b"}
        assert sign_in(g, scope="openid offline_access").status_code == 200
    finally:
        target.close()


def test_control_is_away_at_every_door(own_gateway):
    """Stopped in its tracks, then killed: the fronts answer for it, in the shape of the door."""
    root = Arm(own_gateway, ADMIN, ADMIN_PASSWORD)
    control = own_gateway.pids("control")[0]
    os.kill(control, signal.SIGSTOP)
    asked = [("GET", BASTION + "door?api-version=2022-01-01", lambda b: b["error"]["code"] and b["error"]["message"]),
             ("POST", "/adfs/oauth2/token", lambda b: b["error"] == "temporarily_unavailable" and b["error_description"]),
             ("POST", "/common/oauth2/v2.0/devicecode", lambda b: b["error"] == "temporarily_unavailable"),
             ("POST", "/api/tokens", lambda b: b["message"]),
             ("DELETE", "/api/tokens/x", lambda b: b["message"])]
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        waiting = [pool.submit(bare, own_gateway, m, p, headers={"Authorization": f"Bearer {root.token}"},
                               **({"data": {"x": "y"}} if m == "POST" else {})) for m, p, _ in asked]
        eventually(lambda: sum(f.running() for f in waiting) == len(asked), what="all have begun")
        every = len(asked) * len(root.token)  # each carries it
        eventually(lambda: sum(unread(control, fd) for fd in sockets(control)) >= every, what="their requests wait at control")
        os.kill(control, signal.SIGKILL)
        for f, (method, path, shape) in zip(waiting, asked):
            r = f.result()
            assert r.status_code == 503 and r.headers["Retry-After"] and shape(r.json()), (method, path, r.text)
    eventually(lambda: root.ask("GET", BASTION + "door").status_code == 200, what="it is back")
