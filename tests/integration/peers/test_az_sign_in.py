"""Debian's azure-cli finds the gateway and signs in, every way it can."""
import json
import re

import pytest

from conftest import SUBSCRIPTION
from lab.az import Azure, Outside
from lab.browser import Browser
from lab.gateway import ADMIN, Gateway, eventually
from peers.conftest import OTHER


def test_the_counter_counts(network):
    """What wants to leave shows: the zeros elsewhere mean something."""
    ns = Outside(inside=network.gateway)
    try:
        assert ns.tried() == 0
        with pytest.raises(OSError):
            ns.connect("192.0.2.9", 443, timeout=5)
        assert ns.tried() >= 1
    finally:
        ns.close()


def test_cloud_by_explicit_endpoints(gateway, folder):
    az, url = Azure(gateway, folder / "az-explicit"), gateway.url
    az.ok("cloud", "register", "-n", "lab", "--endpoint-resource-manager", url, "--endpoint-active-directory", url + "/adfs",
          "--endpoint-active-directory-resource-id", url, "--endpoint-active-directory-graph-resource-id", url)
    az.ok("cloud", "set", "-n", "lab")
    cloud = az.json("cloud", "show")
    assert cloud["name"] == "lab" and cloud["isActive"]
    assert cloud["endpoints"]["resourceManager"] == url and cloud["endpoints"]["activeDirectory"] == url + "/adfs"


@pytest.mark.parametrize("behind", ["", "/"])
def test_cloud_by_discovery(gateway, folder, behind):
    az, url = Azure(gateway, folder / f"az-discovered{len(behind)}"), gateway.url
    az.ok("cloud", "register", "-n", "lab", "--endpoint-resource-manager", url + behind)
    found = az.json("cloud", "show", "-n", "lab")["endpoints"]
    assert found["activeDirectory"] == url + "/adfs"
    assert found["activeDirectoryResourceId"].rstrip("/") == url and found["activeDirectoryGraphResourceId"].rstrip("/") == url


def test_every_address_with_a_slash_behind(gateway, folder, ada):
    az, url = Azure(gateway, folder / "az-slashes"), gateway.url + "/"
    az.ok("cloud", "register", "-n", "lab", "--endpoint-resource-manager", url, "--endpoint-active-directory", url + "adfs/",
          "--endpoint-active-directory-resource-id", url, "--endpoint-active-directory-graph-resource-id", url)
    az.ok("cloud", "set", "-n", "lab")
    az.login("ada@example.test", ada.password)
    assert az.get(f"/subscriptions/{SUBSCRIPTION}")["displayName"] == "Lab"
    assert [g["name"] for g in az.json("group", "list")] == ["lab"]


# az asks the authority which tenant a name is: at the address that was registered, slash and all
@pytest.mark.parametrize("authority", ["", "/", "/adfs", "/adfs/"])
@pytest.mark.parametrize("tenant", ["adfs", "organizations", "the gateway's name"])
def test_tenant_by_name(gateway, folder, builder, authority, tenant):
    if authority in ("", "/") and tenant == "adfs":
        return  # the name of an authority, not of a tenant
    az, url = Azure(gateway, folder / f"az-tenant{authority.replace('/', '-')}-{tenant[:4]}"), gateway.url
    az.ok("cloud", "register", "-n", "lab", "--endpoint-resource-manager", url, "--endpoint-active-directory", url + authority,
          "--endpoint-active-directory-resource-id", url, "--endpoint-active-directory-graph-resource-id", url)
    az.ok("cloud", "set", "-n", "lab")
    name = url.removeprefix("https://") if tenant.startswith("the") else tenant
    az.ok("login", "--service-principal", "-u", builder["appId"], "-p", builder["secret"], "--tenant", name)
    assert az.get(f"/subscriptions/{SUBSCRIPTION}")["displayName"] == "Lab"


def test_password(root):
    shown = root.json("account", "show")
    assert shown["user"] == {"name": ADMIN, "type": "user"}
    assert shown["state"] == "Enabled" and shown["environmentName"] == "caponier"


def test_account_list_set_show(root):
    assert {(s["id"], s["name"]) for s in root.json("account", "list")} == {(SUBSCRIPTION, "Lab"), (OTHER, "Über uns")}
    root.ok("account", "set", "-s", "Über uns")
    assert root.json("account", "show")["id"] == OTHER
    root.ok("account", "set", "-s", SUBSCRIPTION)
    assert root.json("account", "show")["name"] == "Lab"
    root.run("account", "set", "-s", "nowhere", check=1)


def test_service_principal(cli, builder):
    az = cli("builder")
    signed = az.json("login", "--service-principal", "-u", builder["appId"], "-p", builder["secret"], "--tenant", "adfs")
    assert [s["id"] for s in signed] == [SUBSCRIPTION]
    assert az.json("account", "show")["user"] == {"name": builder["appId"], "type": "servicePrincipal"}


def test_tenant_by_guid(gateway, cli, builder):
    """The real tenant's id does for --tenant as well."""
    tenant = gateway.admin.json("account", "show")["tenantId"]
    az = cli("builder")
    az.json("login", "--service-principal", "-u", builder["appId"], "-p", builder["secret"], "--tenant", tenant)
    assert az.get(f"/subscriptions/{SUBSCRIPTION}")["displayName"] == "Lab"


@pytest.mark.parametrize("who", ["unknown", "builder"])
def test_wrong_secret_is_said(cli, builder, who):
    app = builder["appId"] if who == "builder" else "11111111-2222-3333-4444-555555555555"
    r = cli("stranger").run("login", "--service-principal", "-u", app, "-p", "wrong", "--tenant", "adfs", check=1)
    assert "ERROR: " in r.err and "az login" in r.err, r
    assert "Traceback" not in r.err


def test_wrong_password_is_said_then_too_many(network, tmp_path, outside):
    """A source that guesses is told to wait, and az says so."""
    g = Gateway(network, tmp_path / "gateway", outside=outside, penalty_wrong_secret="1m").start()
    try:
        g.enrol()
        az = Azure(g, tmp_path / "az").register()
        r = az.run("login", "-u", ADMIN, "-p", "wrong", check=1)
        assert "password is wrong" in r.err and "Traceback" not in r.err, r
        r = az.run("login", "-u", ADMIN, "-p", "wrong too", check=1)  # the same again az answers itself
        assert "too many attempts" in r.err and "Traceback" not in r.err, r
    finally:
        g.close()


def test_nobody_without_a_role_finds_a_subscription(gateway, cli):
    gateway.user("nobody@example.test")
    r = cli("nobody").run("login", "-u", "nobody@example.test", "-p", gateway.users["nobody@example.test"].password, check=1)
    assert "No subscriptions found for nobody@example.test" in r.err, r
    assert cli("nobody").run("login", "-u", "nobody@example.test", "-p", gateway.users["nobody@example.test"].password,
                             "--allow-no-subscriptions").code == 0


@pytest.fixture
def browser(gateway, outside):
    b = Browser(outside, gateway.state / "tls.pem")
    yield b
    b.close()


def prove(browser, ada):
    """Ada signs in on the page that is open; it said who asks and from where, and says it again."""
    for _ in range(2):
        assert "127.0.0.1" in browser.text and "Azure CLI" in browser.text, browser.text
        if "Let this program" in browser.text:
            break
        browser.fill(username="ada@example.test", password=ada.password).press("Sign in")
    assert "ada@example.test" in browser.text, browser.text


def typed_code(waiting, browser):
    """The page that az names, with the code that az shows typed into it."""
    line = waiting.stderr.readline()
    found = re.search(r"(https://\S+) and enter the code (\S+) to", line)
    assert found, line
    browser.open(found[1]).fill(user_code=found[2]).press("Next")


def test_device_code(cli, ada, browser):
    az = cli("device")
    waiting = az.start("login", "--use-device-code", "-o", "json")
    typed_code(waiting, browser)
    prove(browser, ada)
    assert waiting.poll() is None  # nothing is given before Approve
    browser.press("Approve")
    assert "You have signed in" in browser.text
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert json.loads(out)[0]["user"]["name"] == "ada@example.test"
    assert az.json("account", "show")["id"] == SUBSCRIPTION


def test_device_code_denied(cli, ada, browser):
    waiting = cli("denied").start("login", "--use-device-code")
    typed_code(waiting, browser)
    prove(browser, ada)
    browser.press("Deny")
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 1 and "ERROR: " in err and "Traceback" not in err, err


def test_browser_on_the_same_machine(gateway, folder, ada, browser):
    """Plain az login: az opens the page and waits on a loopback port for the answer."""
    opener = folder / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {folder}/opened.part && mv {folder}/opened.part {folder}/opened\n')
    opener.chmod(0o755)
    az = Azure(gateway, folder / "az-browser", BROWSER=str(opener)).register()
    waiting = az.start("login", "-o", "json")
    browser.open(eventually(lambda: (folder / "opened").exists() and (folder / "opened").read_text().strip(), 30, "az opens a page"))
    prove(browser, ada)
    browser.press("Approve")
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert json.loads(out)[0]["user"]["name"] == "ada@example.test"


def test_managed_identity(gateway, folder, builder):
    """A machine's own identity: a service principal's, from the endpoint that MSI_ENDPOINT names."""
    endpoint = gateway.url.replace("https://", f"https://{builder['appId']}:{builder['secret']}@") + "/adfs/oauth2/msi"
    az = Azure(gateway, folder / "az-machine", MSI_ENDPOINT=endpoint).register()
    signed, = az.json("login", "--identity")
    assert signed["id"] == SUBSCRIPTION and signed["user"]["type"] == "servicePrincipal"
    assert az.get(f"/subscriptions/{SUBSCRIPTION}")["displayName"] == "Lab"


def test_cloud_by_metadata_url(gateway, folder, ada):
    """Nothing registered: az reads its list of clouds from the gateway."""
    az = Azure(gateway, folder / "az-list", SSL_CERT_FILE=str(gateway.ca),
               ARM_CLOUD_METADATA_URL=gateway.url + "/metadata/endpoints?api-version=2019-05-01")
    az.login("ada@example.test", ada.password)
    assert az.json("cloud", "show")["endpoints"]["microsoftGraphResourceId"].rstrip("/") == gateway.url
    assert az.json("account", "show")["id"] == SUBSCRIPTION


def expire(az):
    """All access tokens az has run out; its cache as it was."""
    cache = az.dir / ".azure/msal_token_cache.json"
    was = cache.read_text()
    tokens = json.loads(was)
    for t in tokens["AccessToken"].values():
        t["expires_on"] = "1"
    cache.write_text(json.dumps(tokens))
    return was


def test_tokens_are_refreshed(cli, ada):
    """With less than five minutes to live az asks anew; the refresh token does it without anybody. So does a used one for a minute, which
    another az may have read from the same cache (later ones: test_clock_jumps.py)."""
    az = cli("refresh")
    az.login("ada@example.test", ada.password)
    was = expire(az)
    token = az.json("account", "get-access-token")["accessToken"]
    assert token not in was
    assert az.get(f"/subscriptions/{SUBSCRIPTION}")["displayName"] == "Lab"
    (az.dir / ".azure/msal_token_cache.json").write_text(was)
    expire(az)
    assert az.json("account", "get-access-token")["accessToken"] not in was + token


def test_logout(root, cli, builder):
    az = cli("leaves")
    az.json("login", "--service-principal", "-u", builder["appId"], "-p", builder["secret"], "--tenant", "adfs")
    az.ok("logout")
    assert "az login" in az.run("account", "show", check=1).err
