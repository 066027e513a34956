"""Debian's Azure CLI as one person would run it: a home of its own, and nothing to reach but the gateway."""
import importlib.metadata
import json
import pathlib
import subprocess

from . import net
from .gateway import Result

OUTWARD = """table inet outward {
    counter tried { }
    chain going { type filter hook output priority 0; policy accept;
        oifname != "lo" meta l4proto != { ipv6-icmp, igmp } counter name "tried" reject
        meta l4proto { tcp, udp } th dport 53 counter name "tried" reject
    }
}
"""


class Outside(net.Namespace):
    """Where the gateway's users are: loopback only. Whatever wants to go elsewhere, a name look-up
    included, is refused at once and counted."""

    def __init__(self, inside=None):
        super().__init__(inside)
        for step in ("link add elsewhere type veth peer name nowhere", "link set nowhere up",
                     "addr add 192.0.2.1/24 dev elsewhere", "link set elsewhere up",
                     "route add default via 192.0.2.254", "-6 addr add 2001:db8::1/64 dev elsewhere nodad",
                     "-6 route add default via 2001:db8::fe dev elsewhere"):
            self.run("ip", *step.split())
        self.run("nft", "-f", "-", input=OUTWARD, text=True)

    def tried(self):
        """How many packets wanted to leave so far."""
        out = self.run("nft", "-j", "list", "counter", "inet", "outward", "tried", stdout=subprocess.PIPE)
        return next(x["counter"]["packets"] for x in json.loads(out.stdout)["nftables"] if "counter" in x)


class Azure:
    """One person's az: `run` gives exit code, output and errors."""

    def __init__(self, gateway, folder, **env):
        self.gateway = gateway
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.dir), "LANG": "C.UTF-8", "TERM": "dumb",
                    "REQUESTS_CA_BUNDLE": str(gateway.ca), "AZURE_EXTENSION_DIR": str(self.dir / "extensions"),
                    "AZURE_CORE_COLLECT_TELEMETRY": "no", "AZURE_CORE_SURVEY_MESSAGE": "no", **env}

        self._version_is_known()

    def _version_is_known(self):
        """In a new home az asks azure.microsoft.com once whether it is up to date; no other look outside."""
        core = importlib.metadata.version("azure-cli-core")
        config = self.dir / ".azure"
        config.mkdir(exist_ok=True)
        (config / "versionCheck.json").write_text(json.dumps({"versions": {"azure-cli": {"local": core}, "core": {"local": core}},
                                                              "update_time": "2000-01-01 00:00:00.0"}))

    def argv(self, *args):
        return self.gateway.from_outside("az", *args)

    def run(self, *args, check=None, input=None, timeout=120):
        done = subprocess.run(self.argv(*args), env=self.env, text=True, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **({"input": input} if input is not None else {"stdin": subprocess.DEVNULL}))
        r = Result(done)
        if check is not None:
            assert r.code == check, f"az {' '.join(map(str, args))}: {r!r}"
        return r

    def ok(self, *args, **kw):
        return self.run(*args, check=0, **kw)

    def json(self, *args, **kw):
        return self.ok(*args, "-o", "json", **kw).json()

    def start(self, *args):
        """A running az, for what waits for somebody."""
        return subprocess.Popen(self.argv(*args), env=self.env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1)

    def register(self):
        """The private cloud with every endpoint that az asks anything of, as docs/azure-cli.md has it."""
        url = self.gateway.url
        self.ok("cloud", "register", "-n", "caponier", "--cloud-config", json.dumps({"endpoints": {
            "resourceManager": url, "activeDirectory": url + "/adfs", "activeDirectoryResourceId": url,
            "activeDirectoryGraphResourceId": url, "microsoftGraphResourceId": url}}))
        self.ok("cloud", "set", "-n", "caponier")
        return self

    def login(self, name, password):
        """Sign in as a user by name and password; the subscriptions."""
        return self.json("login", "-u", name, "-p", password)

    def rest(self, method, path, body=None, version="2022-01-01", **kw):
        url = path if "api-version" in path else f"{path}{'&' if '?' in path else '?'}api-version={version}"
        return self.run("rest", "--method", method, "--url", url, *(["--body", json.dumps(body)] if body is not None else []), **kw)

    def get(self, path, version="2022-01-01"):
        return self.rest("get", path, version=version, check=0).json()
