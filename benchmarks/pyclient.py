"""A tunnel client of the Azure CLI's shape: a thread a connection, 4 KiB reads, masked and framed in Python.

pyclient.py PORT URL CA
"""
import socket
import ssl
import sys
import threading

import websocket

PORT, URL, CA = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def up(local, ws):
    try:
        while chunk := local.recv(4096):
            ws.send_binary(chunk)
    except (OSError, websocket.WebSocketException):
        pass
    ws.close(timeout=1)


def serve(local):
    ws = websocket.create_connection(URL, sslopt={"ca_certs": CA, "cert_reqs": ssl.CERT_REQUIRED}, subprotocols=["binary"],
                                     sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
    threading.Thread(target=up, args=(local, ws), daemon=True).start()
    try:
        while chunk := ws.recv():
            local.sendall(chunk)
    except (OSError, websocket.WebSocketException):
        pass
    local.close()


listener = socket.create_server(("127.0.0.1", PORT), backlog=512)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=serve, args=(conn,), daemon=True).start()
