"""An OpenID Connect provider that lies when it is told to: the gateway asks it over TLS inside the gateway's own
network namespace, the test plays the person's browser and the provider's pages."""
import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import secrets
import ssl
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto import jwk, jwt

CLIENT, SECRET = "caponier gateway", "a secret: with/odd+characters&="


def authority(folder):
    """A CA, and a certificate of it for localhost: (ca.pem, cert.pem, key.pem)."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.utcnow()
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider's test CA")])

    def certificate(name, public, is_ca):
        b = (x509.CertificateBuilder().subject_name(name).issuer_name(ca_name).public_key(public)
             .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
             .not_valid_after(now + datetime.timedelta(days=2))
             .add_extension(x509.BasicConstraints(is_ca, None), critical=True))
        if not is_ca:
            b = b.add_extension(x509.SubjectAlternativeName([
                x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        return b.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    files = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(certificate(ca_name, ca_key.public_key(), True))
    files[1].write_bytes(certificate(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")]),
                                     key.public_key(), False))
    files[2].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return files


def make_key(alg, kid):
    how = {"RS256": {"kty": "RSA", "size": 2048}, "PS256": {"kty": "RSA", "size": 2048},
           "ES256": {"kty": "EC", "crv": "P-256"}, "ES384": {"kty": "EC", "crv": "P-384"},
           "EdDSA": {"kty": "OKP", "crv": "Ed25519"}}[alg]
    return jwk.JWK.generate(kid=kid, **how)


class Provider:
    """Knobs may be turned at any time; `asked` counts the gateway's requests by path."""

    def __init__(self, namespace, folder):
        self.namespace, self.folder = namespace, folder
        self.ca, cert, key = authority(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.secret_file = folder / "client-secret"
        self.secret_file.write_text(SECRET + "\n")
        self.secret_file.chmod(0o600)
        self.port, self.server = 0, None
        self.asked = {}
        self.services = {"robot at the provider": "robot's secret"}
        self.codes = {}
        self.keys = {alg: make_key(alg, "key " + alg) for alg in ("RS256", "PS256", "ES256", "ES384", "EdDSA")}
        self.start()
        self.reset()

    def reset(self, alg="ES256"):
        self.alg, self.key = alg, self.keys[alg]
        self.published = list(self.keys.values())
        self.description, self.claims, self.header, self.token_answer = {}, {}, {}, {}
        self.names_issuer = True

    @property
    def issuer(self):
        return f"https://localhost:{self.port}/realm"

    def settings(self, **more):
        return {"oidc_issuer": self.issuer, "oidc_client_id": CLIENT, "oidc_label": "the Test Works",
                "oidc_client_secret_file": str(self.secret_file), "oidc_ca": str(self.ca), **more}

    # ---- what the gateway asks ----

    def start(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                provider.serve(self, None)

            def do_POST(self):
                provider.serve(self, self.rfile.read(int(self.headers["Content-Length"])).decode())

            def log_message(self, *a):
                pass

        listener = self.namespace.listen("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = self.context.wrap_socket(listener, server_side=True)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.server = None

    def close(self):
        if self.server:
            self.stop()

    def serve(self, request, body):
        path = urllib.parse.urlsplit(request.path).path
        self.asked[path] = self.asked.get(path, 0) + 1
        if path == "/realm/.well-known/openid-configuration":
            status, answer = 200, self.describe()
        elif path == "/realm/keys":
            status, answer = 200, {"keys": [k.export_public(as_dict=True) for k in self.published]}
        elif path == "/realm/token" and body is not None:
            status, answer = self.token(dict(urllib.parse.parse_qsl(body)), request.headers.get("Authorization"))
        else:
            status, answer = 404, {}
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def describe(self):
        return {"issuer": self.issuer, "authorization_endpoint": self.issuer + "/auth",
                "token_endpoint": self.issuer + "/token", "jwks_uri": self.issuer + "/keys",
                "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": self.names_issuer, **self.description}

    def client_of(self, authorization):
        if not (authorization or "").startswith("Basic "):
            return None
        user, password = base64.b64decode(authorization[6:]).decode().split(":", 1)
        user, password = urllib.parse.unquote(user), urllib.parse.unquote(password)
        return user if {CLIENT: SECRET, **self.services}.get(user) == password else None

    def token(self, form, authorization):
        client = self.client_of(authorization)
        if client is None:
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") == "client_credentials":
            return 200, {"access_token": secrets.token_urlsafe(), "token_type": "Bearer"}
        asked = self.codes.pop(form.get("code"), None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (client != CLIENT or not asked or form["redirect_uri"] != asked["redirect_uri"]
                or proof.decode().rstrip("=") != asked["code_challenge"]):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token(asked),
                     **self.token_answer}

    def id_token(self, asked):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "nonce": asked["nonce"], "iat": now, "exp": now + 300,
                  **asked["person"], **self.claims}
        header = {"alg": self.alg, "kid": self.key["kid"], **self.header}
        token = jwt.JWT(header={k: v for k, v in header.items() if v is not None},
                        claims={k: v for k, v in claims.items() if v is not None})
        token.make_signed_token(self.key)
        return token.serialize()

    # ---- what the person's browser sees ----

    def approve(self, url, sub, **claims):
        """The person signs in at the URL that the gateway sent them to; the URL that they are sent back to."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        assert url.startswith(self.issuer + "/auth?"), url
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
        code = secrets.token_urlsafe()
        self.codes[code] = {**asked, "person": {"sub": sub, **claims}}
        return self.back(url, code=code)

    def back(self, url, **answer):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        if self.names_issuer:
            answer.setdefault("iss", self.issuer)
        answer.setdefault("state", asked["state"])
        return asked["redirect_uri"] + "?" + urllib.parse.urlencode({k: v for k, v in answer.items() if v is not None})
