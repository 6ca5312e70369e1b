"""A run remembers the commit and the versions that made it."""

import platform
import subprocess
from pathlib import Path

import notebook_pipeline
from notebook_pipeline.running import provenance


def test_the_versions_of_the_main_packages_are_known() -> None:
    versions = provenance.versions()
    assert versions["python"] == platform.python_version()
    assert versions["notebook_pipeline"] == notebook_pipeline.__version__
    assert versions["papermill"] == "2.7.0"


def test_a_folder_outside_of_git_has_no_commit(tmp_path: Path) -> None:
    assert provenance.commit(tmp_path) is None


def test_a_checkout_has_its_commit(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert provenance.commit(tmp_path) is None
    git("commit", "-q", "--allow-empty", "-m", "one")
    assert provenance.commit(tmp_path) == git("rev-parse", "HEAD")
