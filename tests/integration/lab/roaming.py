"""A person whose way to the gateway is one cable, which can be pulled, moved, or cut by a box that forgets."""
import json
import subprocess

from . import net, proxies
from .gateway import BUILD


class Roaming:
    """A person in a namespace of their own, a cable away from a gateway."""

    def __init__(self, far, tmp_path):
        self.far, self.here = far, net.Namespace(inside=far.outside)
        self.here.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", far.outside.pid)
        far.outside.run("ip", "addr", "add", "10.66.0.1/24", "dev", "cable")
        far.outside.run("ip", "link", "set", "cable", "up")
        self.here.run("ip", "link", "set", "cable", "up")
        self.move("10.66.0.2")
        self.front = proxies.Forward(lambda: far.outside.connect("127.0.0.1", far.port), far.outside.listen("10.66.0.1", far.port))
        self.hosts = tmp_path / "hosts"
        self.hosts.write_text("10.66.0.1 localhost\n")
        self.errors = open(tmp_path / "tunnel.err", "w+")

    def move(self, address, old=None):
        if old:
            self.here.run("ip", "addr", "del", f"{old}/24", "dev", "cable")
        self.here.run("ip", "addr", "add", f"{address}/24", "dev", "cable")

    def link(self, state):
        self.here.run("ip", "link", "set", "cable", state)

    def forget(self):
        """A box on the way, as after a time without a packet: what belongs to connections of until now is dropped, without a word."""
        out = self.here.run("ss", "-Htn", "dst", "10.66.0.1", stdout=subprocess.PIPE, text=True).stdout
        ports = ", ".join(line.split()[3].rsplit(":", 1)[1] for line in out.splitlines())
        rules = f"""table inet box {{
            chain there {{ type filter hook input priority 0; tcp sport {{ {ports} }} drop; }}
            chain back {{ type filter hook output priority 0; tcp dport {{ {ports} }} drop; }}
        }}
        """
        self.far.outside.run("nft", "-f", "-", input=rules, text=True)

    def unheard(self):
        """Bytes that the client has sent and the other end has not acknowledged."""
        out = self.here.run("ss", "-Htn", "dst", "10.66.0.1", stdout=subprocess.PIPE, text=True).stdout
        return sum(int(line.split()[2]) for line in out.splitlines())

    def tunnel(self, *args):
        argv = self.here.argv(BUILD / "caponier", "tunnel", *args, "--port", "0", "-o", "json")
        self.process = subprocess.Popen(proxies.with_files(argv, {"/etc/hosts": self.hosts}), env=self.far.admin.env, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.port = json.loads(self.process.stdout.readline())["port"]

    def meet(self, target):
        """A connection through the tunnel and the target's end of it, which have greeted each other."""
        c = self.here.connect("127.0.0.1", self.port)
        c.settimeout(60)
        c.sendall(b"SSH-2.0-me\r\n")
        s, _ = target.accept()
        s.settimeout(60)
        assert s.recv(100) == b"SSH-2.0-me\r\n"
        s.sendall(b"SSH-2.0-t\r\n")
        assert c.recv(100) == b"SSH-2.0-t\r\n"
        return c, s

    def close(self):
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        self.errors.close()
        self.front.close()
        self.far.outside.run("ip", "link", "del", "cable")  # a namespace goes some time after its last process
        self.far.outside.run("nft", "flush", "ruleset")
        self.here.close()
