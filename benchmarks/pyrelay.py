"""One local connection and its WebSocket, as the Azure CLI's extension relays them: a thread each way, 4 KiB reads."""
import threading

import websocket


def up(local, ws):
    try:
        while chunk := local.recv(4096):
            ws.send_binary(chunk)
    except (OSError, websocket.WebSocketException):
        pass
    ws.close(timeout=1)


def relay(local, ws):
    threading.Thread(target=up, args=(local, ws), daemon=True).start()
    try:
        while chunk := ws.recv():
            local.sendall(chunk)
    except (OSError, websocket.WebSocketException):
        pass
    local.close()
