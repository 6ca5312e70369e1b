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
    # For a moment after an error a kernel rejects requests.
    answers = (_ask(client, _IS_REFUSAL) for _ in range(_TRIES))
    return next((answer for answer in answers if answer is not None), "False") == "True"


def _ask(client: NotebookClient, expression: str) -> str | None:
    """Return the value of an expression in the kernel as text, or None if the kernel rejects the request."""
    if client.kc is None:
        return None
    request = client.kc.execute("", silent=True, user_expressions={"asked": expression})
    try:
        reply = client.wait_for_reply(request)
    except DeadKernelError:
        return "the kernel died"
    if reply is None or reply["content"]["status"] == "aborted":
        time.sleep(0.05)
        return None
    return reply["content"]["user_expressions"]["asked"].get("data", {}).get("text/plain", "")
