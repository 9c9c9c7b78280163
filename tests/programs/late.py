"""A worker that is late: in the slot that LATE names it says READY, and leaves, only once there is the file WHEN."""
import os, signal, socket, sys, time


def wait():
    while os.environ["NODE_APP_INSTANCE"] == os.environ.get("LATE") and not os.path.exists(os.environ["WHEN"]):
        time.sleep(0.01)


def leave(*_):
    wait()
    sys.exit(0)


signal.signal(signal.SIGTERM, leave)
wait()
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.connect(os.environ["NOTIFY_SOCKET"])
line.send(b"READY=1")
while True:
    time.sleep(1000)
