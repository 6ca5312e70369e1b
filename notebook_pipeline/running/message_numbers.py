"""Notice when a message that the kernel published is lost on its way to the runner.

ZeroMQ drops what a publisher sends faster than its subscriber reads once a queue is full, and tells neither
side. Both queues are unlimited here, and the kernel numbers its messages to show that none was dropped.
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
_LOOK_SECONDS = 0.25


class NumberedChannel(AsyncZMQSocketChannel):
    """Receive what a kernel publishes, and count in `lost` the messages that are missing.

    Kernels of other languages do not number their messages; nothing is counted there.
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
    """Receive replies, looking again at intervals.

    What an Output widget makes nbclient send on the same socket may take the event that would have woken
    the one who waits here; the reply is there all the same.
    """

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:  # type: ignore[override]
        """Return the next message; raise Empty if none comes in so many seconds."""
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            left = deadline - time.monotonic()
            try:
                return await super().get_msg(max(0.0, min(left, _LOOK_SECONDS)))
            except Empty:
                if left <= _LOOK_SECONDS:
                    raise


class NumberedKernelClient(AsyncKernelClient):
    """Speak with a kernel whose published messages are numbered."""

    iopub_channel_class = Type(NumberedChannel)  # type: ignore[assignment]
    shell_channel_class = Type(ReplyChannel)  # type: ignore[assignment]

    def connect_iopub(self, identity: bytes | None = None) -> zmq.Socket[Any]:
        """Return the socket that receives what the kernel publishes; its queue has no limit."""
        self.context.rcvhwm = 0
        socket = super().connect_iopub(identity)
        del self.context.rcvhwm
        return socket
