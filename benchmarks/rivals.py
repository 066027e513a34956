"""Other people's programs that carry a TCP connection from a local port to the same target."""
import os
import pathlib
import subprocess

from chains import BUILD, CIPHER, ROOT, Chain, certificate, net


class Haproxy2(Chain):
    """HAProxy originating TLS, HAProxy terminating it: what everything is compared to."""

    name = "haproxy2"
    cipher, reuse = CIPHER, ""

    def start(self):
        pem, middle = certificate(self.dir), net.free_port()
        ciphers = (f"  ssl-default-bind-ciphersuites {self.cipher}\n  ssl-default-server-ciphersuites {self.cipher}\n" if self.cipher else "")
        common = ("global\n  nbthread 1\n  maxconn 9500\n" + ciphers +
                  "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n  maxconn 9500\n")
        (self.dir / "server.cfg").write_text(common + f"listen s\n  bind 127.0.0.1:{middle} ssl crt {pem} ssl-min-ver TLSv1.3\n"
                                             f"  server t 127.0.0.1:{self.target}\n")
        (self.dir / "client.cfg").write_text(common + f"listen c\n  bind 127.0.0.1:{self.port}\n  server s 127.0.0.1:{middle} ssl {self.reuse} "
                                             f"verify required ca-file {self.dir}/cert.pem verifyhost localhost sni str(localhost)\n")
        self.server = self.spawn("haproxy", "-db", "-f", self.dir / "server.cfg")
        self.client = self.spawn("haproxy", "-db", "-f", self.dir / "client.cfg")
        self.wait_listening(self.port)


class Haproxy2Default(Haproxy2):
    name = "haproxy2-aes256"
    cipher = None


class Haproxy2NoResume(Haproxy2):
    name = "haproxy2-noresume"
    reuse = "no-ssl-reuse"


class Limit(Chain):
    """No peer, but how far one can get: each end relays plainly, 256 KiB a call, and lets each byte through the cipher once."""

    name = "limit"
    cipher = "seal"

    def start(self):
        middle, micro = net.free_port(), BUILD / "benchmarks/micro"
        self.server = self.spawn(micro, "relay", middle, self.target, self.cipher)
        self.wait_listening(middle)
        self.client = self.spawn(micro, "relay", self.port, middle, self.cipher)
        self.wait_listening(self.port)


class LimitOpenssl(Limit):
    """The same with OpenSSL's own cipher, which all but Caponier use."""

    name = "limit-openssl-aes"
    cipher = "seal-openssl"


class Stunnel2(Chain):
    name = "stunnel2"
    streams_max = 5000

    def start(self):
        pem, middle = certificate(self.dir), net.free_port()
        common = f"foreground = yes\npid =\ndebug = 3\nsslVersionMin = TLSv1.3\nciphersuites = {CIPHER}\nTIMEOUTidle = 3600\n"
        (self.dir / "server.conf").write_text(common + f"[s]\naccept = 127.0.0.1:{middle}\nconnect = 127.0.0.1:{self.target}\ncert = {pem}\n")
        (self.dir / "client.conf").write_text(common + f"[c]\nclient = yes\naccept = 127.0.0.1:{self.port}\nconnect = 127.0.0.1:{middle}\n"
                                              f"verifyChain = yes\nCAfile = {self.dir}/cert.pem\ncheckHost = localhost\n")
        self.server = self.spawn("stunnel", self.dir / "server.conf")
        self.client = self.spawn("stunnel", self.dir / "client.conf")
        self.wait_listening(self.port)


class Nginx2(Chain):
    name = "nginx2"
    streams_max = 5000

    def config(self, role, body):
        path = self.dir / f"{role}.conf"
        path.write_text(f"load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nworker_processes 1;\ndaemon off;\npid {self.dir}/{role}.pid;\n"
                        f"error_log {self.dir}/{role}.log crit;\nevents {{ worker_connections 19000; }}\nstream {{\n  tcp_nodelay on;\n"
                        f"  proxy_timeout 1h;\n  server {{ {body} }}\n}}\n")
        return self.spawn("nginx", "-c", path, "-p", self.dir)

    def start(self):
        certificate(self.dir)
        middle = net.free_port()
        self.server = self.config("server", f"listen 127.0.0.1:{middle} ssl; ssl_certificate {self.dir}/cert.pem; ssl_certificate_key "
                                  f"{self.dir}/key.pem; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {CIPHER}; "
                                  f"proxy_pass 127.0.0.1:{self.target};")
        self.client = self.config("client", f"listen 127.0.0.1:{self.port}; proxy_pass 127.0.0.1:{middle}; proxy_ssl on; proxy_ssl_protocols "
                                  f"TLSv1.3; proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.dir}/cert.pem; proxy_ssl_name localhost; "
                                  f"proxy_ssl_server_name on; proxy_ssl_conf_command Ciphersuites {CIPHER};")
        self.wait_listening(self.port)


class StunnelHitch(Chain):
    """stunnel originating TLS, hitch terminating it."""

    name = "stunnel>hitch"
    streams_max = 5000

    def start(self):
        pem, middle = certificate(self.dir), net.free_port()
        (self.dir / "client.conf").write_text(f"foreground = yes\npid =\ndebug = 3\nsslVersionMin = TLSv1.3\nciphersuites = {CIPHER}\n"
                                              f"TIMEOUTidle = 3600\n[c]\nclient = yes\naccept = 127.0.0.1:{self.port}\n"
                                              f"connect = 127.0.0.1:{middle}\nverifyChain = yes\nCAfile = {self.dir}/cert.pem\n")
        (self.dir / "hitch.conf").write_text(f'frontend = "[127.0.0.1]:{middle}"\nbackend = "[127.0.0.1]:{self.target}"\npem-file = "{pem}"\n'
                                             f'workers = 1\ndaemon = off\ntls-protos = TLSv1.3\nciphersuites = "{CIPHER}"\nuser = "nobody"\n')
        self.server = self.spawn("hitch", f"--config={self.dir}/hitch.conf")
        self.client = self.spawn("stunnel", self.dir / "client.conf")
        self.wait_listening(self.port)


class SshL(Chain):
    name = "ssh-L"
    cipher = None
    streams_max = 500

    def start(self):
        middle = net.free_port()
        for k in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / k], check=True)
        (self.dir / "authorized").write_text((self.dir / "user.pub").read_text())
        os.makedirs("/run/sshd", exist_ok=True)
        (self.dir / "sshd.conf").write_text(
            f"ListenAddress 127.0.0.1:{middle}\nHostKey {self.dir}/host\nAuthorizedKeysFile {self.dir}/authorized\nStrictModes no\n"
            "PermitRootLogin yes\nUsePAM no\nPidFile none\nMaxSessions 2000\n")
        self.server = self.spawn("/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd.conf")
        self.wait_listening(middle)
        self.client = self.spawn("ssh", "-N", "-L", f"127.0.0.1:{self.port}:127.0.0.1:{self.target}", "-p", middle, "-i", self.dir / "user",
                                 "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                                 *(["-c", self.cipher] if self.cipher else []), "127.0.0.1")
        self.wait_listening(self.port)


class SshLGcm(SshL):
    name = "ssh-L-aes128gcm"
    cipher = "aes128-gcm@openssh.com"


class PyWebsockify(Chain):
    """A thread-per-connection Python client of the Azure CLI's shape against websockify with TLS."""

    name = "python>websockify"
    streams_max = 100

    def start(self):
        certificate(self.dir)
        middle = net.free_port()
        self.server = self.spawn("websockify", f"--cert={self.dir}/cert.pem", f"--key={self.dir}/key.pem", "--ssl-only", f"127.0.0.1:{middle}",
                                 f"127.0.0.1:{self.target}")
        self.wait_listening(middle)
        self.client = self.spawn("/usr/bin/python3", pathlib.Path(__file__).with_name("pyclient.py"), self.port,
                                 f"wss://localhost:{middle}/", self.dir / "cert.pem")
        self.wait_listening(self.port)


class Wstunnel(Chain):
    """npm's wstunnel, which ./bench installs; it leaves TLS to others, so it runs without."""

    name = "wstunnel (no TLS)"
    program = ROOT / "build/npm/node_modules/.bin/wstunnel"
    streams_max = 500

    def start(self):
        middle = net.free_port()
        self.server = self.spawn(self.program, "-s", f"127.0.0.1:{middle}", "-t", f"127.0.0.1:{self.target}")
        self.wait_listening(middle)
        self.client = self.spawn(self.program, "-t", f"127.0.0.1:{self.port}:127.0.0.1:{self.target}", f"ws://127.0.0.1:{middle}")
        self.wait_listening(self.port)


def there(cls):
    """Is what this peer runs installed?"""
    return cls is not Wstunnel or cls.program.exists()
