"""An RDP server as far as its certificate: it answers the first request, and tells whether the client went on behind TLS."""
import socket
import ssl
import subprocess
import threading

WITH_TLS = bytes.fromhex("030000130ed000001234000200080001000000")  # connection confirm of X.224: TLS it is


def certificate(folder, name):
    """A self-signed one, with its key, in one file."""
    pem = folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pem, "-out", folder / f"{name}.crt", "-days", "2", "-subj", f"/CN={name}"],
                   check=True, capture_output=True)
    with open(pem, "a") as f:
        f.write((folder / f"{name}.crt").read_text())
    return pem


class FakeDesktop:
    """Behind a listening socket; show() says which certificate."""

    def __init__(self, listener, pem):
        self._listener, self._busy, self._went_on, self._change = listener, 0, [], threading.Condition()
        self.show(pem)
        threading.Thread(target=self._serve, daemon=True).start()

    def show(self, pem):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
        self._tls = tls

    def _serve(self):
        while True:
            try:
                c, _ = self._listener.accept()
            except OSError:
                return
            with self._change:
                self._busy += 1
            threading.Thread(target=self._one, args=(c,), daemon=True).start()

    def _one(self, c):
        went_on = False
        c.settimeout(60)
        try:
            if c.recv(1000):
                c.sendall(WITH_TLS)
                with self._tls.wrap_socket(c, server_side=True) as s:
                    went_on = len(s.recv(1000)) > 0
        except OSError:
            pass
        with self._change:
            self._busy -= 1
            self._went_on.append(went_on)
            self._change.notify_all()

    def went_on(self):
        """Did a client trust the certificate, of those that came since this was asked last? They have ended."""
        with self._change:
            assert self._change.wait_for(lambda: self._went_on and not self._busy, 60)
            said, self._went_on = self._went_on, []
        return any(said)
