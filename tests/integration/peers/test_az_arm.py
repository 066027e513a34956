"""Debian's azure-cli reads and writes the gateway's resources as it does Azure's."""
import json

import pytest

from conftest import BASTION, GROUP_ID, NIC, SUBSCRIPTION, VM, VNET

S = f"/subscriptions/{SUBSCRIPTION}"
POOL = GROUP_ID + "/providers/Microsoft.Compute/virtualMachineScaleSets/pool"
NETWORK, COMPUTE = "2022-01-01", "2022-11-01"


def names(listed):
    return sorted(x["name"] for x in listed["value"])


@pytest.mark.parametrize("path,version,expected", [
    (f"{S}/resourceGroups", "2021-04-01", ["lab"]),
    (f"{S}/providers/Microsoft.Network/bastionHosts", NETWORK, ["door"]),
    (f"{GROUP_ID}/providers/Microsoft.Network/bastionHosts", "2024-01-01", ["door"]),
    (f"{GROUP_ID}/providers/Microsoft.Compute/virtualMachines", COMPUTE, ["db1", "lonely", "scripted", "web1"]),
    (f"{S}/providers/Microsoft.Compute/virtualMachines", COMPUTE, ["db1", "lonely", "scripted", "web1"]),
    (f"{GROUP_ID}/providers/Microsoft.Network/virtualNetworks", NETWORK, ["hub", "island", "spoke"]),
    (f"{POOL}/virtualMachines", COMPUTE, ["0"]),
])
def test_lists(root, path, version, expected):
    assert names(root.get(path, version)) == expected


def test_interfaces_hold_the_addresses(root):
    nics = root.get(f"{S}/providers/Microsoft.Network/networkInterfaces")["value"]
    found = {c["properties"]["privateIPAddress"] for n in nics for c in n["properties"]["ipConfigurations"]}
    assert {"10.77.1.4", "10.77.2.4", "10.77.1.20"} <= found


@pytest.mark.parametrize("path,version,name", [
    (GROUP_ID, "2021-04-01", "lab"),
    (GROUP_ID.replace("resourceGroups", "resourcegroups"), "2021-04-01", "lab"),
    (VM + "web1", COMPUTE, "web1"),
    (VNET + "hub", NETWORK, "hub"),
    (NIC + "web1-nic", NETWORK, "web1-nic"),
])
def test_single_ones(root, path, version, name):
    assert root.get(path, version)["name"] == name


# `az vm` of Debian's package fails by itself (its library lacks the api-version): what it would ask
def test_machines_with_details(root):
    """`az vm show -d` reads the power state, which nobody knows here, `list -d` public addresses, which nobody has."""
    assert root.get(f"{VM}web1?$expand=instanceView", COMPUTE)["properties"]["instanceView"] == {"statuses": []}
    assert "instanceView" not in root.get(f"{VM}web1", COMPUTE)["properties"]
    for place in (S, GROUP_ID):
        assert root.get(f"{place}/providers/Microsoft.Network/publicIPAddresses", NETWORK) == {"value": []}


def test_a_filter_is_kept_or_refused(root):
    """A script that believes to see some must not be given all."""
    machines = f"{GROUP_ID}/providers/Microsoft.Compute/virtualMachines"
    assert root.get(f"{machines}?$filter='virtualMachineScaleSet/id' eq '{POOL}'", COMPUTE) == {"value": []}
    for path in (machines, f"{S}/providers/Microsoft.Network/bastionHosts", f"{POOL}/virtualMachines"):
        r = root.rest("get", f"{path}?$filter=name eq 'x'", version=COMPUTE, check=1)
        assert "InvalidFilterInQueryString" in r.err, r


def test_subscriptions_and_tenants(root):
    assert "Lab" in [s["displayName"] for s in root.get("/subscriptions", "2019-11-01")["value"]]
    tenant = root.json("account", "show")["tenantId"]
    assert len(root.get("/tenants", "2019-11-01")["value"]) == 1
    assert root.get(S, "2019-11-01")["tenantId"] not in ("", None) and tenant


def test_bastion_has_its_booleans(root):
    """A missing one is a traceback in the extension."""
    p = root.get(BASTION + "door")["properties"]
    assert p["enableTunneling"] is True and p["enableIpConnect"] is True
    assert p["dnsName"] == root.gateway.url.removeprefix("https://")


def test_pages(root):
    first = root.get(f"{GROUP_ID}/providers/Microsoft.Compute/virtualMachines?$top=3", COMPUTE)
    assert len(first["value"]) == 3
    rest = root.rest("get", first["nextLink"], check=0).json()
    assert names(first) + names(rest) == ["db1", "lonely", "scripted", "web1"] and not rest.get("nextLink")


def test_resource_show_and_list(root):
    door = root.json("resource", "show", "--ids", BASTION + "door", "--api-version", NETWORK)
    assert door["sku"]["name"] == "Standard" and door["resourceGroup"] == "lab"
    listed = root.json("resource", "list", "-g", "lab", "--resource-type", "Microsoft.Network/bastionHosts")
    assert [r["name"] for r in listed] == ["door"]
    assert {"web1", "hub", "door"} <= {r["name"] for r in root.json("resource", "list")}


def test_group_list(root):
    assert [g["name"] for g in root.json("group", "list")] == ["lab"]


@pytest.fixture
def west(root):
    """A bastion whose location has a space, as people write it; gone again whatever happens."""
    root.rest("put", BASTION + "west", {"location": "West Europe", "tags": {"team": "blue", "stage": "test"}, "properties": {
        "ipConfigurations": [{"name": "c", "properties": {"subnet": {"id": VNET + "spoke/subnets/AzureBastionSubnet"}}}]}}, check=0)
    yield
    root.rest("delete", BASTION + "west", check=0)


def test_a_location_with_a_space(root, west):
    """az asks for the list of locations whenever it is given one with a space; an address that is not there ends it."""
    shown = {x["name"]: x["displayName"] for x in root.json("account", "list-locations")}
    assert shown == {"local": "local", "westeurope": "West Europe"}
    assert root.get(BASTION + "west")["location"] == "westeurope"
    for spelling in ("West Europe", "westeurope"):
        assert [r["name"] for r in root.json("resource", "list", "--location", spelling)] == ["west"], spelling


def test_lists_by_tag(root, west):
    assert [r["name"] for r in root.json("resource", "list", "--tag", "team=blue")] == ["west"]
    assert root.json("resource", "list", "--tag", "team=test") == []
    assert root.json("group", "list", "--tag", "team=blue") == []


@pytest.fixture
def side(root):
    """A bastion made by az, and gone again whatever happens."""
    made = root.json("resource", "create", "--id", BASTION + "side", "--api-version", NETWORK, "--is-full-object", "--properties",
                     json.dumps({"location": "local", "sku": {"name": "Standard"}, "properties": {
                         "enableTunneling": True, "ipConfigurations": [{"name": "bastion_ip_config", "properties": {
                             "subnet": {"id": VNET + "spoke/subnets/AzureBastionSubnet"}}}]}}))
    yield made
    root.run("resource", "delete", "--ids", BASTION + "side", "--api-version", NETWORK)


def test_bastion_created_changed_deleted(root, gateway, side):
    """PUT, PATCH, PUT of the whole, DELETE; each polled by az until it is done."""
    assert side["properties"]["provisioningState"] == "Succeeded" and side["properties"]["enableIpConnect"] is False
    whole = root.get(BASTION + "side")
    assert names(root.get(f"{GROUP_ID}/providers/Microsoft.Network/bastionHosts")) == ["door", "side"]
    root.rest("patch", BASTION + "side", {"tags": {"team": "blå"}}, check=0)
    assert root.get(BASTION + "side")["tags"] == {"team": "blå"}
    whole["properties"]["enableIpConnect"] = True
    root.rest("put", BASTION + "side", whole, check=0)
    assert root.json("resource", "show", "--ids", BASTION + "side", "--api-version", NETWORK)["properties"]["enableIpConnect"] is True
    assert gateway.admin.json("bastion", "show", "--name", "side")["name"] == "side"
    root.ok("resource", "delete", "--ids", BASTION + "side", "--api-version", NETWORK)
    root.run("resource", "show", "--ids", BASTION + "side", "--api-version", NETWORK, check=3)


# ---- errors, as az prints them ----

def test_without_a_token(root):
    r = root.run("rest", "--skip-authorization-header", "--method", "get", "--url", f"{root.gateway.url}{S}?api-version=2019-11-01", check=1)
    assert "Unauthorized" in r.err and "Traceback" not in r.err, r


def test_without_the_right(ada_cli):
    r = ada_cli.run("resource", "update", "--ids", BASTION + "door", "--api-version", NETWORK, "--set", "tags.mine=1", check=1)
    assert "(AuthorizationFailed)" in r.err and "Traceback" not in r.err, r
    r = ada_cli.rest("delete", BASTION + "door", check=1)
    assert "AuthorizationFailed" in r.err, r


def test_deleted_with_its_assignments(root, gateway, side, ada):
    """A denial is in the way, what allows is not."""
    at = ("--assignee", "ada@example.test", "--role", "Contributor", "--scope", BASTION + "side")
    gateway.admin.json("role", "assign", *at)
    denial = gateway.admin.json("role", "assign", *at, "--deny")
    r = root.rest("delete", BASTION + "side", check=1)
    assert "Conflict" in r.err and "Traceback" not in r.err, r
    gateway.admin.ok("role", "remove", "--ids", denial["id"])
    root.ok("resource", "delete", "--ids", BASTION + "side", "--api-version", NETWORK)
    assert gateway.admin.json("role", "list", "--scope", BASTION + "side") == []


def test_not_there(root):
    r = root.run("resource", "show", "--ids", BASTION + "none", "--api-version", NETWORK, check=3)
    assert "(ResourceNotFound)" in r.err and "Traceback" not in r.err, r


def test_no_such_group(root):
    r = root.run("group", "show", "-n", "none", check=3)
    assert "(ResourceGroupNotFound)" in r.err, r


def test_etag_conflict(root):
    door = root.get(BASTION + "door")
    r = root.run("rest", "--method", "put", "--url", f"{BASTION}door?api-version={NETWORK}", "--body", json.dumps(door),
                 "--headers", 'If-Match=W/"00000000-0000-0000-0000-000000000000"', check=1)
    assert "PreconditionFailed" in r.err or "Precondition Failed" in r.err, r


def test_api_version_is_asked_for(root):
    r = root.run("rest", "--method", "get", "--url", S + "?x=1", check=1)
    assert "MissingApiVersionParameter" in r.err, r
