"""Azure's own libraries of today (npm: MSAL, the network client), which the az of today has in Python: each form of the
authority, long-running operations and pages. Debian's az is of 2023; its readers of a private cloud are asked here, too."""
import json
import shutil
import subprocess

import pytest
import requests

from conftest import SUBSCRIPTION
from lab.gateway import ADMIN, ADMIN_PASSWORD
from lab.oidcprovider import npm_folder


@pytest.fixture(scope="module")
def steps(gateway, builder):
    """Every step's result by its name."""
    folder = npm_folder("sdk", "client.mjs")
    r = subprocess.run(gateway.from_outside("env", f"NODE_EXTRA_CA_CERTS={gateway.ca}", shutil.which("node"), folder / "client.mjs", gateway.url,
                                            SUBSCRIPTION, ADMIN, ADMIN_PASSWORD, builder["appId"], builder["secret"]),
                       capture_output=True, text=True, timeout=180)
    assert r.returncode == 0, r.stderr
    return {x["step"]: x for x in map(json.loads, r.stdout.splitlines())}


def test_each_form_of_the_authority(steps, gateway):
    tenant = gateway.admin.json("account", "show")["tenantId"]
    for at in ("adfs", tenant, "common", "organizations"):
        assert steps[f"{at} password"].get("got") == ADMIN, steps
        assert steps[f"{at} refresh"].get("got") == "Bearer", steps
        assert "invalid_grant" in steps[f"{at} wrong"]["error"]["code"] and "password is wrong" in steps[f"{at} wrong"]["error"]["message"]
    for at in ("adfs", tenant):
        assert steps[f"{at} device"]["got"] == {"uri": gateway.url + "/device", "message": True}
        assert steps[f"{at} service"].get("got") == "Bearer", steps


def test_bastions_and_their_long_running_operations(steps, gateway):
    assert steps["list"]["got"] == ["door"]
    assert steps["get"]["got"] == [True, True, gateway.url.removeprefix("https://")]
    assert steps["create"].get("got") == "sdk" and steps["tag"].get("got") == {"größe": "m"}, steps
    assert "got" in steps["delete"], steps
    assert steps["gone"]["error"]["status"] == 404 and steps["gone"]["error"]["code"] == "ResourceNotFound"
    assert steps["read only"]["error"]["status"] == 405 and steps["read only"]["error"]["code"] == "HttpMethodNotAllowed"


def test_sessions(steps):
    assert steps["active"].get("got") == 0, steps
    assert steps["disconnect"].get("got") == ["NotFound", "NotFound"], steps


def test_the_readers_of_a_private_cloud_understand_it(gateway, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(gateway.ca))
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))  # read when they are imported
    from azure.cli.core import cloud
    from msrestazure import azure_cloud
    found = gateway.outside.call(lambda: azure_cloud.get_cloud_from_metadata_endpoint(gateway.url))
    assert found.endpoints.active_directory == gateway.url + "/adfs"
    assert found.endpoints.active_directory_resource_id == gateway.url
    listed = gateway.outside.call(lambda: requests.get(f"{gateway.url}/metadata/endpoints?api-version=2022-09-01", timeout=20).json())
    mapped = cloud._convert_arm_to_cli(listed)["Caponier"]
    assert mapped.endpoints.resource_manager == gateway.url and mapped.endpoints.active_directory == gateway.url + "/adfs"
