"""A worker that needs no model: what it does with a picture is written in the picture. Standard library only.

text 12      it reads "12"              bad         it cannot read it
kill 11      it gets that signal        exit 3      it ends with that status
stop         it is stopped              spin        it works for ever, with heartbeats
wait         it works, with heartbeats, until it is asked to stop
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time


def main() -> None:
    """Serve the channels of the order on standard input."""
    order = json.loads(sys.stdin.readline())
    if sys.argv[1:] == ["ends"]:
        sys.exit(4)
    for identity in order["channels"]:
        threading.Thread(target=serve, args=(socket.socket(fileno=identity),)).start()


def serve(channel: socket.socket) -> None:
    """Answer batch after batch."""
    send(channel, {"digests": ["fake"], "sizes": []}, b"")
    while head := receive(channel, 4):
        order = json.loads(receive(channel, struct.unpack(">I", head)[0]))
        if "stop" in order:
            continue
        sizes = order["sizes"]
        reads = [read(channel, *words(receive(channel, size))) for size in sizes]
        send(channel, {"reads": reads, "sizes": [1] * sum(map(bool, reads))}, b"\0" * sum(map(bool, reads)))


def words(content: bytes) -> list[str]:
    """What a picture says; a real one is a 7."""
    return ["text", "7"] if content.startswith(b"\x89PNG") else content.decode().split()


def read(channel: socket.socket, verb: str, argument: str = "") -> dict[str, object] | None:
    """Do what a picture says."""
    if verb in ("kill", "stop"):
        os.kill(os.getpid(), int(argument or signal.SIGSTOP))
        time.sleep(60)  # the signal may reach another thread first
    if verb == "exit":
        os._exit(int(argument))
    while verb == "spin":
        time.sleep(0.05)
        send(channel, {"alive": True, "sizes": []}, b"")
    while verb == "wait" and not select.select([channel], [], [], 0.05)[0]:
        send(channel, {"alive": True, "sizes": []}, b"")
    if verb in ("bad", "wait"):
        return None
    number = {"page": 0, "outcome": "read", "raw": argument, "text": argument, "value": argument, "confidence": 1.0}
    return {
        "shape": [1, 1],
        "numbers": [number | {"box": None, "digits": [], "alternatives": []}],
        "model": "fake",
        "digest": "fake",
        "digit": None,
    }


def send(channel: socket.socket, head: dict[str, object], blobs: bytes) -> None:
    """One message."""
    content = json.dumps(head).encode()
    channel.sendall(struct.pack(">I", len(content)) + content + blobs)


def receive(channel: socket.socket, count: int) -> bytes:
    """That many bytes, or none when the server has gone."""
    content = b""
    while len(content) < count and (part := channel.recv(count - len(content))):
        content += part
    return content if len(content) == count else b""


if __name__ == "__main__":
    main()
