"""az's sign-in library (python3-msal, which comes with azure-cli), whose cache has no lock, in many threads at once."""
import json
from concurrent.futures import ThreadPoolExecutor

import msal
import requests

from lab.gateway import ADMIN, ADMIN_PASSWORD, every_record

AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


def app_of(gateway, cache):
    web = requests.Session()
    web.trust_env, web.verify = False, str(gateway.ca)  # else a CA bundle of the environment wins
    return msal.PublicClientApplication(AZ, authority=gateway.url + "/adfs", http_client=web, token_cache=cache)


def expired(text):
    """A cache of its own, read from the file as another process does, when every access token has ended."""
    j = json.loads(text)
    j["AccessToken"] = {}
    cache = msal.SerializableTokenCache()
    cache.deserialize(json.dumps(j))
    return cache


def test_fifty_threads_with_one_expired_cache(own_gateway):
    """Five processes of ten threads, as many connections through the bastion extension are: none signs anybody out."""
    g, scopes = own_gateway, [own_gateway.url + "/.default"]
    first = msal.SerializableTokenCache()
    assert "access_token" in app_of(g, first).acquire_token_by_username_password(ADMIN, ADMIN_PASSWORD, scopes)
    apps = [app_of(g, expired(first.serialize())) for _ in range(5)]

    def silent(i):
        app = apps[i % 5]
        return app.acquire_token_silent(scopes, app.get_accounts()[0]) or {}

    with ThreadPoolExecutor(50) as pool:
        got = list(pool.map(silent, range(50)))
    assert [x.get("token_type") for x in got] == ["Bearer"] * 50
    logins = [r for r in every_record(g.admin) if r.get("operationName", "").startswith("login")]
    assert {r["reason"] for r in logins if r.get("grant") == "refresh_token"} == {"ok"}, logins
