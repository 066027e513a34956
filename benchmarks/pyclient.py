"""A tunnel client of the Azure CLI's shape: a thread a connection, 4 KiB reads, masked and framed in Python.

pyclient.py PORT URL CA
"""
import socket
import ssl
import sys
import threading

import websocket

from pyrelay import relay

PORT, URL, CA = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def serve(local):
    relay(local, websocket.create_connection(URL, sslopt={"ca_certs": CA, "cert_reqs": ssl.CERT_REQUIRED}, subprotocols=["binary"],
                                             sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]))


listener = socket.create_server(("127.0.0.1", PORT), backlog=512)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=serve, args=(conn,), daemon=True).start()
