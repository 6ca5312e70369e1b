"""Pin every package of every group in one resolution: requirements/*.txt and environment.yml.

Usage: lock.py [--upgrade]; without it, pins are kept unless pyproject.toml requires other versions.
"""

import os
import subprocess
import sys
from pathlib import Path

from install import pip_settings, uv_settings

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parent
CONDA = PROJECT / "environment.yml"
GROUPS = {
    "run": ["pyproject.toml"],
    "dev": ["pyproject.toml", "--group", "dev"],
    "docker": ["pyproject.toml", "--group", "docker"],
    "cluster": ["pyproject.toml", "--group", "cluster"],
    "bench": ["--group", "bench"],
    "lab": ["--group", "lab"],
    "uv": ["--group", "install"],
}


def main() -> None:
    """Resolve all groups together, then write each group with these versions and their hashes."""
    os.environ.update(uv_settings(pip_settings(Path(sys.executable))))
    together = [
        "pyproject.toml",
        *(f"--group={name}" for name in ("dev", "docker", "cluster", "bench", "lab")),
    ]
    compile_pins("all", [*together, *sys.argv[1:]])
    for name, source in GROUPS.items():
        compile_pins(name, [*source, "--generate-hashes", "-c", "requirements/all.txt"])
    write_conda()


def compile_pins(name: str, arguments: list[str]) -> None:
    """Write requirements/<name>.txt for every platform and Python that the project supports."""
    uv = Path(sys.executable).with_name("uv")
    fixed = ["--quiet", "--universal", "--python-version=3.11", "--no-annotate", "--no-header"]
    command = [uv, "pip", "compile", *fixed, *arguments, "-o", f"requirements/{name}.txt"]
    subprocess.run(command, cwd=PROJECT, check=True)


def write_conda() -> None:
    """Replace what follows the line `- pip:` in environment.yml with every pin and the project itself."""
    head = CONDA.read_text().partition("- pip:\n")
    pins = [*(FOLDER / "all.txt").read_text().splitlines(), "-e ."]
    CONDA.write_text("".join([*head[:2], *(f"      - {pin}\n" for pin in pins)]))


if __name__ == "__main__":
    main()
