"""A server of names for tests: ADDRESS NUMBER LOG [fails|silent]

Answers for what ends in `.test` at port 53 of ADDRESS, by datagrams and by streams, with 192.0.2.NUMBER. Each question
is a line of LOG: how it came, its name, its type, and the size that its EDNS says, if it has any.
"""

import socket
import struct
import sys
import threading

ADDRESS, NUMBER, LOG = sys.argv[1], int(sys.argv[2]), sys.argv[3]
MODE = sys.argv[4] if len(sys.argv) > 4 else ""
A, SOA, PTR, TXT, AAAA, OPT = 1, 6, 12, 16, 28, 41
KINDS = {A: "A", PTR: "PTR", TXT: "TXT", AAAA: "AAAA"}
log = open(LOG, "a", buffering=1)


def labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def read(message):
    """The id, the bytes of the question, its name and type, and the size that its EDNS says."""
    number, _, _, _, _, additional = struct.unpack(">6H", message[:12])
    at, parts = 12, []
    while message[at]:
        parts.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    (kind,) = struct.unpack(">H", message[at + 1 : at + 3])
    question, rest = message[12 : at + 5], message[at + 5 :]
    size = None
    if additional and rest[0] == 0 and struct.unpack(">H", rest[1:3])[0] == OPT:
        (size,) = struct.unpack(">H", rest[3:5])
    return number, question, ".".join(parts).lower(), kind, size


def found(name, kind):
    """Whether there is such a name, and its records of a type: seconds that they hold, and data."""
    own = socket.inet_aton(f"192.0.2.{NUMBER}")
    if name == f"{NUMBER}.2.0.192.in-addr.arpa":
        return True, [(60, labels("www.test"))] if kind == PTR else []
    if not name.endswith(".test") or name.startswith("no"):
        return False, []
    if name == "big.test":
        data = [(60, socket.inet_aton(f"192.0.2.{last}")) for last in range(1, 201)]
        return True, data if kind == A else []
    holds = 2 if name.startswith("short") else 600
    if kind == A and not name.startswith("six"):
        return True, [(holds, own)]
    if kind == AAAA and not name.startswith("four"):
        return True, [(holds, socket.inet_pton(socket.AF_INET6, f"2001:db8::{NUMBER}"))]
    return True, []


def record(owner, kind, holds, data):
    return owner + struct.pack(">HHIH", kind, 1, holds, len(data)) + data


def answer(message, how):
    number, question, name, kind, size = read(message)
    log.write(f"{how} {name} {KINDS.get(kind, kind)} {size}\n")
    if MODE == "silent":
        return None
    exists, data = found(name, kind)
    # Response, recursion desired and available; the code.
    flags = 0x8180 | (2 if MODE == "fails" else 0 if exists else 3)
    if MODE == "fails":
        data = []
    records = [record(b"\xc0\x0c", kind, *each) for each in data]
    authority = []
    if not data and MODE != "fails":
        # What says how long a denial holds (RFC 2308): 300 seconds.
        start = labels("ns.test") + labels("post.test") + struct.pack(">5I", 1, 60, 60, 60, 300)
        authority.append(record(labels("test"), SOA, 300, start))
    extra = b"\0" + struct.pack(">HHIH", OPT, 1232, 0, 0) if size is not None else b""

    def whole(flags, records):
        head = struct.pack(">6H", number, flags, 1, len(records), len(authority), 1 if extra else 0)
        return head + question + b"".join(records + authority) + extra

    text = whole(flags, records)
    if how == "udp" and len(text) > max(512, size or 512):
        return whole(flags | 0x0200, [])
    return text


def exactly(stream, length):
    text = b""
    while len(text) < length:
        more = stream.recv(length - len(text))
        if not more:
            return None
        text += more
    return text


def serve(stream):
    with stream:
        while (length := exactly(stream, 2)) is not None:
            text = answer(exactly(stream, struct.unpack(">H", length)[0]), "tcp")
            if text is not None:
                stream.sendall(struct.pack(">H", len(text)) + text)


def accept(listener):
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve, args=[stream], daemon=True).start()


datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind((ADDRESS, 53))
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((ADDRESS, 53))
listener.listen()
threading.Thread(target=accept, args=[listener], daemon=True).start()
log.write("ready\n")
while True:
    question, sender = datagrams.recvfrom(65536)
    text = answer(question, "udp")
    if text is not None:
        datagrams.sendto(text, sender)
