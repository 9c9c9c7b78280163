"""A UDP worker in Python: it reads its slot's socket, which the cluster keeps, and prints what it hears.

    atlas-cluster --workers 4 -- python3 server.py
"""
import json, os, signal, socket

worker = os.environ["NODE_APP_INSTANCE"]  # 0, 1, 2 …
udp = socket.socket(fileno=3)  # never a port: the cluster has bound it
udp.settimeout(0.2)  # how late SIGTERM may be noticed


def leave(*_):  # reload, restart, stop: finish what was taken; what still waits is the successor's
    global leaving
    leaving = True


leaving = False
signal.signal(signal.SIGTERM, leave)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
    supervisor.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])

while not leaving:
    try:
        datagram, sender = udp.recvfrom(65536)
        print(f"worker {worker}: {json.dumps(json.loads(datagram))}", flush=True)
    except TimeoutError:
        pass
    except ValueError:
        print(f"worker {worker}: {sender[0]} sent {len(datagram)} bytes that are no JSON", flush=True)
