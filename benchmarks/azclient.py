"""A tunnel client of the Azure CLI's extension: for each connection a token, a WebSocket, 4 KiB reads, with its libraries.

azclient.py PORT BASE CA RESOURCE TARGET_PORT, the access token on standard input; "ready" when it listens.
"""
import socket
import ssl
import sys
import threading

import requests
import websocket

from pyrelay import relay


class AzClient:
    def __init__(self, base, ca, token, resource, port):
        self.base, self.ca, self.token, self.resource, self.port = base, str(ca), token, resource, port
        self.last = self.node = None

    def dial(self, shared=True):
        """(authToken, WebSocket): three TLS connections with the DELETE, as requests makes them."""
        form = {"resourceId": self.resource, "protocol": "tcptunnel", "workloadHostPort": self.port, "aztoken": self.token}
        if shared and self.last:
            form["token"] = self.last
        r = requests.post(f"{self.base}/api/tokens", data=form, verify=self.ca, timeout=30,
                          headers={"X-Node-Id": self.node} if shared and self.node else {})
        r.raise_for_status()
        body = r.json()
        if shared:
            self.last, self.node = body["authToken"], body["nodeId"]
        ws = websocket.create_connection(
            f"{self.base.replace('https', 'wss', 1)}/webtunnelv2/{body['websocketToken']}?X-Node-Id={body['nodeId']}", timeout=30,
            sockopt=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),), sslopt={"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": self.ca})
        return body["authToken"], ws

    def delete(self, auth):
        requests.delete(f"{self.base}/api/tokens/{auth}", verify=self.ca, timeout=30)


def main():
    port, base, ca, resource, target = sys.argv[1:]
    client = AzClient(base, ca, sys.stdin.readline().strip(), resource, int(target))
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=512)
    print("ready", flush=True)
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=lambda c=conn: relay(c, client.dial()[1]), daemon=True).start()


if __name__ == "__main__":
    main()
