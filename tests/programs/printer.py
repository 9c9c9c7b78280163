"""Prints numbered lines as fast as it is told to; a side file says how many are printed for certain."""
import os, signal, sys, time

pause, folder = float(sys.argv[1]), sys.argv[2]
slot, pid = os.environ["NODE_APP_INSTANCE"], os.getpid()
leaving = False


def leave(*_):
    global leaving
    leaving = True


signal.signal(signal.SIGTERM, leave)
# Whoever sees the side file knows that SIGTERM is heard.
side = os.open(f"{folder}/printed.{slot}.{pid}", os.O_CREAT | os.O_RDWR, 0o644)
number = 0
while not leaving:
    # One call for each line: nothing of it is left in a buffer of ours when we are killed.
    os.write(1, f"line {pid} {number}\n".encode())
    number += 1
    os.pwrite(side, f"{number:012}".encode(), 0)
    if pause:
        time.sleep(pause)
