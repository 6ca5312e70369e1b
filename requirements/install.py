"""Create a virtual environment and install locked packages into it, with uv if possible, else with pip.

Usage: python3 install.py ENVIRONMENT REQUIREMENTS [PROJECT]

ENVIRONMENT is a folder, REQUIREMENTS a file of pinned, hashed packages, PROJECT a folder to install
editable. An environment left unfinished by an interrupted call is created again.
"""

import ast
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

UV = Path(__file__).with_name("uv.txt")
Command = list[str | Path]


def main() -> None:
    """Install what the command line asks for; exit with the installer's status if it fails."""
    environment, requirements, *projects = map(Path, sys.argv[1:])
    with open(__file__) as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        install(environment, requirements, projects)


def install(environment: Path, requirements: Path, projects: list[Path]) -> None:
    """Install the requirements into the environment; create it first if it is missing or unfinished."""
    python = environment / "bin" / "python"
    unfinished = environment / ".unfinished"
    if unfinished.exists() or not works(python):
        print(f"Making {environment} with Python {sys.version.split()[0]}", flush=True)
        shutil.rmtree(environment, ignore_errors=True)
        run([sys.executable, "-m", "venv", environment])
    unfinished.touch()
    print(f"Installing {requirements} into {environment}", flush=True)
    installer = find_installer(python)
    run([*installer, "--require-hashes", "-r", requirements])
    for project in projects:
        run([*installer, "--no-deps", "--no-build-isolation", "-e", project])
    compile_modules(environment)
    unfinished.unlink()


def works(python: Path) -> bool:
    """Return True if this interpreter exists, starts, and has pip."""
    command = [python, "-c", "import pip"]
    return python.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def find_installer(python: Path) -> Command:
    """Return the start of an install command: uv takes seconds, pip more than a minute."""
    pip: Command = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    found = subprocess.run([*pip, "--require-hashes", "-r", UV], capture_output=True, text=True, check=False)
    if found.returncode:
        print(f"uv could not be installed, so pip is used (slower): {found.stderr.strip()}", flush=True)
        return pip
    os.environ.update(uv_settings(pip_settings(python)))
    return [python.with_name("uv"), "pip", "install", "--quiet", "--python", python]


def pip_settings(python: Path) -> dict[str, str]:
    """Return pip's settings by their short names; of equal names the one with precedence counts."""
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings = dict(line.split("=", 1) for line in listed.stdout.splitlines() if "=" in line)
    return {
        name.removeprefix(section): str(ast.literal_eval(value))
        for section in ("global.", "install.", ":env:.")
        for name, value in settings.items()
        if name.startswith(section)
    }


def uv_settings(pip: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give uv the settings of pip; variables already set for uv are kept."""
    settings = {
        "UV_DEFAULT_INDEX": pip.get("index-url", ""),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "UV_NO_INDEX": pip.get("no-index", ""),
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": pip.get("default-timeout", pip.get("timeout", "")),
        "SSL_CERT_FILE": pip.get("cert", ""),
        "ALL_PROXY": pip.get("proxy", ""),
        # Search every index for a version, as pip does; the hashes select the file.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    return {name: value for name, value in settings.items() if value and name not in os.environ}


def compile_modules(environment: Path) -> None:
    """Compile every module once: uv does not, and with PYTHONDONTWRITEBYTECODE each start would be slow."""
    packages = next((environment / "lib").glob("python3.*")) / "site-packages"
    # Some packages contain test files that do not compile, so ignore the status.
    command = [environment / "bin" / "python", "-m", "compileall", "-qq", "-j", "0", packages]
    subprocess.run(command, check=False)


def run(command: Command) -> None:
    """Run a program and exit with its status if it fails."""
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
