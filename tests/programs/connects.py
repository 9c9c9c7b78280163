"""Is no good: the first worker connects the socket that it was given, which takes it out of its group."""
import os
import socket

given = socket.socket(fileno=3)
if os.environ["NODE_APP_INSTANCE"] == "0":
    given.connect(("127.0.0.1", 9))
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    try:
        given.recv(65536)
    except OSError:
        pass
