"""Errors that a retry cannot fix, as the kernel reports them."""

import time

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

_TRIES = 20
_IS_REFUSAL = (
    "isinstance(__import__('sys').last_value, (lambda errors: (errors.DataRefused, errors.UsageError))"
    "(__import__('notebook_pipeline.errors', fromlist=['errors'])))"
)


def is_refusal(client: NotebookClient) -> bool:
    """Return True if the kernel's last error is one that a retry cannot fix."""
    for _ in range(_TRIES):
        if client.kc is None:
            break
        request = client.kc.execute("", silent=True, user_expressions={"asked": _IS_REFUSAL})
        try:
            reply = client.wait_for_reply(request)
        except DeadKernelError:
            break
        if reply is not None and reply["content"]["status"] != "aborted":
            return reply["content"]["user_expressions"]["asked"].get("data", {}).get("text/plain") == "True"
        # For a moment after an error a kernel rejects requests.
        time.sleep(0.05)
    return False
