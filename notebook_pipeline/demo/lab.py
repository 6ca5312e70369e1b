"""Start JupyterLab on loopback, with the sample API and the connections, until Ctrl-C (`make lab`)."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.connections import API, variable
from notebook_pipeline.demo import server
from notebook_pipeline.demo.children import child, end_on_signals
from notebook_pipeline.demo.surroundings import sample_environment

JUPYTER = settings.CHECKOUT / ".venv-lab" / "bin" / "jupyter-lab"


def main() -> int:
    """Serve JupyterLab, and the sample API unless another API is set; return JupyterLab's exit status."""
    end_on_signals()
    own_api = os.environ.get(variable(API))
    try:
        with nullcontext(own_api) if own_api else server.running() as url:
            print(f"API: {variable(API)}" if own_api else f"Sample API: {url}", flush=True)
            environment = sample_environment(url or "") | os.environ
            with child(command(JUPYTER), env=environment, cwd=settings.CHECKOUT) as lab:
                return lab.wait()
    except KeyboardInterrupt:
        return 0


def command(jupyter: Path) -> list[str]:
    """Return JupyterLab's command line: loopback and a token, the checkout's files, its notebooks first."""
    return [
        str(jupyter),
        "-y",
        "--log-level=WARN",
        # Containers often have no other user; it serves this machine alone, to whoever has the token.
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.open_browser=False",
        f"--ServerApp.root_dir={settings.CHECKOUT}",
        "--LabApp.default_url=/lab/tree/notebooks",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]


if __name__ == "__main__":
    sys.exit(main())
