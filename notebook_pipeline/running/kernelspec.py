"""The kernelspec that a notebook names."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from notebook_pipeline.errors import UsageError
from notebook_pipeline.running.notebook_files import PYTHON, language_of

# Jupyter's names for the kernel of the interpreter that runs it.
_OWN_NAMES = ("", "python3", "python")


def find_kernelspec(metadata: Mapping[str, Any]) -> KernelSpec | None:
    """Return the installed kernel that a notebook's metadata names, or None for this interpreter's own.

    A Python notebook whose kernel is not installed runs on this interpreter. Raises UsageError if the kernel
    of another language is not installed.
    """
    language = language_of(metadata)
    name = str((metadata.get("kernelspec") or {}).get("name") or "")
    if language == PYTHON and name in _OWN_NAMES:
        return None
    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(name)
    except NoSuchKernel:
        if language == PYTHON:
            return None
        installed = ", ".join(sorted(manager.find_kernel_specs())) or "none"
        raise UsageError(
            f"the notebook asks for the kernel {name!r} of the language {language}, which is not installed; "
            f"installed kernels: {installed}"
        ) from None
    return None if _is_own(spec) else spec


def _is_own(spec: KernelSpec) -> bool:
    program = spec.argv[0]
    return program in _OWN_NAMES or os.path.normpath(program) == os.path.normpath(sys.executable)
