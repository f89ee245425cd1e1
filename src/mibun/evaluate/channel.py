"""Messages on a stream socket: a length of eight bytes, then so many bytes.

The parent must never wait for a worker that computes, so its side never blocks: what does not fit into the socket stays
here until the socket takes it. The side of the worker (`worker.py`) does block: it has nothing else to do.
"""

import socket
from typing import Final

__all__ = ["LENGTH", "Channel"]

#: Bytes of the length before every message, least significant first.
LENGTH: Final = 8
LEAST: Final = 1 << 16
MOST: Final = 1 << 20


class Channel:
    """One end of a stream socket that never blocks.

    Parameters
    ----------
    end : socket
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.socket = end
        self.ended = False  #: the other side is gone, and all that it sent was given
        self._outgoing: list[memoryview] = []
        self._incoming = bytearray()

    def fileno(self) -> int:
        """Give the number of the socket, for a selector."""
        return self.socket.fileno()

    @property
    def stuck(self) -> bool:
        """Say whether something waits until the socket takes it."""
        return bool(self._outgoing)

    def push(self, *parts: bytes | memoryview) -> None:
        """Send one message, the parts one after the other."""
        size = sum(map(len, parts))
        parts = (size.to_bytes(LENGTH, "little"), *parts)
        self._outgoing += [memoryview(part) for part in ([b"".join(parts)] if size < LEAST else parts)]
        self.flush()

    def flush(self) -> None:
        """Send as much as the socket takes."""
        try:
            while self._outgoing:
                first = self._outgoing[0]
                sent = self.socket.send(first)
                if sent < len(first):
                    self._outgoing[0] = first[sent:]
                else:
                    del self._outgoing[0]
        except BlockingIOError:
            return
        except OSError:  # the other side is gone, which reading will show
            self._outgoing.clear()

    def pull(self) -> list[memoryview]:
        """Read what is there; the messages that are whole."""
        missing = LENGTH
        if len(self._incoming) >= LENGTH:
            missing = LENGTH + int.from_bytes(self._incoming[:LENGTH], "little")
        try:
            part = self.socket.recv(min(max(LEAST, missing - len(self._incoming)), MOST))
        except BlockingIOError:
            return []
        except OSError:  # a connection that was reset
            part = b""
        self.ended = not part
        self._incoming += part
        return self._messages()

    def _messages(self) -> list[memoryview]:
        messages = []
        while len(self._incoming) >= LENGTH:
            size = LENGTH + int.from_bytes(self._incoming[:LENGTH], "little")
            if len(self._incoming) < size:
                break
            if len(self._incoming) == size:  # the usual case, without a copy
                messages.append(memoryview(self._incoming)[LENGTH:])
                self._incoming = bytearray()
            else:
                messages.append(memoryview(self._incoming[LENGTH:size]))
                del self._incoming[:size]
        return messages

    def close(self) -> None:
        """Close the socket; a worker that reads from the other side ends."""
        self.socket.close()
