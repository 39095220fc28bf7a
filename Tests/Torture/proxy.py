"""A TCP proxy between mount and receiver that can be told to be a bad network."""
import random, select, socket, struct, threading, time

MODES = ("refuse", "stall", "cut", "slow")
BLOCK = 64 << 10


class Proxy:
    """Forwards connections of its own port to `target`. `mode` may be changed at any time, also for connections that exist:

    ok      forwards
    refuse  every connection ends with a reset, new ones at once
    stall   nothing is forwarded; connections stay
    cut     each connection ends with a reset after a random number of bytes
    slow    64 KiB a second in each direction of each connection
    """

    def __init__(self, target, seed):
        self.target, self.random, self.mode = target, random.Random(seed), "ok"
        self.disturbed_until = 0.0
        # Taken from clients for the target; read at leisure.
        self.bytes_to_server = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode):
        if self.mode != "ok":
            self.disturbed_until = time.monotonic()
        self.mode = mode

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = None
        try:
            if self.mode != "refuse":
                server = socket.create_connection(("127.0.0.1", self.target), 5)
                self._forward(client, server, self.random.randrange(1, 3 << 20))
        except OSError:
            pass
        for end in (client, server):
            if end is not None:
                _reset(end)

    def _forward(self, client, server, left):
        """Until one side ends, or the mode ends it. `left`: bytes until a cut."""
        other = {client: server, server: client}
        while other and self.mode != "refuse":
            if self.mode == "stall":
                time.sleep(0.05)
                continue
            for end in select.select(list(other), [], [], 0.1)[0]:
                size = min(BLOCK, left) if self.mode == "cut" else BLOCK
                data = end.recv(size)
                if not data:
                    other[end].shutdown(socket.SHUT_WR)
                    del other[end]
                    break
                other_end = server if end is client else client
                other_end.settimeout(30)
                if end is client:
                    self.bytes_to_server += len(data)
                other_end.sendall(data)
                if self.mode == "slow":
                    time.sleep(len(data) / BLOCK)
                if self.mode == "cut":
                    left -= len(data)
                    if left <= 0:
                        return


def _reset(end):
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    end.close()
