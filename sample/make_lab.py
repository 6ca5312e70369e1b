"""Run JupyterLab with the sample API and connections on loopback until Ctrl-C (`make lab`)."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path

from notebook_pipeline import settings
from notebook_pipeline.connections import API, variable
from sample import api_server
from sample.child_processes import child, end_on_signals
from sample.demo_environment import sample_environment

JUPYTER = settings.CHECKOUT / ".venv-lab" / "bin" / "jupyter-lab"
# Opens the start page, renders Markdown files, and does not fetch JupyterLab's news.
CONFIGURATION = Path(__file__).with_name("jupyter")


def main() -> int:
    """Serve JupyterLab, and the sample API unless another API is set; return JupyterLab's exit status."""
    end_on_signals()
    own_api = os.environ.get(variable(API))
    try:
        with nullcontext(own_api) if own_api else api_server.running() as url:
            print(f"API: {variable(API)}" if own_api else f"Sample API: {url}", flush=True)
            environment = lab_environment(url or "")
            with child(command(JUPYTER), env=environment, cwd=settings.home()) as lab:
                return lab.wait()
    except KeyboardInterrupt:
        return 0


def lab_environment(url: str) -> dict[str, str]:
    """Return JupyterLab's variables: its configuration, and the sample's connections if no others are set."""
    found = [str(CONFIGURATION), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return sample_environment(url) | os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(found)}


def command(jupyter: Path) -> list[str]:
    """Return JupyterLab's command line: loopback, a token, the folder that holds `notebooks/`."""
    return [
        str(jupyter),
        "-y",
        "--log-level=WARN",
        # Containers often have only root. JupyterLab listens on loopback and asks for a token.
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={settings.home()}",
    ]


if __name__ == "__main__":
    sys.exit(main())
