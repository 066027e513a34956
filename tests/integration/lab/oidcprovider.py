"""panva/oidc-provider, a real OpenID Connect provider from npm, inside the gateway's network namespace; and a browser
that fills in its pages there."""
import html
import http.client
import json
import pathlib
import re
import select
import shutil
import ssl
import subprocess
import urllib.parse

from . import idp
from .gateway import BUILD
from .net import free_port

PEERS = pathlib.Path(__file__).parents[1] / "peers"
CLIENT, SECRET = "caponier", "a-secret-of-the-tests"


def npm_folder(name, program):
    """The packages of peers/NAME, pinned, in a folder beside the build, installed once; and the program that needs them."""
    folder = BUILD / f"npm-{name}"
    if not (folder / "node_modules" / ".package-lock.json").exists():
        assert shutil.which("npm"), f"npm is missing: the packages of {name} cannot be installed"
        folder.mkdir(exist_ok=True)
        for source in ("package.json", "package-lock.json"):
            shutil.copy(PEERS / name / source, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=300,
                       stdout=subprocess.DEVNULL)
    shutil.copy(PEERS / name / program, folder)
    return folder


class OidcProvider:
    def __init__(self, namespace, folder, public_url):
        self.namespace, self.folder, self.node = namespace, folder, npm_folder("provider", "provider.mjs")
        self.ca, self.cert, self.key = idp.authority(folder)
        self.secret_file = folder / "client-secret"
        self.secret_file.write_text(SECRET)
        self.secret_file.chmod(0o600)
        self.port = free_port()
        self.issuer = f"https://localhost:{self.port}"
        self.public_url, self.people, self.process = public_url, {}, None

    def settings(self):
        return {"oidc_issuer": self.issuer, "oidc_client_id": CLIENT, "oidc_client_secret_file": str(self.secret_file),
                "oidc_ca": str(self.ca)}

    def say(self):
        (self.folder / "settings.json").write_text(json.dumps({
            "issuer": self.issuer, "port": self.port, "cert": str(self.cert), "key": str(self.key), "people": self.people,
            "keys": [k.export_private(as_dict=True) for k in self.keys],
            "clients": [{"client_id": CLIENT, "client_secret": SECRET, "id_token_signed_response_alg": self.alg,
                         "redirect_uris": [self.public_url + "/signin/callback"]},
                        {"client_id": "robot", "client_secret": "robots-secret", "grant_types": ["client_credentials"],
                         "redirect_uris": [], "response_types": []}]}))

    def start(self, alg, *keys):
        self.alg, self.keys = alg, keys
        self.say()
        self.log = open(self.folder / "provider.log", "ab")
        self.process = subprocess.Popen(
            self.namespace.argv(shutil.which("node"), self.node / "provider.mjs", self.folder / "settings.json"),
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL)
        readable, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if readable else b""
        assert line == b"ready\n", (self.folder / "provider.log").read_text()[-3000:]
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.log.close()
            self.process = None

    close = stop

    def approve(self, url, person):
        """Sign in as PERSON on its pages and say yes; the URL of the gateway that it sends the browser back to."""
        jar = {}
        form = None
        for _ in range(12):
            if not url.startswith(self.issuer):
                return url
            status, location, page = self.request(url, jar, form)
            form = None
            if location:
                url = urllib.parse.urljoin(url, location)
                continue
            assert status == 200, page
            url = urllib.parse.urljoin(url, html.unescape(re.search(r'<form[^>]* action="([^"]+)"', page).group(1)))
            form = dict(re.findall(r'name="(prompt)" value="(\w+)"', page))
            if 'name="login"' in page:
                form.update(login=person, password="any")
        raise AssertionError("the provider's pages lead nowhere")

    def request(self, url, jar, form):
        at = urllib.parse.urlsplit(url)
        trust = ssl.create_default_context(cafile=str(self.ca))
        c = http.client.HTTPSConnection("localhost", self.port, timeout=20)
        c.sock = trust.wrap_socket(self.namespace.connect("127.0.0.1", self.port), server_hostname="localhost")
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())} if jar else {}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        c.request("GET" if form is None else "POST", at.path + ("?" + at.query if at.query else ""),
                  None if form is None else urllib.parse.urlencode(form), headers)
        r = c.getresponse()
        for line in r.headers.get_all("Set-Cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            jar.update({name: value}) if value else jar.pop(name, None)
        page = r.read().decode()
        c.close()
        return r.status, r.headers.get("Location"), page
