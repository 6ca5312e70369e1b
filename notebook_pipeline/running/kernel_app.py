"""Run a Python kernel that loses nothing of what its cells publish."""

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
    """Run a Python kernel that publishes through an unlimited queue and numbers its messages."""

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Make the publishing socket; a limit holds only if it is set before the socket is bound."""
        context.sndhwm = 0
        super().init_iopub(context)
        # The other sockets keep their limit, at which the sender waits.
        del context.sndhwm
        self.iopub_thread.socket = _NumberedSocket(self.iopub_thread.socket)
        self.session.pack = partial(_packed, self.session.pack)


def _packed(pack: Callable[[Any], bytes], content: Any) -> bytes:
    """Return a message's content as bytes, even if it holds half of a surrogate pair."""
    try:
        return pack(content)
    except UnicodeEncodeError:
        text = json.dumps(content, ensure_ascii=False, default=json_default)
        return pack(json.loads(without_lone_surrogates(text)))


class _NumberedSocket:
    """Pass everything on to a socket, each message with a number before its delimiter."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._sent = 0

    def send_multipart(self, frames: list[Any], *args: Any, **options: Any) -> Any:
        """Send a message with the next number; only the publishing thread calls this."""
        self._sent += 1
        at = frames.index(DELIM)
        numbered = [*frames[:at], b"%s%d" % (MARK, self._sent), *frames[at:]]
        return self._socket.send_multipart(numbered, *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
