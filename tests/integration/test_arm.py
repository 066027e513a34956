"""The ARM subset on a running gateway, asked with the library that the Azure CLI asks with (requests)."""
import json
import os
import signal
import time
from urllib.parse import quote, urlsplit

import pytest
import requests

from conftest import BASTION, GROUP_ID, NIC, SUBSCRIPTION, VM, VNET
from lab.gateway import ADMIN, ADMIN_PASSWORD, eventually, every_record

SUB_ID = f"/subscriptions/{SUBSCRIPTION}"
CLI = {"Accept": "application/json", "CommandName": "network bastion show",
       "User-Agent": "AZURECLI/2.45.0 (DEB) (AAZ) azsdk-python-core/1.26.1 Python/3.11.2 (Linux)"}
# what az 2.45 and the bastion extensions 0.1.0 to 1.4.0 ask with
VERSIONS = ["2015-01-01", "2018-05-01-preview", "2019-11-01", "2021-04-01", "2021-08-01", "2022-01-01", "2022-09-01", "2024-01-01"]


class Arm:
    def __init__(self, gateway, name, password):
        self.gateway, self.ca = gateway, str(gateway.ca)
        r = requests.post(f"{gateway.url}/adfs/oauth2/token", verify=self.ca, timeout=20, data={
            "grant_type": "password", "username": name, "password": password,
            "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "scope": f"{gateway.url}/.default openid profile"})
        assert r.status_code == 200, r.text
        self.token = r.json()["access_token"]

    def ask(self, method, path, version="2022-01-01", headers=None, token=None, **kw):
        url = path if path.startswith("https:") else self.gateway.url + quote(path)
        params = {**kw.pop("params", {}), **({"api-version": version} if version and "api-version=" not in url else {})}
        return requests.request(method, url, params=params, verify=self.ca, timeout=20, **kw,
                                headers={"Authorization": f"Bearer {token or self.token}", **CLI, **(headers or {})})

    def get(self, path, status=200, **kw):
        r = self.ask("GET", path, **kw)
        assert r.status_code == status, f"{path}: {r.status_code} {r.text}"
        return r.json()

    def pages(self, path, **kw):
        answer = self.get(path, **kw)
        yield answer["value"]
        while "nextLink" in answer:
            answer = self.get(answer["nextLink"])
            yield answer["value"]

    def wait(self, r):
        """As the CLI does: poll Azure-AsyncOperation until it is done, then Location when there is one."""
        while True:
            state = self.get(r.headers["Azure-AsyncOperation"])
            if state["status"] != "InProgress":
                break
            time.sleep(min(float(r.headers["Retry-After"]), 1))
        assert state["status"] == "Succeeded", state
        if "Location" in r.headers:
            assert self.ask("GET", r.headers["Location"]).status_code in (200, 204)


@pytest.fixture(scope="module")
def root(gateway, admin):
    return Arm(gateway, ADMIN, ADMIN_PASSWORD)


@pytest.fixture(scope="module")
def reader(gateway, ada):
    return Arm(gateway, "ada@example.test", ada.password)


@pytest.fixture(scope="module")
def nobody(gateway):
    u = gateway.user("nobody-arm@example.test")
    return Arm(gateway, "nobody-arm@example.test", u.password)


def error(r, status, code):
    assert r.status_code == status, r.text
    assert r.json()["error"]["code"] == code and r.json()["error"]["message"], r.text
    assert r.headers["x-ms-request-id"]
    return r.json()["error"]["message"]


def put_body(**properties):
    return {"location": "local", "sku": {"name": "Standard"}, "properties": {
        "disableCopyPaste": False, "enableIpConnect": False, "enableTunneling": True, **properties,
        "ipConfigurations": [{"name": "bastion_ip_config", "properties": {
            "publicIPAddress": {"id": GROUP_ID + "/providers/Microsoft.Network/publicIPAddresses/pip"},
            "subnet": {"id": VNET + "hub/subnets/AzureBastionSubnet"}}}]}}


# ---- refusals ----

def test_a_network_that_would_not_be_taken_is_refused(root):
    """virtualNetwork is what Developer has instead of an ipConfiguration; as an echo of that one it is no change."""
    said = error(root.ask("PUT", BASTION + "astray", json=put_body(virtualNetwork={"id": VNET + "spoke"})), 400, "InvalidParameter")
    assert "virtualNetwork" in said
    error(root.ask("GET", BASTION + "astray"), 404, "ResourceNotFound")
    for same in (VNET + "hub", (VNET + "hub").upper(), None):
        r = root.ask("PUT", BASTION + "astray", json=put_body(virtualNetwork=same and {"id": same}))
        assert r.status_code in (200, 201), r.text
        root.wait(r)
    root.wait(root.ask("DELETE", BASTION + "astray"))


def test_errors_in_azures_words(reader, nobody):
    r = reader.ask("GET", BASTION + "door", token="not.a.token")
    error(r, 401, "InvalidAuthenticationToken")
    assert r.headers["WWW-Authenticate"].startswith("Bearer")
    error(reader.ask("GET", BASTION + "door", version=None), 400, "MissingApiVersionParameter")
    error(reader.ask("GET", BASTION + "door", version="soon"), 400, "InvalidApiVersionParameter")
    error(reader.ask("GET", BASTION + "ghost"), 404, "ResourceNotFound")
    for name in ("door", "ghost"):  # there or not: the same answer
        said = error(nobody.ask("GET", BASTION + name), 403, "AuthorizationFailed")
        assert "nobody-arm@example.test" in said and "Microsoft.Network/bastionHosts/read" in said and BASTION + name in said
    error(reader.ask("PUT", BASTION + "door", json=put_body()), 403, "AuthorizationFailed")
    error(reader.ask("DELETE", BASTION + "door"), 403, "AuthorizationFailed")
    r = reader.ask("PUT", VM + "web1", json={})
    assert r.status_code == 405 and "GET" in r.headers["Allow"]


def test_what_is_no_text_is_no_end_of_control(reader):
    for resource in (b"/subscriptions/%FF", b"%C3", GROUP_ID.encode() + b"%C3%28/x"):
        r = requests.post(f"{reader.gateway.url}/api/tokens", verify=reader.ca, timeout=20,
                          headers={"Content-Type": "application/x-www-form-urlencoded"},
                          data=b"protocol=tcptunnel&workloadHostPort=22&aztoken=" + reader.token.encode() + b"&resourceId=" + resource)
        assert r.status_code in (200, 400, 403, 404) and r.json(), r.text
    assert reader.get(BASTION + "door")["name"] == "door"


@pytest.mark.parametrize("change", [
    {"enableSessionRecording": True}, {"enableShareableLink": True}, {"enableKerberos": True}, {"scaleUnits": 51},
    {"scaleUnits": "2"}, {"enableTunneling": "yes"}, {"surprise": 1}])
def test_wrong_bodies(root, change):
    r = root.ask("PUT", BASTION + "refused", json=put_body(**change))
    assert r.status_code == 400 and next(iter(change)) in r.json()["error"]["message"], r.text
    assert root.ask("GET", BASTION + "refused").status_code == 404


# ---- what az reads ----

@pytest.mark.parametrize("version", VERSIONS)
def test_show_as_the_extension_reads_it(reader, version):
    r = reader.ask("GET", BASTION + "door", version=version, headers={"x-ms-client-request-id": "cli-7"})
    b = r.json()
    assert r.status_code == 200 and r.headers["x-ms-client-request-id"] == "cli-7"
    assert r.headers["ETag"] == b["etag"] and r.headers["x-ms-correlation-request-id"]
    assert b["id"] == BASTION + "door" and b["name"] == "door" and b["type"] == "Microsoft.Network/bastionHosts"
    assert b["sku"] == {"name": "Standard"} and b["location"] == "local"
    p = b["properties"]
    assert p["enableTunneling"] is True and p["enableIpConnect"] is True and p["provisioningState"] == "Succeeded"
    assert p["dnsName"] == urlsplit(reader.gateway.url).netloc and p["scaleUnits"] == 50
    assert p["ipConfigurations"][0]["properties"]["subnet"]["id"] == VNET + "hub/subnets/AzureBastionSubnet"


def test_sign_in_reads_tenants_and_subscriptions(reader, nobody):
    tenant = reader.get("/tenants", version="2016-06-01")["value"][0]["tenantId"]
    [s] = reader.get("/subscriptions", version="2019-11-01")["value"]
    assert s["subscriptionId"] == SUBSCRIPTION and s["tenantId"] == tenant and s["state"] == "Enabled"
    assert s["displayName"] == "Lab" and s["subscriptionPolicies"]["spendingLimit"] == "Off"
    assert reader.get(SUB_ID, version="2019-11-01") == s
    assert nobody.get("/subscriptions", version="2019-11-01")["value"] == []
    g = reader.get(f"{SUB_ID}/resourcegroups/lab", version="2021-04-01")
    assert g["location"] == "local" and g["id"] == GROUP_ID
    assert reader.ask("HEAD", GROUP_ID).status_code == 204 and reader.ask("HEAD", GROUP_ID + "x").status_code == 403
    # az resource show -g -n --resource-type writes an empty parent
    vm = requests.get(f"{reader.gateway.url}{VM}web1".replace("Compute/", "Compute//"), verify=reader.ca, timeout=20,
                      params={"api-version": "2022-11-01"}, headers={"Authorization": f"Bearer {reader.token}"})
    assert vm.status_code == 200 and vm.json()["id"] == VM + "web1", vm.text
    assert [x["name"] for x in reader.get(f"{SUB_ID}/resourcegroups", version="2021-04-01")["value"]] == ["lab"]


def test_lists_filters_and_providers(reader, nobody):
    bastions = f"{SUB_ID}/providers/Microsoft.Network/bastionHosts"
    assert "door" in [b["name"] for b in reader.get(bastions)["value"]]
    assert nobody.get(bastions)["value"] == []
    found = reader.get(f"{SUB_ID}/resources", version="2021-04-01", params={
        "$filter": "resourceType eq 'Microsoft.Compute/virtualMachines'", "$expand": "createdTime,changedTime,provisioningState"})
    assert {"web1", "db1", "lonely"} <= {x["name"] for x in found["value"]} and {x["type"] for x in found["value"]} == {
        "Microsoft.Compute/virtualMachines"}
    error(reader.ask("GET", f"{SUB_ID}/resources", params={"$filter": "name ne 'x'"}), 400, "InvalidFilterInQueryString")
    types = reader.get(f"{SUB_ID}/providers/Microsoft.Network", version="2022-09-01")["resourceTypes"]
    assert "2024-01-01" in next(t for t in types if t["resourceType"] == "bastionHosts")["apiVersions"]


def test_machines_interfaces_networks_scale_sets(reader):
    vm = reader.get(VM + "web1", version="2022-11-01")
    nic = vm["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    n = reader.get(nic)
    assert n["properties"]["virtualMachine"]["id"] == VM + "web1"
    ip = n["properties"]["ipConfigurations"][0]["properties"]
    assert ip["privateIPAddress"] == "10.77.1.4" and ip["subnet"]["id"] == VNET + "hub/subnets/default"
    assert reader.get(ip["subnet"]["id"])["properties"]["addressPrefix"] == "10.77.1.0/24"
    assert [p["name"] for p in reader.get(VNET + "spoke")["properties"]["virtualNetworkPeerings"]] == ["hub"]
    pool = GROUP_ID + "/providers/Microsoft.Compute/virtualMachineScaleSets/pool"
    assert reader.get(pool)["name"] == "pool"
    [instance] = reader.get(pool + "/virtualMachines")["value"]
    assert instance["instanceId"] == "0"
    [nic] = reader.get(instance["id"] + "/networkInterfaces")["value"]
    assert nic["id"].startswith(NIC)


# ---- what az writes ----

def test_an_operation_outlives_control(own_gateway):
    """The change is made, the client still asks how it went: the answer is in the store, with the change."""
    root = Arm(own_gateway, ADMIN, ADMIN_PASSWORD)
    r = root.ask("PUT", BASTION + "arm-made", json=put_body())
    assert r.status_code == 201, r.text
    before = own_gateway.pids("control")
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: own_gateway.pids("control") not in (before, []), what="control is started anew")
    eventually(lambda: root.ask("GET", BASTION + "arm-made").status_code == 200, what="it answers")
    root.wait(r)


def test_create_update_tag_delete(root, gateway):
    one = BASTION + "arm-made"
    r = root.ask("PUT", one, json=put_body())
    assert r.status_code == 201 and r.json()["properties"]["enableTunneling"] is True, r.text
    root.wait(r)
    b = root.get(one)
    assert b["etag"] == r.json()["etag"]
    b["properties"]["scaleUnits"] = 7  # az network bastion update: the whole object comes back
    b["tags"] = {"Käse": "ja", "x": None}
    r = root.ask("PUT", one, json=b)
    assert r.status_code == 200, r.text
    root.wait(r)
    changed = root.get(one)
    assert changed["properties"]["scaleUnits"] == 7 and changed["tags"] == {"Käse": "ja"}
    error(root.ask("PUT", one, json=b, headers={"If-Match": b["etag"]}), 412, "PreconditionFailed")
    r = root.ask("PATCH", one, json={"tags": {"tier": "0"}}, headers={"If-Match": changed["etag"]})
    assert r.status_code == 200 and r.json()["tags"] == {"tier": "0"} and r.json()["properties"]["scaleUnits"] == 7
    root.wait(r)
    error(root.ask("PUT", one, json=put_body(), headers={"If-None-Match": "*"}), 412, "PreconditionFailed")
    r = root.ask("DELETE", one)
    assert r.status_code == 202
    root.wait(r)
    error(root.ask("GET", one), 404, "ResourceNotFound")
    assert root.ask("DELETE", one).status_code == 204
    events = [(e["operationName"], e["status"]) for e in every_record(gateway.admin)
              if e.get("target") == one]
    assert events.count(("bastion.write", 201)) == 1 and ("bastion.tag", 200) in events and ("bastion.delete", 202) in events


@pytest.mark.release_only  # a matter of numbers; test_control_arm_bastion has pages under sanitizers
def test_ten_thousand_bastions_by_pages(network, tmp_path):
    from conftest import started
    g = started(network, tmp_path / "many")
    try:
        arm = Arm(g, ADMIN, ADMIN_PASSWORD)
        body = {"virtualNetwork": VNET + "hub", "sku": "Standard", "enableTunneling": True}
        documents = [{"kind": "bastionHost", "id": f"{BASTION}b{i:05}", "body": body} for i in range(10000)]
        r = arm.ask("POST", "/v1/apply", version=None, data=json.dumps({"documents": documents}), headers={"Content-Type": "application/json"})
        assert r.status_code == 200, r.text
        pages = list(arm.pages(GROUP_ID + "/providers/Microsoft.Network/bastionHosts"))
        names = [b["name"] for p in pages for b in p]
        assert len(names) == 10001 == len(set(names)) and max(map(len, pages)) == 1000
        tens = arm.pages(f"{SUB_ID}/resources", params={"$top": "10", "$filter": "resourceType eq 'Microsoft.Network/bastionHosts'"})
        assert [b["name"] for b in next(tens)] == names[:10] and [b["name"] for b in next(tens)] == names[10:20]
    finally:
        g.close()
