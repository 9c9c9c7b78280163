"""A worker that keeps descriptors in its slot's store: it tells what it finds there, then does what KEEP says.

KEEP is a list of steps with blanks between: `put:NAME:COUNT[:PER_MESSAGE]` hands memfds up that hold their numbers,
`remove:NAME` takes a name back. They are done once in a slot's life: afterwards the store holds a `done`.
"""
import os, socket, time

slot = os.environ["NODE_APP_INSTANCE"]
count, names = int(os.environ["LISTEN_FDS"]), os.environ["LISTEN_FDNAMES"].split(":")
assert count == len(names) and int(os.environ["LISTEN_PID"]) == os.getpid()
assert socket.socket(fileno=os.dup(3)).type == socket.SOCK_DGRAM
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.connect(os.environ["NOTIFY_SOCKET"])

stored = [(name, os.pread(fd, 100, 0).decode()) for fd, name in list(enumerate(names, 3))[1:]]
print(f"slot {slot} found", " ".join(f"{name}={text}" for name, text in stored) or "nothing", flush=True)


def memfd(text):
    fd = os.memfd_create("kept")
    os.write(fd, text.encode())
    return fd


if not any(name == "done" for name, _ in stored):
    for step in os.environ["KEEP"].split():
        what, name, *numbers = step.split(":")
        if what == "remove":
            line.send(f"FDSTOREREMOVE=1\nFDNAME={name}".encode())
            continue
        total, together = [int(number) for number in (numbers + ["1"])[:2]]
        for first in range(0, total, together):
            fds = [memfd(str(number)) for number in range(first, min(first + together, total))]
            socket.send_fds(line, [f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0".encode()], fds)
            for fd in fds:
                os.close(fd)
    socket.send_fds(line, [b"FDSTORE=1\nFDNAME=done"], [memfd("yes")])
line.send(b"READY=1")
while True:
    time.sleep(1000)
