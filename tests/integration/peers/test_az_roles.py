"""Debian's azure-cli gives and takes roles, and sees who is connected."""
import json

import pytest

from conftest import BASTION, GROUP_ID, SUBSCRIPTION, VM
from lab.az import Azure

# Debian 12 ships az 2.45 with a later library of Azure's, which calls `_config` what az reads as `config`: every role
# command ends in a traceback before its first request. This gives az the name back; what goes over the wire is az's own.
MENDED = """
from azure.mgmt.authorization.v2018_01_01_preview.operations import RoleDefinitionsOperations
from azure.mgmt.authorization.v2020_04_01_preview.operations import RoleAssignmentsOperations
for operations in RoleDefinitionsOperations, RoleAssignmentsOperations:
    if not hasattr(operations, "config"):
        operations.config = property(lambda self: self._config)
"""


@pytest.fixture(scope="module")
def az(gateway, folder):
    """Signed in as a service principal that owns everything."""
    home = folder / "az-robot"
    (home / "mended").mkdir(parents=True)
    (home / "mended" / "sitecustomize.py").write_text(MENDED)
    sp = gateway.admin.json("sp", "add", "robot")
    gateway.admin.ok("role", "assign", "--assignee", sp["appId"], "--role", "Owner", "--scope", "/")
    a = Azure(gateway, home, PYTHONPATH=str(home / "mended")).register()
    # az has no flag for this one; without it names of people cannot be used.
    a.ok("cloud", "update", "-n", "caponier", "--cloud-config",
         json.dumps({"endpoints": {"microsoftGraphResourceId": gateway.url}}))
    a.ok("login", "--service-principal", "-u", sp["appId"], "-p", sp["secret"], "--tenant", "adfs")
    return a


@pytest.fixture
def mary(gateway):
    return gateway.user("mary@example.test")


def may(user):
    return user.run("can-i", "--name", "door", "--target-resource-id", VM + "web1", "--resource-port", 22).code == 0


def test_roles_by_the_name_of_a_person(az, mary):
    assert not may(mary)
    made = az.json("role", "assignment", "create", "--assignee", "mary@example.test", "--role", "Reader", "--scope", GROUP_ID)
    assert made["scope"] == GROUP_ID and made["principalType"] == "User"
    assert may(mary)
    again = az.json("role", "assignment", "create", "--assignee", "mary@example.test", "--role", "Reader", "--scope", GROUP_ID)
    assert again["id"] == made["id"]  # az takes the 409 for a yes
    row, = az.json("role", "assignment", "list", "--assignee", "mary@example.test", "--scope", GROUP_ID)
    assert (row["principalName"], row["roleDefinitionName"]) == ("mary@example.test", "Reader")
    assert len(az.json("role", "assignment", "list", "--all", "--assignee", "mary@example.test")) == 1
    az.ok("role", "assignment", "delete", "--assignee", "mary@example.test", "--role", "Reader", "--scope", GROUP_ID)
    assert not may(mary)
    r = az.run("role", "assignment", "delete", "--assignee", "mary@example.test", "--scope", GROUP_ID, check=1)
    assert "No matched assignments" in r.err


def test_roles_by_object_id(az, mary):
    person = az.json("ad", "user", "show", "--id", "mary@example.test")["id"]
    made = az.json("role", "assignment", "create", "--assignee-object-id", person, "--assignee-principal-type", "User",
                   "--role", "acdd72a7-3385-48ef-bd42-f606fba81ae7", "--resource-group", "lab", "--description", "for a test")
    assert made["description"] == "for a test"
    az.ok("role", "assignment", "delete", "--ids", made["id"])
    assert not may(mary)


def test_refusals_are_said(az):
    r = az.run("role", "assignment", "create", "--assignee", "ghost@example.test", "--role", "Reader", "--scope", GROUP_ID, check=1)
    assert "Cannot find user or service principal in graph database" in r.err
    r = az.run("role", "assignment", "create", "--assignee", "mary@example.test", "--role", "Baker", "--scope", GROUP_ID, check=1)
    assert "Role 'Baker' doesn't exist." in r.err
    r = az.run("role", "assignment", "create", "--assignee-object-id", "11111111-2222-3333-4444-555555555555",
               "--assignee-principal-type", "User", "--role", "Reader", "--scope", GROUP_ID, check=1)
    assert "(PrincipalNotFound)" in r.err


def test_definitions_and_everything(az):
    names = {d["roleName"] for d in az.json("role", "definition", "list")}
    assert {"Owner", "Contributor", "Reader", "Virtual Machine Administrator Login", "Virtual Machine User Login"} <= names
    owner, = az.json("role", "definition", "list", "--name", "Owner")
    assert owner["permissions"][0]["actions"] == ["*"]
    everything = az.json("role", "assignment", "list", "--all")
    assert "/" in {a["scope"] for a in everything} and all(a["roleDefinitionName"] for a in everything)


def test_active_sessions(az):
    r = az.run("rest", "--method", "post", "--url", BASTION + "door/getActiveSessions?api-version=2022-01-01", "--debug", check=0)
    assert "'Location': '" in r.err and "Azure-AsyncOperation" not in r.err  # az follows Location alone
    got = az.json("rest", "--method", "post", "--url", BASTION + "door/disconnectActiveSessions?api-version=2022-01-01",
                  "--body", json.dumps({"sessionIds": [SUBSCRIPTION]}))
    assert [x["state"] for x in got["value"]] == ["NotFound"]
