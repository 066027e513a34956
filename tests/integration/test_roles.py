"""Who may connect: each role missing alone is refused, and the refusal names it and its scope."""
import pytest

from conftest import BASTION, GROUP_ID, NIC, VM, VNET, inventory

NEEDED = {"vm": VM + "db1", "nic": NIC + "db1-nic", "bastion": BASTION + "door", "network": VNET + "spoke"}


@pytest.fixture(scope="module")
def grace(gateway):
    return gateway.user("grace@example.test")


def grant(admin, scope):
    return admin.json("role", "assign", "--assignee", "grace@example.test", "--role", "Reader", "--scope", scope)["id"]


def can(user, *target, port=22):
    return user.run("can-i", "--name", "door", *target, "--resource-port", port, "-o", "json")


def test_nobody_without_roles(grace):
    r = can(grace, "--target-resource-id", VM + "db1")
    assert r.code == 3
    assert not r.json()["allowed"]


@pytest.mark.parametrize("missing", NEEDED)
def test_each_role_missing_alone(admin, grace, missing):
    ids = [grant(admin, scope) for name, scope in NEEDED.items() if name != missing]
    try:
        r = can(grace, "--target-resource-id", VM + "db1")
        assert r.code == 3
        told = r.json()["missing"]
        assert [(m["role"], m["scope"].lower()) for m in told] == [("Reader", NEEDED[missing].lower())]
        t = grace.run("tunnel", "--name", "door", "--resource-group", "lab", "--target-resource-id", VM + "db1", "--port", 0)
        assert t.code == 3
        assert "Reader" in t.err and NEEDED[missing].lower() in t.err.lower()
    finally:
        for i in ids:
            admin.ok("role", "remove", "--ids", i)


def test_all_four_allow_and_same_network_needs_no_vnet(admin, grace):
    ids = [grant(admin, s) for s in NEEDED.values()]
    try:
        assert can(grace, "--target-resource-id", VM + "db1").code == 0
    finally:
        for i in ids:
            admin.ok("role", "remove", "--ids", i)
    ids = [grant(admin, s) for s in (VM + "web1", NIC + "web1-nic", BASTION + "door")]
    try:
        assert can(grace, "--target-resource-id", VM + "web1").code == 0
    finally:
        for i in ids:
            admin.ok("role", "remove", "--ids", i)


def test_island_is_not_reached(ada):
    r = can(ada, "--target-resource-id", VM + "lonely")
    assert r.code == 3 and r.json()["reason"] == "not_peered"


@pytest.mark.parametrize("change,why", [
    ({"sku": "Basic"}, "bastion_sku"), ({"native_client": False}, "native_client_off")])
def test_sku_and_native_client(gateway, ada, change, why):
    inv = inventory()
    inv["bastions"][0].update(change)
    if change.get("sku") == "Basic":
        inv["bastions"][0]["scale_units"] = 2
    gateway.apply({"bastions": inv["bastions"], **{k: inv[k] for k in ("groups", "networks", "subscriptions")}})
    try:
        r = can(ada, "--target-resource-id", VM + "web1")
        assert r.code == 3 and r.json()["reason"] == why
    finally:
        gateway.apply(inventory())


def test_ip_targets(gateway, ada, grace, admin):
    assert can(ada, "--target-ip-address", "10.77.1.4").code == 0           # registered: is web1
    assert can(ada, "--target-ip-address", "10.77.1.99").code == 0          # in a declared prefix, Reader on it
    assert can(ada, "--target-ip-address", "10.99.0.1").json()["reason"] == "outside_prefixes"
    assert can(ada, "--target-ip-address", "10.77.1.99", port=8022).json()["reason"] == "port_not_allowed"
    ids = [grant(admin, s) for s in (VNET + "hub", BASTION + "door")]
    try:
        assert can(grace, "--target-ip-address", "10.77.1.99").code == 0
        r = can(grace, "--target-ip-address", "10.77.1.4")                  # a machine's address obeys its roles
        assert r.code == 3
        # told as typed: that the address is a machine's is not for everybody to know
        assert [(m["reason"], m["scope"]) for m in r.json()["missing"]] == [("role_missing", "10.77.1.4")]
    finally:
        for i in ids:
            admin.ok("role", "remove", "--ids", i)
    inv = inventory()
    inv["bastions"][0]["ip_connect"] = False
    gateway.apply(inv)
    try:
        assert can(ada, "--target-ip-address", "10.77.1.4").json()["reason"] == "ip_connect_off"
    finally:
        gateway.apply(inventory())


def test_the_bastions_port_list_replaces_both(gateway, ada):
    inv = inventory()
    inv["bastions"][0]["ports"] = [22, 2222]
    gateway.apply(inv)
    try:
        assert can(ada, "--target-resource-id", VM + "web1", port=2222).code == 0
        assert can(ada, "--target-ip-address", "10.77.1.4", port=2222).code == 0
        assert can(ada, "--target-resource-id", VM + "web1", port=3389).json()["reason"] == "port_not_allowed"
    finally:
        gateway.apply(inventory())


def test_can_i_for_another_user(admin, ada):
    r = admin.run("can-i", "--name", "door", "--target-resource-id", VM + "web1", "--user", "grace@example.test", "-o", "json")
    assert r.code == 3 and not r.json()["allowed"]
    assert ada.run("can-i", "--name", "door", "--target-resource-id", VM + "web1", "--user", "grace@example.test").code == 3
