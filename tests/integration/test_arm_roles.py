"""Roles and active sessions through Azure Resource Manager's paths, as az and its SDKs read and write them."""
import uuid

import pytest
import requests

from conftest import BASTION, GROUP_ID, SUBSCRIPTION, VM
from lab.gateway import ADMIN, ADMIN_PASSWORD, eventually
from test_azure_door import AzureClient, opened
from test_seed_steps import read_all
from test_sessions import audit, live

AUTHORIZATION = "/providers/Microsoft.Authorization/"
DOCUMENTED = {"sessionId", "startTime", "targetSubscriptionId", "resourceType", "targetHostName", "targetResourceGroup",
              "userName", "targetIpAddress", "protocol", "targetResourceId", "sessionDurationInMins"}
OURS = {"clientAddress", "bytesUp", "bytesDown", "node"}


class Arm:
    """One signed-in person's view of the ARM subset and of the directory."""

    def __init__(self, gateway, name, password):
        self.gateway = gateway
        r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=str(gateway.ca), data={
            "grant_type": "password", "username": name, "password": password, "scope": "openid",
            "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46"})
        assert r.status_code == 200, r.text
        self.token = r.json()["access_token"]

    def ask(self, method, path, body=None, version="2022-04-01", **params):
        url = path if path.startswith("https://") else self.gateway.url + path
        if "?" not in url and version:
            params["api-version"] = version
        return requests.request(method, url, params=params, json=body, verify=str(self.gateway.ca), timeout=20,
                                headers={"Authorization": f"Bearer {self.token}"})

    def value(self, path, **params):
        """A whole list, page by page."""
        out, link = [], path
        while link:
            r = self.ask("GET", link, **(params if link == path else {}))
            assert r.status_code == 200, r.text
            out += r.json()["value"]
            link = r.json().get("nextLink")
        return out

    def role_id(self, name, scope=GROUP_ID):
        found = self.value(scope + AUTHORIZATION + "roleDefinitions", version="2018-01-01-preview",
                           **{"$filter": f"roleName eq '{name}'"})
        assert len(found) == 1, found
        return found[0]["id"]

    def person(self, name):
        r = self.ask("GET", "/v1.0/users", version=None, **{"$filter": f"userPrincipalName eq '{name}'"})
        assert r.status_code == 200, r.text
        return r.json()["value"][0]["id"]

    def assign(self, person, role, scope, name=None, version="2020-04-01-preview"):
        return self.ask("PUT", f"{scope}{AUTHORIZATION}roleAssignments/{name or uuid.uuid4()}", version=version, body={
            "properties": {"roleDefinitionId": self.role_id(role), "principalId": person, "principalType": "User"}})

    def active(self, bastion="door"):
        """getActiveSessions as a long-running operation: 202, and the list where Location leads."""
        r = self.ask("POST", BASTION + bastion + "/getActiveSessions", version="2022-01-01")
        assert r.status_code == 202 and "Azure-AsyncOperation" not in r.headers, r.text
        return self.value(r.headers["Location"])


@pytest.fixture(scope="module")
def arm(gateway):
    return Arm(gateway, ADMIN, ADMIN_PASSWORD)


@pytest.fixture
def lin(gateway, arm):
    """Somebody without a role, and without one again afterwards."""
    user = gateway.user("lin@example.test")
    yield user
    person = arm.person("lin@example.test")
    for a in arm.value(f"/subscriptions/{SUBSCRIPTION}{AUTHORIZATION}roleAssignments", **{"$filter": f"principalId eq '{person}'"}):
        assert arm.ask("DELETE", a["id"]).status_code == 200


def ended(sock):
    """Nothing more comes; a cut may reach the client's program as a reset."""
    try:
        return read_all(sock) == b""
    except ConnectionResetError:
        return True


def may(user):
    return user.run("can-i", "--name", "door", "--target-resource-id", VM + "scripted", "--resource-port", 22).code == 0


@pytest.mark.parametrize("version", ["2015-07-01", "2018-01-01-preview", "2020-04-01-preview", "2022-04-01"])
def test_an_assignment_lets_in_and_its_end_cuts(gateway, arm, lin, target, version):
    person = arm.person("lin@example.test")
    assert not may(lin)
    r = arm.assign(person, "Reader", GROUP_ID, version=version)
    assert r.status_code == 201, r.text
    made = r.json()
    assert made["properties"]["principalId"] == person and made["properties"]["scope"] == GROUP_ID
    assert made["type"] == "Microsoft.Authorization/roleAssignments"
    assert may(lin)
    with lin.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        assert [x for x in arm.active() if x["userName"] == "lin@example.test"]
        r = arm.ask("DELETE", made["id"], version=version)
        assert r.status_code == 200 and r.json()["name"] == made["name"]
        assert ended(s) and ended(c)
    assert not may(lin)
    assert arm.ask("DELETE", made["id"], version=version).status_code == 204
    r = arm.ask("GET", made["id"], version=version)
    assert (r.status_code, r.json()["error"]["code"]) == (404, "RoleAssignmentNotFound")


def test_refusals_in_azures_words(gateway, arm, lin):
    person = arm.person("lin@example.test")
    assert arm.assign(person, "Reader", VM + "web1").status_code == 201
    told = {
        "again": arm.assign(person, "Reader", VM + "web1"),
        "nobody": arm.assign(str(uuid.uuid4()), "Reader", VM + "web1"),
        "nowhere": arm.assign(person, "Reader", VM + "ghost"),
        "no right": Arm(gateway, "lin@example.test", lin.password).ask(
            "PUT", f"{VM}web1{AUTHORIZATION}roleAssignments/{uuid.uuid4()}", body={"properties": {
                "roleDefinitionId": arm.role_id("Owner"), "principalId": person}}),
    }
    assert {k: (r.status_code, r.json()["error"]["code"]) for k, r in told.items()} == {
        "again": (409, "RoleAssignmentExists"), "nobody": (400, "PrincipalNotFound"), "nowhere": (404, "ResourceNotFound"),
        "no right": (403, "AuthorizationFailed")}
    assert "role assignment already exists" in told["again"].json()["error"]["message"]  # az looks for these words


def test_both_doors_sessions_are_shown_and_cut(gateway, arm, ada, target):
    token = Arm(gateway, "ada@example.test", ada.password).token
    with ada.tunnel("--name", "door", "scripted") as t, live(t, target) as (c, s):
        ws, far = opened(AzureClient(gateway, token), target)
        c.sendall(b"u" * 5000)
        got = 0
        while got < 5000:
            got += len(s.recv(65536))
        rows = eventually(lambda: [r for r in [[x for x in arm.active() if x["userName"] == "ada@example.test"
                                                and x["targetHostName"] == "scripted" and x["bytesDown"] > 0]]
                                   if len(r) == 2 and max(x["bytesUp"] for x in r) >= 5000], what="both are shown")[0]
        for row in rows:
            assert DOCUMENTED | OURS == set(row)
            assert row["protocol"] == "SSH" and row["resourceType"] == "VM" and row["clientAddress"] == "127.0.0.1"
            assert row["targetResourceId"].lower() == (VM + "scripted").lower() and row["targetIpAddress"] == "10.77.1.5"
            assert row["targetSubscriptionId"] == SUBSCRIPTION and row["targetResourceGroup"] == "lab"
        unknown = str(uuid.uuid4())
        r = arm.ask("POST", BASTION + "door/disconnectActiveSessions", version="2022-01-01",
                    body={"sessionIds": [x["sessionId"] for x in rows] + [unknown]})
        assert r.status_code == 200, r.text
        assert {x["sessionId"]: x["state"] for x in r.json()["value"]} == {
            **{x["sessionId"]: "Disconnected" for x in rows}, unknown: "NotFound"}
        assert all({"sessionId", "message", "state"} == set(x) for x in r.json()["value"])
        assert ended(s) and ended(c) and ended(far)
        ws.close()
        far.close()
    gone = {x["sessionId"] for x in rows}
    assert not gone & {x["sessionId"] for x in arm.active()}
    ends = [x for x in audit(gateway.admin, operationName="session.end") if x["tunnelId"] in gone]
    assert len(ends) == 2 and {x["reason"] for x in ends} == {"cut_admin"}


def test_a_reader_sees_no_sessions_by_this_way(gateway, ada):
    r = Arm(gateway, "ada@example.test", ada.password).ask("POST", BASTION + "door/getActiveSessions", version="2022-01-01")
    assert (r.status_code, r.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert "getActiveSessions/action" in r.json()["error"]["message"]


def test_closed_with_the_azure_door(own_gateway):
    own_gateway.stop()
    own_gateway.write_config(az_clients=False)
    own_gateway.start()
    arm = Arm(own_gateway, ADMIN, ADMIN_PASSWORD)
    for path in (GROUP_ID + AUTHORIZATION + "roleAssignments", "/v1.0/me", BASTION + "door/getActiveSessions"):
        assert arm.ask("GET", path).status_code == 404
