"""What comes out is kept whole, by its key, in a folder and on an object store alike."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
import tiny
from waiting import until

from notebook_pipeline import settings
from notebook_pipeline.commands.main import main
from notebook_pipeline.errors import PipelineError, UsageError
from notebook_pipeline.outputs.artefact_writer import Follower, following
from notebook_pipeline.outputs.folder import Folder
from notebook_pipeline.outputs.object_store import ObjectStore
from notebook_pipeline.outputs.output_store import Output, open_output
from notebook_pipeline.secrets.store_credentials import credentials

KEY = "runs/d/r/load__try1.ipynb"


@pytest.fixture(params=["folder", "store"])
def output(request: pytest.FixtureRequest, home: Path) -> Output:
    if request.param == "store":
        request.getfixturevalue("stored")
    opened = open_output()
    assert isinstance(opened, Folder if request.param == "folder" else ObjectStore)
    return opened


def put(output: Output, key: str, text: str) -> None:
    output.prepare(key)
    output.write(key, text)


def test_a_key_holds_what_was_written_last(output: Output) -> None:
    assert (output.stamp(KEY), dict(output.stamps("runs"))) == (None, {})
    put(output, KEY, "{}")
    first = output.stamp(KEY)
    output.write(KEY, "Łopez", last=True)
    second = output.stamp(KEY)
    assert output.read(KEY).decode() == "Łopez"
    assert None not in (first, second)
    assert first != second
    assert dict(output.stamps("runs")) == {KEY: second}


def test_what_is_not_there_is_a_missing_file(output: Output) -> None:
    put(output, KEY, "{}")
    for ask in (output.read, output.remove, lambda key: output.copy(key, "latest/n.ipynb")):
        if (ask, type(output)) != (output.remove, ObjectStore):
            with pytest.raises(FileNotFoundError, match=r"other\.ipynb"):
                ask("runs/d/r/other.ipynb")
    assert output.stamp("runs/d/r") is None


def test_only_what_lies_below_a_folder_is_listed(output: Output) -> None:
    for key in ("runs/b.ipynb", "runs/a/c.ipynb", "runs2/d.ipynb", "review/runs/e.html"):
        put(output, key, key)
    assert sorted(output.stamps("runs")) == ["runs/a/c.ipynb", "runs/b.ipynb"]
    assert list(output.stamps("review/runs")) == ["review/runs/e.html"]


def test_a_copy_holds_the_same_and_follows_when_it_is_made_again(output: Output) -> None:
    put(output, KEY, "first")
    for text in ("first", "first", "second"):
        output.write(KEY, text)
        output.copy(KEY, "latest/load.ipynb")
        assert output.read("latest/load.ipynb").decode() == text
    assert [*output.stamps("latest"), *output.stamps("runs")] == ["latest/load.ipynb", KEY]


def test_what_is_removed_is_gone_and_nothing_else(output: Output) -> None:
    keys = [KEY, "runs/d/r2/load__try1.ipynb", "runs/d/r2/load__try2.ipynb"]
    for key in keys:
        put(output, key, key)
    output.remove(keys[0])
    output.remove(keys[1])
    assert list(output.stamps("runs")) == keys[2:]


@pytest.mark.parametrize(
    "key", ["", ".", "..", "/etc/passwd", "../x", "runs/../../x", "runs/a\0b", "runs/.."]
)
def test_no_key_leads_out_of_the_output(output: Output, key: str, home: Path) -> None:
    assert not output.contains(key)
    for ask in (output.read, output.stamp, output.remove, lambda key: output.write(key, "x")):
        with pytest.raises(PipelineError, match="is not the name of"):
            ask(key)
    for pair in ((key, KEY), (KEY, key)):
        with pytest.raises(PipelineError, match="is not the name of"):
            output.copy(*pair)


def test_a_text_that_cannot_be_written_leaves_the_version_before_and_nothing_else(output: Output) -> None:
    put(output, KEY, "before")
    with pytest.raises(UnicodeEncodeError):
        output.write(KEY, "after" * 100_000 + "\udcff")
    assert output.read(KEY) == b"before"
    assert list(output.stamps("runs")) == [KEY]


def test_folders_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    put(Folder(tmp_path / "output"), KEY, "{}")
    path = tmp_path / "output" / KEY
    modes = {part.name: part.stat().st_mode & 0o777 for part in (path, *path.parents[:4])}
    assert modes == {path.name: 0o600, "r": 0o700, "d": 0o700, "runs": 0o700, "output": 0o700}


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    output = Folder(tmp_path / "output")
    put(output, KEY, "{}")
    (tmp_path / "precious").write_text("x")
    (tmp_path / "output/runs/link.ipynb").symlink_to(tmp_path / "precious")
    assert not output.contains("runs/link.ipynb")
    with pytest.raises(PipelineError, match="is not the name of a file below"):
        output.remove("runs/link.ipynb")
    assert (tmp_path / "precious").read_text() == "x"


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    output = Folder(tmp_path)
    put(output, KEY, "{}")
    left, of_another = (
        (tmp_path / KEY).with_name(f".{Path(KEY).name}.x1.tmp"),
        tmp_path / "runs/d/r/.y.x1.tmp",
    )
    left.touch()
    of_another.touch()
    output.sweep(KEY)
    assert (left.exists(), of_another.exists()) == (False, True)


def test_a_folder_needs_no_library_of_a_store(home: Path) -> None:
    look = (
        "import sys; from notebook_pipeline.running import papermill_engine, run_notebook\n"
        "from notebook_pipeline.outputs import output_store\n"
        "of_stores = {'s3fs', 'aiobotocore', 'notebook_pipeline.outputs.object_store'}\n"
        "output_store.open_output(); print(*of_stores & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, check=True).stdout == b"\n"


def test_a_page_on_a_store_says_that_it_is_one(stored: str) -> None:
    import s3fs

    open_output().write("review/index.html", "<p>")
    about = s3fs.S3FileSystem(skip_instance_cache=True).info(f"{stored}/review/index.html")
    assert about["ContentType"] == "text/html; charset=utf-8"


def test_what_must_be_local_stays_local(home: Path, stored: str) -> None:
    assert settings.output() == home / "output"
    assert settings.database() == home / "output/analytics_database.db"
    assert open_output().address(KEY) == f"{stored}/{KEY}"


WRONG = {
    "s3://": "expected a URL such as s3://bucket/prefix",
    "s3://bucket?x=1": "expected a URL such as",
    "file:///srv/output": "give the path of a folder without file://",
    "nosuch://bucket/x": "Protocol not known: nosuch",
}


@pytest.mark.parametrize("url", WRONG)
def test_a_url_that_is_no_store_is_wrong_usage(
    home: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", url)
    assert main(["prune"]) == 2
    error = capsys.readouterr().err
    assert WRONG[url] in error
    assert url in error


def test_a_url_with_a_login_is_refused_and_not_repeated(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_PIPELINE_OUTPUT", "s3://me:hidden-word@bucket/x")
    with pytest.raises(UsageError, match="contains a login") as refused:
        open_output()
    assert "hidden-word" not in str(refused.value)


def test_without_its_package_a_store_names_what_to_install(home: Path, stored: str) -> None:
    tiny.write(home / "notebooks/n.ipynb", "1")
    run = (
        "import sys; sys.modules['s3fs'] = None; from notebook_pipeline.commands.main import main;"
        "sys.exit(main(['run', 'n']))"
    )
    ended = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "install the package s3fs" in ended.stderr


def test_a_store_that_does_not_answer_is_named(
    home: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = ObjectStore(f"s3://{bucket}/elsewhere")
    for ask in (store.read, store.stamp, store.stamps, lambda key: store.write(key, "x")):
        with pytest.raises(OSError, match=f"s3://{bucket}/elsewhere/runs: .*127.0.0.1:9") as told:
            ask("runs")
        assert isinstance(told.value, PipelineError)


def test_a_bucket_that_is_not_there_is_named(stored: str) -> None:
    with pytest.raises(OSError, match=r"s3://no-such-bucket/x/runs/a\.ipynb: .*bucket does not exist"):
        ObjectStore("s3://no-such-bucket/x").write("runs/a.ipynb", "{}")


def test_a_forked_process_has_its_own_way_to_the_store(stored: str) -> None:
    forked = (
        "import os; from notebook_pipeline.outputs.output_store import open_output; output = open_output();"
        f"output.write({KEY!r}, 'x'); child = os.fork();"
        f"open_output().read({KEY!r}) == b'x' or os._exit(3);"
        "child or os._exit(0); raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert subprocess.run([sys.executable, "-c", forked], timeout=60, check=False).returncode == 0


def test_the_secrets_of_a_store_are_known_as_secrets(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-some-hours")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/a/path")
    assert credentials().secrets() == sorted(
        [os.environ["AWS_SECRET_ACCESS_KEY"], "a-token-of-some-hours"], key=len, reverse=True
    )


class Store:
    """Take what a follower writes, and fail as often as is wanted."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.failures = 0
        self.may_go_on = Event()
        self.may_go_on.set()

    def write(self, text: str) -> None:
        self.may_go_on.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("no answer")
        self.written.append(text)


def test_the_first_version_is_written_at_once_and_later_the_newest() -> None:
    store, lines = Store(), []
    follower = Follower(store.write, lines.append, 0)
    follower.offer("1")
    assert store.written == ["1"]
    store.may_go_on.clear()
    for version in "2345":
        follower.offer(version)
    store.may_go_on.set()
    until(lambda: store.written[-1] == "5")
    follower.close()
    assert len(store.written) <= 3
    assert lines == []


def test_nothing_is_written_within_the_pause_nor_after_the_end() -> None:
    store = Store()
    follower = Follower(store.write, print, 3600)
    for version in "123":
        follower.offer(version)
    follower.close()
    follower.offer("4")
    assert store.written == ["1"]


def test_a_store_that_fails_for_a_while_is_told_of_once_and_asked_again() -> None:
    store, lines = Store(), []
    follower = Follower(store.write, lines.append, 0.01)
    follower.offer("1")
    store.failures = 3
    follower.offer("2")
    until(lambda: store.written == ["1", "2"])
    follower.close()
    assert lines == ["the artefact could not be updated and will be retried: no answer"]


def test_a_store_that_fails_with_the_first_version_ends_the_run() -> None:
    store = Store()
    store.failures = 1
    follower = Follower(store.write, print, 0)
    with pytest.raises(OSError, match="no answer"):
        follower.offer("1")
    follower.close()


def test_in_a_folder_every_version_is_written(tmp_path: Path) -> None:
    output = Folder(tmp_path)
    output.prepare(KEY)
    save: Callable[[str], None]
    with following(output, KEY, print) as save:
        for version in "123":
            save(version)
            assert output.read(KEY).decode() == version
