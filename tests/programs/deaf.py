"""A worker that says READY and does not read its socket, until there is a file named by READS. Then it tells what it reads."""
import os, socket, time

line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.connect(os.environ["NOTIFY_SOCKET"])
line.send(b"READY=1")
port = socket.socket(fileno=3)
while not os.path.exists(os.environ["READS"]):
    time.sleep(0.01)
while True:
    print(len(port.recv(65536)), "bytes", flush=True)
