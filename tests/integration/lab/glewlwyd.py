"""Debian's glewlwyd, an OpenID Connect provider, with a database of its own inside the gateway's network namespace;
configured through its REST API, and a browser that asks what its login page asks."""
import gzip
import json
import shutil
import sqlite3
import subprocess
import time
import urllib.parse

import requests

from . import idp
from .net import free_port

SCHEMA = "/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"
CLIENT, SECRET, PASSWORD = "caponier", "a-secret-of-the-tests", "a long password 1"
ALGORITHMS = "RS256", "ES256", "EdDSA"
CONFIG = """port={port}
bind_address="127.0.0.1"
external_url="{url}"
login_url="login.html"
api_prefix="api"
static_files_path="/usr/share/glewlwyd/webapp/"
log_mode="console"
log_level="INFO"
cookie_secure=1
cookie_domain="127.0.0.1"
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
user_middleware_module_path="{folder}/none"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
use_secure_connection=true
secure_connection_key_file="{key}"
secure_connection_pem_file="{cert}"
secure_connection_ca_file="{ca}"
database = {{ type = "sqlite3"; path = "{folder}/glewlwyd.db"; }};
"""


class Glewlwyd:
    """Made, it does not run yet."""

    def __init__(self, namespace, folder, public_url):
        self.program = shutil.which("glewlwyd")
        assert self.program, "glewlwyd is missing"
        self.namespace, self.folder, self.public_url = namespace, folder, public_url
        self.ca, cert, key = idp.authority(folder)
        (folder / "none").mkdir()
        self.secret_file = folder / "client-secret"
        self.secret_file.write_text(SECRET)
        self.secret_file.chmod(0o600)
        self.port, self.process = free_port(), None
        self.url = f"https://127.0.0.1:{self.port}"
        self.issuer = self.url + "/api/oidc"
        self.admin = None
        self.keys = [{**idp.make_key(alg, alg).export_private(as_dict=True), "alg": alg} for alg in ALGORITHMS]
        (folder / "glewlwyd.conf").write_text(CONFIG.format(port=self.port, url=self.url, folder=folder, key=key, cert=cert,
                                                            ca=self.ca))
        with sqlite3.connect(folder / "glewlwyd.db") as db:
            db.executescript(gzip.open(SCHEMA, "rt").read())

    def settings(self):
        return {"oidc_issuer": self.issuer, "oidc_client_id": CLIENT, "oidc_client_secret_file": str(self.secret_file),
                "oidc_ca": str(self.ca), "oidc_service_scope": "work"}

    # ---- the process ----

    def start(self):
        self.log = open(self.folder / "glewlwyd.log", "ab")
        self.process = subprocess.Popen(
            self.namespace.argv(self.program, "-c", self.folder / "glewlwyd.conf"),
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while not self._listens():
            assert self.process.poll() is None and time.monotonic() < until, (self.folder / "glewlwyd.log").read_text()[-3000:]
            time.sleep(0.05)
        self.admin = self.signed_in("admin", "password")  # the schema's
        return self

    def _listens(self):
        try:
            self.namespace.connect("127.0.0.1", self.port, timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.log.close()
            self.process = None

    close = stop

    # ---- its REST API ----

    def session(self):
        s = requests.Session()
        s.trust_env = False
        s.verify = str(self.ca)
        return s

    def ask(self, session, method, path, body=None, status=(200, 302)):
        url = path if path.startswith("https://") else self.url + "/api/" + path
        r = self.namespace.call(lambda: session.request(method, url, json=body, timeout=20, allow_redirects=False))
        assert r.status_code in status, (method, url, r.status_code, r.text)
        return r

    def signed_in(self, name, password):
        s = self.session()
        self.ask(s, "POST", "auth/", {"username": name, "password": password})
        return s

    def make(self, what, **body):
        self.ask(self.admin, "POST", what, {"enabled": True, **body})

    def sign_with(self, alg):
        """The protocol's plugin, made or changed: tokens are signed with the key of ALG; all keys are published."""
        plugin = {"module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": True, "parameters": {
            "iss": self.issuer, "jwks-private": json.dumps({"keys": self.keys}), "default-kid": alg, "jwks-show": True,
            "jwt-type": "rsa", "jwt-key-size": "256", "subject-type": "public", "allowed-scope": ["openid"],
            "access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600, "allow-non-oidc": True,
            "refresh-token-rolling": False, "auth-type-code-enabled": True, "auth-type-client-enabled": True,
            "auth-type-refresh-enabled": True, "pkce-allowed": True, "pkce-method-plain-allowed": False,
            "oauth-as-iss-id": True, "name-claim": "mandatory",
            "claims": [{"name": "groups", "user-property": "teams", "type": "string", "mandatory": True, "scope": []}]}}
        if any(p["name"] == "oidc" for p in self.ask(self.admin, "GET", "mod/plugin/").json()):
            self.ask(self.admin, "PUT", "mod/plugin/oidc", plugin)
            self.ask(self.admin, "PUT", "mod/plugin/oidc/reset")
        else:
            self.make("mod/plugin/", **plugin)

    def furnish(self):
        """Two people, one of them in teams; the gateway as a client, and a service."""
        database = self.ask(self.admin, "GET", "mod/user/database").json()
        database["parameters"]["data-format"]["teams"] = {"multiple": True, "read": True, "write": True}
        self.ask(self.admin, "PUT", "mod/user/database", database)
        self.ask(self.admin, "PUT", "mod/user/database/reset")
        for name, more in (("grace", {"teams": ["oncall", "x"]}), ("zoë", {})):
            self.make("user/", username=name, name=name.title(), password=PASSWORD, scope=["openid", "g_profile"], **more)
        self.make("client/", client_id=CLIENT, name="Caponier", confidential=True, password=SECRET, scope=[],
                  redirect_uri=[self.public_url + "/signin/callback"], authorization_type=["code"],
                  token_endpoint_auth_method=["client_secret_basic"])
        self.make("scope/", name="work", display_name="Work")
        self.make("client/", client_id="robot", name="Robot", confidential=True, password="robots-secret", scope=["work"],
                  redirect_uri=[], authorization_type=["client_credentials"],
                  token_endpoint_auth_method=["client_secret_basic"])

    def set_secret(self, secret):
        client = self.ask(self.admin, "GET", "client/" + CLIENT).json()
        self.ask(self.admin, "PUT", "client/" + CLIENT, {**client, "password": secret})

    # ---- the person's browser ----

    def approve(self, url, person, password=PASSWORD):
        """Sign in as PERSON on its login page and say yes; the URL of the gateway that it sends the browser back to."""
        s = self.session()
        page = self.ask(s, "GET", url).headers["Location"]
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page).query))
        assert page.startswith(self.url + "/login.html?"), page
        self.ask(s, "POST", "auth/", {"username": person, "password": password})
        self.ask(s, "PUT", "auth/grant/" + CLIENT, {"scope": "openid"})
        back = self.ask(s, "GET", asked["callback_url"]).headers["Location"]
        if back.startswith(self.url):
            back = self.ask(s, "GET", asked["callback_url"] + "&g_continue").headers["Location"]
        return back
