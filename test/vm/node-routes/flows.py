# Flows between two nodes, UDP and TCP, each of its own source port, a small message at each turn; what arrives here is looked at.
# flows.py OWN PEER COUNT SECONDS; SIGUSR1: what has come since the last one is written to /tmp/flows.json.
import json, os, selectors, signal, socket, struct, sys, time

own, peer, count, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
PORT, FIRST = 7000, 20000
MESSAGE = struct.Struct("!I")
asked = []
signal.signal(signal.SIGUSR1, lambda *_: asked.append(True))
look = selectors.DefaultSelector()


class Seen:
    """What came of one flow: the longest silence, and how many of its numbers are missing."""

    def __init__(self):
        self.last, self.gap, self.came, self.first, self.next = time.monotonic(), 0.0, 0, None, 0

    def heard(self, number):
        now = time.monotonic()
        self.gap, self.last = max(self.gap, now - self.last), now
        if self.first is None:
            self.first = number
        self.came += 1
        self.next = max(self.next, number + 1)

    def told(self):
        came = self.came
        silent = max(self.gap, time.monotonic() - self.last)
        lost = self.next - self.first - self.came if self.first is not None else 0
        self.gap, self.came, self.first = 0.0, 0, None
        return {"ms": round(silent * 1000), "lost": max(0, lost), "came": came}


def bound(kind, port):
    s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((own, port))
    return s


seen = {}
parts = {}
server = bound(socket.SOCK_DGRAM, PORT)
server.setblocking(False)
listener = bound(socket.SOCK_STREAM, PORT)
listener.listen(count)
look.register(server, selectors.EVENT_READ)
look.register(listener, selectors.EVENT_READ)
udp, tcp, ended = [], [], []
for i in range(count):
    s = bound(socket.SOCK_DGRAM, FIRST + i)
    s.connect((peer, PORT))
    udp.append(s)
while len(tcp) < count:
    s = bound(socket.SOCK_STREAM, FIRST + len(tcp))
    s.settimeout(60)
    if s.connect_ex((peer, PORT)) != 0:  # the other end starts just now
        s.close()
        time.sleep(0.2)
        continue
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setblocking(False)
    tcp.append(s)
print("flowing", flush=True)


def receive(s):
    if s is listener:
        one, _ = s.accept()
        one.setblocking(False)
        look.register(one, selectors.EVENT_READ)
    elif s is server:
        while True:
            try:
                data, (_, port) = s.recvfrom(64)
            except BlockingIOError:
                return
            seen.setdefault(f"udp {port}", Seen()).heard(*MESSAGE.unpack(data))
    else:
        try:
            data = s.recv(4096)
        except OSError:
            data = b""
        if not data:
            ended.append("read")
            return look.unregister(s)
        flow = f"tcp {s.getpeername()[1]}"
        whole = parts.pop(flow, b"") + data
        end = len(whole) // 4 * 4
        parts[flow] = whole[end:]
        for (number,) in MESSAGE.iter_unpack(whole[:end]):
            seen.setdefault(flow, Seen()).heard(number)


number, due = 0, time.monotonic()
while True:
    for key, _ in look.select(max(0, due - time.monotonic())):
        receive(key.fileobj)
    if time.monotonic() >= due:
        for s in udp + tcp:
            try:
                s.send(MESSAGE.pack(number))
            except BlockingIOError:
                pass
            except OSError as error:
                if s in tcp:
                    ended.append(str(error))
                    tcp.remove(s)
        number, due = number + 1, max(due + every, time.monotonic() - 1)
    if asked:
        asked.clear()
        with open("/tmp/flows.new", "w") as file:
            json.dump({"flows": {flow: one.told() for flow, one in seen.items()}, "ended": ended}, file)
        os.rename("/tmp/flows.new", "/tmp/flows.json")
