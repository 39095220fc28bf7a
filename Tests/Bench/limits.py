#!/usr/bin/env python3
"""Measures what this machine needs for the steps that nobody can leave out, in CPU seconds per GiB, and prints JSON lines.

A worker reads each byte once, hashes it and sends it, after FUSE has brought it (what passthrough_ll uses for that is
measured by bench.py); a receiver takes it from its socket, hashes and writes it. Each step is a loop in C (OpenSSL, the
kernel) with a buffer as large as reelfs uses; two runs, the better one counts.

Environment:
  SIZE       bytes of each step, with M or G      (1G)
  BENCH_DIR  where files lie                      (/dev/shm)
"""
import hashlib, json, os, socket, tempfile
from bench import size_of
from data import MIB

RECEIVED = 64 << 10  # what NIO reads at once


def cpu():
    usage = os.times()
    return usage.user + usage.system


def hashing(size):
    block, digest = os.urandom(MIB), hashlib.sha256()
    start = cpu()
    for _ in range(size // MIB):
        digest.update(block)
    return cpu() - start


def writing(size, file):
    block, start = os.urandom(MIB), cpu()
    for place in range(size // MIB):
        os.pwrite(file, block, place * MIB)
    return cpu() - start


def reading(size, file):
    buffer, start = bytearray(MIB), cpu()
    for place in range(size // MIB):
        os.preadv(file, [buffer], place * MIB)
    return cpu() - start


def through_a_socket(size, sends):
    """CPU seconds of one end; the other one is a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with socket.create_connection(server.getsockname()) as other:
                    (receive if sends else send)(other, size)
                code = 0
            finally:
                os._exit(code)
        with server.accept()[0] as connection:
            start = cpu()
            (send if sends else receive)(connection, size)
            used = cpu() - start
        if os.waitpid(child, 0)[1] != 0:
            raise RuntimeError("the socket's other end failed")
    return used


def send(connection, size):
    block = os.urandom(MIB)
    for _ in range(size // MIB):
        connection.sendall(block)


def receive(connection, size):
    buffer, left = bytearray(RECEIVED), size
    while left > 0:
        count = connection.recv_into(buffer)
        if count == 0:
            raise RuntimeError(f"the connection ended {left} bytes early")
        left -= count


def main():
    size = size_of(os.environ.get("SIZE", "1G"))
    with tempfile.TemporaryFile(dir=os.environ.get("BENCH_DIR", "/dev/shm")) as file:
        def emptied():
            os.ftruncate(file.fileno(), 0)
            return file.fileno()

        steps = dict(
            hashed=lambda: hashing(size), sent=lambda: through_a_socket(size, True),
            received=lambda: through_a_socket(size, False), written=lambda: writing(size, emptied()),
            read=lambda: reading(size, file.fileno()))
        for step, run in steps.items():
            used = min(run() for _ in range(2)) * (1 << 30) / size
            print(json.dumps(dict(measure="limit", step=step, cpu_s_per_gib=round(used, 3))), flush=True)


if __name__ == "__main__":
    main()
