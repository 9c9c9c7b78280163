"""Types lines into a shell on a terminal, each once the one before is done, and prints what the shell shows.

Arguments: how many lines, the lines, the shell with its arguments. A line is done when `<end>` was shown once more."""
import os, pty, select, sys, time

count = int(sys.argv[1])
lines, shell = sys.argv[2 : 2 + count], sys.argv[2 + count :]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(shell[0], shell)
shown, deadline = b"", time.monotonic() + 60


def until(holds):
    global shown
    while not holds() and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break


until(lambda: b"ready> " in shown)
for number, line in enumerate(lines):
    os.write(terminal, line.encode() + b"\n")
    until(lambda: shown.count(b"<end>") > number)
os.kill(pid, 9)
os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
