"""A gateway that answers what a test tells it to: what the client makes of a hostile one."""
import json
import pathlib
import socket
import ssl
import threading
import time

from . import proxies


class FakeGate:
    """HTTPS on loopback. `answers` is {path: body or bytes or (status, body) or function of the connection}; asked has each request's first line,
    heads all of its lines."""

    def __init__(self, folder, answers=None):
        self.ca, leaf = proxies.make_ca(folder, "Fake CA")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(leaf)
        self._tls.set_alpn_protocols(["http/1.1"])
        self.answers, self.asked, self.heads = answers or {}, [], []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                c, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(c,), daemon=True).start()

    def _one(self, c):
        c.settimeout(30)
        try:
            with self._tls.wrap_socket(c, server_side=True) as s:
                self._talk(s)
        except OSError:
            pass

    def _talk(self, s):
        head = b""
        while b"\r\n\r\n" not in head:
            more = s.recv(4096)
            if not more:
                return
            head += more
        line = head.split(b"\r\n", 1)[0].decode()
        self.asked.append(line)
        self.heads.append(head.split(b"\r\n\r\n", 1)[0].decode())
        path = line.split()[1]
        answer = next((a for p, a in self.answers.items() if path.startswith(p)), (404, {}))
        if callable(answer):
            answer(s)
        elif isinstance(answer, bytes):
            s.sendall(answer)
        else:
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            text = json.dumps(body).encode()
            s.sendall(f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)  # or the thread in accept() could go on with whoever gets the descriptor next
        self._socket.close()


def signed_in(folder, gate, **over):
    """The environment of somebody who is signed in there."""
    config = pathlib.Path(folder) / "config/caponier"
    config.mkdir(parents=True, exist_ok=True)
    config.chmod(0o700)
    config.parent.chmod(0o700)
    row = {"gateway": gate.url, "ca": str(gate.ca), "user": "ada@example.test", "type": "User", "objectId": "11111111-2222-3333-4444-555555555555",
           "accessToken": "token", "refreshToken": "refresh", "expiresOn": int(time.time()) + 3600, **over}
    file = config / "contexts.json"
    file.write_text(json.dumps({"version": 1, "contexts": [row]}))
    file.chmod(0o600)
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_CONFIG_HOME": str(config.parent), "LANG": "C.UTF-8"}
