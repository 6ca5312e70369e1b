"""The commands `api` and `sample`, which need a checkout: the package does not contain the sample."""

import argparse
from pathlib import Path
from typing import Any

from notebook_pipeline import settings
from notebook_pipeline.commands.run_output import Terminal
from notebook_pipeline.errors import PipelineError, UsageError


def add_sample(commands: Any) -> None:
    """Add the subcommands."""
    api = commands.add_parser("api", help="serve the sample API until Ctrl-C")
    api.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    api.add_argument("--port", type=int, default=8000, help="port to listen on, 0 for a free one (8000)")
    api.set_defaults(command=_serve_api)
    sample = commands.add_parser("sample", help="write the bulk files of the sample")
    sample.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, help="folder to write to (data/)")
    sample.set_defaults(command=_write_sample)


def _need_checkout() -> None:
    """Raise UsageError if the sample is missing, which is not in the wheel."""
    if not (settings.CHECKOUT / "sample").is_dir():
        raise UsageError("this command needs a checkout of the project: the sample is not in the package")


def _serve_api(options: argparse.Namespace) -> int:
    _need_checkout()
    from sample.api_server import serve

    try:
        serve(
            options.host, options.port, ready=lambda url: Terminal().say(f"the sample API listens on {url}")
        )
    except (OSError, OverflowError) as error:
        raise PipelineError(f"cannot listen on {options.host}:{options.port}: {error}") from None
    return 0


def _write_sample(options: argparse.Namespace) -> int:
    _need_checkout()
    from sample.bulk_files import write_sample

    for path in write_sample(options.folder or settings.data()):
        print(path)
    return 0
