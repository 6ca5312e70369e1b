"""Detection of messages that are lost between a kernel and its runner.

ZeroMQ silently drops messages when a publisher is faster than its subscriber and a queue is full. Both queues
are unlimited here, and the kernel numbers its messages, so that a lost one is detected.
"""

import math
import time
from queue import Empty
from typing import Any

import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from traitlets import Type

MARK = b"number="
_POLL_SECONDS = 0.25


class NumberedChannel(AsyncZMQSocketChannel):
    """A channel that receives what a kernel publishes, and counts the missing messages in `lost`.

    Kernels of other languages do not number their messages; for them nothing is counted.
    """

    _last: int | None = None
    lost = 0

    async def _recv(self, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        frames = await self.socket.recv_multipart(**options)
        identities, message = self.session.feed_identities(frames)
        for identity in identities:
            if identity.startswith(MARK):
                self._count(int(identity[len(MARK) :]))
        received = self.session.deserialize(message)
        received["size"] = sum(map(len, message))
        return received

    def _count(self, number: int) -> None:
        if self._last is not None:
            self.lost += number - self._last - 1
        self._last = number


class ReplyChannel(AsyncZMQSocketChannel):
    """A channel that receives replies, polling at intervals.

    If nbclient sends a message for an Output widget on the same socket, the event that announces a reply may
    be consumed there, and waiting for it would never end.
    """

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:  # type: ignore[override]
        """Return the next message; raise Empty if none arrives within `timeout` seconds."""
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            left = deadline - time.monotonic()
            try:
                return await super().get_msg(max(0.0, min(left, _POLL_SECONDS)))
            except Empty:
                if left <= _POLL_SECONDS:
                    raise


class NumberedKernelClient(AsyncKernelClient):
    """A client of a kernel whose published messages are numbered."""

    iopub_channel_class = Type(NumberedChannel)  # type: ignore[assignment]
    shell_channel_class = Type(ReplyChannel)  # type: ignore[assignment]

    def connect_iopub(self, identity: bytes | None = None) -> zmq.Socket[Any]:
        """Return a socket that receives what the kernel publishes, with an unlimited queue."""
        self.context.rcvhwm = 0
        socket = super().connect_iopub(identity)
        del self.context.rcvhwm
        return socket
