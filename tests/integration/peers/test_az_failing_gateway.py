"""A gateway that cannot write, and one whose control dies, as Debian's azure-cli shows them: a reason, exit 1, no traceback."""
import contextlib
import json
import os
import signal
import subprocess

import pytest

from conftest import BASTION, GROUP_ID, VM
from lab.az import Azure
from lab.gateway import ADMIN, ADMIN_PASSWORD, BUILD, Gateway, eventually
from peers.conftest import lab

# what the bastion extension does for each connection, with its own libraries
DRIVER = """
import sys, requests, websocket
base, ca, token, vm = sys.argv[1:]
r = requests.post(base + "/api/tokens", verify=ca, timeout=20, data={"resourceId": vm, "protocol": "tcptunnel",
                  "workloadHostPort": 22, "aztoken": token})
if r.status_code != 200:
    sys.exit(f"token {r.status_code}: {r.json()['message']}")
t = r.json()
ws = websocket.create_connection(base.replace("https", "wss") + "/webtunnelv2/" + t["websocketToken"] + "?X-Node-Id=" + t["nodeId"],
                                 sslopt={"ca_certs": ca}, timeout=20)
ws.send_binary(b"SSH-2.0-az\\r\\n")
sys.exit(f"said {ws.recv()!r}")
"""


@pytest.fixture(scope="module")
def small(network, folder, outside):
    """A gateway whose state is on a tmpfs of 4 MiB, and a root's az at it."""
    state = folder / "small" / "state"
    state.mkdir(parents=True, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(state)], check=True)
    g = None
    try:
        g = Gateway(network, folder / "small", outside=outside, penalty_wrong_secret="0s").start()
        g.enrol()
        g.apply(lab())
        g.az = Azure(g, folder / "az-small").register()
        g.az.login(ADMIN, ADMIN_PASSWORD)
        yield g
        g.close()
    finally:
        if g:
            g.stop()
        subprocess.run(["umount", "-l", str(state)], check=True)


@pytest.fixture
def full(small):
    filler = small.state / "filler"
    with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"x" * 4096)
    yield small
    filler.unlink()


def said(r, *words):
    assert r.code == 1 and "Traceback" not in r.err and r.out == "" and all(w in r.err for w in words), r


def test_resources(full):
    said(full.az.rest("patch", BASTION + "door", {"tags": {"x": "y"}}), "Service Unavailable", "ServiceUnavailable", "disk is full")
    said(full.az.run("resource", "tag", "--ids", BASTION + "door", "--tags", "a=b", "--api-version", "2022-01-01"),
         "(ServiceUnavailable)", "disk is full")
    assert full.az.get(BASTION + "door")["name"] == "door"  # what only reads goes on


def test_sign_in(full, folder):
    """MSAL throws the body of a 5xx away; az shows the status."""
    az = Azure(full, folder / "az-other").register()
    said(az.run("login", "-u", ADMIN, "-p", ADMIN_PASSWORD), "503", "Service Unavailable")


def test_data_plane(full):
    token = full.az.json("account", "get-access-token")["accessToken"]
    r = subprocess.run(full.from_outside("/usr/bin/python3", "-c", DRIVER, full.url, full.ca, token, VM + "scripted"),
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 1 and "disk is full" in r.stderr and "Traceback" not in r.stderr, r


def test_afterwards(small):
    small.az.ok("resource", "tag", "--ids", BASTION + "door", "--tags", "a=b", "--api-version", "2022-01-01")
    assert small.az.get(BASTION + "door")["tags"] == {"a": "b"}


def test_control_dies_while_az_asks(small):
    """az waits out the second that control needs, and has its answer."""
    os.kill(small.pids("control")[0], signal.SIGKILL)
    assert small.az.get(GROUP_ID, "2021-04-01")["name"] == "lab"
    eventually(lambda: small.admin_get("/readyz")[0] == 200, what="ready again")


@pytest.fixture
def broken(network, folder, outside):
    """A gateway whose disk fails, and a root's az at it."""
    fault = folder / "disk-fault"
    g = Gateway(network, folder / "broken", outside=outside, penalty_wrong_secret="0s",
                under=["env", f"LD_PRELOAD={BUILD / 'tests/integration/diskfault.so'}", f"CPN_DISK_FAULT={fault}"]).start()
    g.enrol()
    g.apply(lab())
    g.az = Azure(g, folder / "az-broken").register()
    g.az.login(ADMIN, ADMIN_PASSWORD)
    fault.touch()
    yield g
    fault.unlink(missing_ok=True)
    g.close()


def test_a_store_that_fails(broken):
    """500 in Azure's words; nothing has happened, what only reads goes on, and so does all when the disk is well again."""
    said(broken.az.run("resource", "tag", "--ids", BASTION + "door", "--tags", "a=b", "--api-version", "2022-01-01"),
         "(InternalServerError)", "the gateway failed")
    said(broken.az.rest("patch", BASTION + "door", {"tags": {"x": "y"}}), "Internal Server Error", "InternalServerError")
    assert not broken.az.get(BASTION + "door").get("tags")
    assert "call.failed" in broken.log_text()
    (broken.dir.parent / "disk-fault").unlink()
    broken.az.rest("patch", BASTION + "door", {"tags": {"x": "y"}}, check=0)
    assert broken.az.get(BASTION + "door")["tags"] == {"x": "y"}


@pytest.mark.parametrize("ask", [["--resource", "https://management.core.windows.net/"], ["--scope", "https://vault.azure.net/.default"],
                                 ["--resource-type", "arm"], ["--tenant", "adfs"]])
def test_access_tokens_by_every_name(small, ask):
    got = small.az.json("account", "get-access-token", *ask)
    assert got["accessToken"].count(".") == 2 and got["tokenType"] == "Bearer" and got["expiresOn"]
    url = f"{small.url}/subscriptions?api-version=2019-11-01"
    r = subprocess.run(small.from_outside("curl", "-s", "--cacert", small.ca, "-H", f"Authorization: Bearer {got['accessToken']}", url),
                       capture_output=True, text=True, timeout=30)
    assert json.loads(r.stdout)["value"], r
