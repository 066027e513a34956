"""What stands between a client and its gateway: proxies real and made up, one that reads along, plain forwarders."""
import contextlib
import os
import pathlib
import selectors
import socket
import ssl
import subprocess
import threading

from . import net
from .gateway import eventually


class Tinyproxy:
    """Debian's tinyproxy on loopback; basic: (user, password) that it asks for."""

    def __init__(self, folder, basic=None, ports=()):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = net.free_port()
        self.log = self.dir / "tinyproxy.log"
        lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 600", f'LogFile "{self.log}"', "LogLevel Connect"]
        lines += [f"ConnectPort {p}" for p in ports]
        lines += [f"BasicAuth {basic[0]} {basic[1]}"] if basic else []
        (self.dir / "tinyproxy.conf").write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen(["tinyproxy", "-d", "-c", self.dir / "tinyproxy.conf"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.listens, what="tinyproxy")

    def listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True

    def connects(self):
        return self.log.read_text().count(" CONNECT ") if self.log.exists() else 0

    def close(self):
        self.process.kill()
        self.process.wait()


class Server:
    """A listener whose every connection is handled by handle(socket) on a thread of its own."""

    def __init__(self, handle, listener=None):
        self.listener = listener or net.bound_socket()
        self.port = self.listener.getsockname()[1]
        self.handle = handle
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(s,), daemon=True).start()

    def _one(self, s):
        with contextlib.suppress(OSError), s:
            self.handle(s)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_head(s):
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = s.recv(4096)
        if not chunk:
            raise ConnectionError("no head")
        head += chunk
    return head


class Scripted(Server):
    """A proxy that answers every CONNECT with the same bytes, in pieces, then waits for the client to leave."""

    def __init__(self, *pieces, close=False):
        self.heads = []

        def handle(s):
            self.heads.append(read_head(s))
            for p in pieces:
                s.sendall(p)
            if not close:
                while s.recv(4096):
                    pass
        super().__init__(handle)


def relay(a, b):
    """Bytes both ways until both ends are done."""
    def copy(x, y):
        with contextlib.suppress(OSError):
            while chunk := x.recv(65536):
                y.sendall(chunk)
        with contextlib.suppress(OSError):
            y.shutdown(socket.SHUT_WR)
    t = threading.Thread(target=copy, args=(b, a), daemon=True)
    t.start()
    copy(a, b)
    t.join()


class Forward(Server):
    """Connections to listener go on to what connect() makes; made counts them. silence: seconds after which one that says
    nothing is ended, as boxes on the way do; None: never."""

    silence = None

    def __init__(self, connect, listener=None):
        self.made, self.ends = 0, []

        def handle(s):
            with connect() as far:
                self.made += 1
                self.ends += [s, far]
                for end in (s, far):
                    end.settimeout(self.silence)
                relay(s, far)
        super().__init__(handle, listener)

    def cut(self):
        """End all that has been made until now."""
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def make_ca(folder, name):
    """(CA certificate, certificate of localhost with its key) as files."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ca, key, leaf = folder / "ca.pem", folder / "ca.key", folder / "leaf.pem"
    run = lambda *a: subprocess.run(["openssl", *map(str, a)], check=True, capture_output=True)  # noqa: E731
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    run("req", "-x509", *ec, "-keyout", key, "-out", ca, "-subj", f"/O=Example/CN={name}", "-addext", "keyUsage=keyCertSign")
    run("req", "-x509", *ec, "-keyout", folder / "leaf.key", "-out", leaf, "-subj", "/CN=localhost", "-CA", ca, "-CAkey", key,
        "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
    leaf.write_text(leaf.read_text() + (folder / "leaf.key").read_text())
    return ca, leaf


class Interceptor(Server):
    """A CONNECT proxy that ends TLS with a certificate of its own and reads along; change() may alter what the
    gateway says."""

    def __init__(self, leaf, upstream_ca, change=lambda chunk: chunk):
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(leaf)
        ours.set_alpn_protocols(["http/1.1"])
        theirs = ssl.create_default_context(cafile=str(upstream_ca))
        self.seen = []

        def handle(s):
            host, port = read_head(s).split()[1].decode().rsplit(":", 1)
            s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            near = ours.wrap_socket(s, server_side=True)
            with near, theirs.wrap_socket(socket.create_connection((host, int(port)), 20), server_hostname=host) as far:
                self.pump(near, far, change)
        super().__init__(handle)

    def pump(self, near, far, change):
        """One thread for both: an SSL object is not for two at once."""
        with selectors.DefaultSelector() as sel:
            for s in (near, far):
                s.setblocking(False)
                sel.register(s, selectors.EVENT_READ)
            while True:
                for s in (near, far):
                    while True:
                        try:
                            chunk = s.recv(65536)
                        except ssl.SSLWantReadError:
                            break
                        except (OSError, ssl.SSLError):
                            return
                        if not chunk:
                            return
                        other = far if s is near else near
                        self.seen.append(chunk)
                        other.setblocking(True)
                        other.sendall(change(chunk) if s is far else chunk)
                        other.setblocking(False)
                sel.select(1)


def with_files(argv, files):
    """argv in a mount namespace where files {"/etc/hosts": PATH} lie over what is there."""
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    script = "".join(f"mount --bind {p} {place} && " for place, p in files.items())
    return [*unshare, "sh", "-c", script + 'exec "$@"', "sh", *map(str, argv)]
