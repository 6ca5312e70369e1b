"""A Python kernel that loses no message that its cells publish."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.jsonutil import json_default
from jupyter_client.session import DELIM

from notebook_pipeline.running.message_numbers import MARK
from notebook_pipeline.running.notebook_reader import without_lone_surrogates


class NumberedKernelApp(IPKernelApp):
    """A Python kernel that publishes through an unlimited queue and numbers its messages."""

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Create the publishing socket; its queue limit takes effect only if set before it is bound."""
        context.sndhwm = 0
        super().init_iopub(context)
        # The other sockets keep their limit; their senders wait when it is reached.
        del context.sndhwm
        self.iopub_thread.socket = _NumberedSocket(self.iopub_thread.socket)
        self.session.pack = partial(_packed, self.session.pack)


def _packed(pack: Callable[[Any], bytes], content: Any) -> bytes:
    """Return a message's content as bytes, even if it contains lone surrogates."""
    try:
        return pack(content)
    except UnicodeEncodeError:
        text = json.dumps(content, ensure_ascii=False, default=json_default)
        return pack(json.loads(without_lone_surrogates(text)))


class _NumberedSocket:
    """A proxy of a socket that adds a number to each message, before its delimiter."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._sent = 0

    def send_multipart(self, frames: list[Any], *args: Any, **options: Any) -> Any:
        """Send a message with the next number; called by the publishing thread only."""
        self._sent += 1
        at = frames.index(DELIM)
        numbered = [*frames[:at], b"%s%d" % (MARK, self._sent), *frames[at:]]
        return self._socket.send_multipart(numbered, *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
