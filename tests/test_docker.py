"""The Docker files: valid, without a default secret, on loopback, and in step with what is installed."""

import json
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.providers.celery.get_provider_info import get_provider_info

from notebook_pipeline import settings
from notebook_pipeline.connections import Connection, resolve

ROOT = settings.CHECKOUT
FILES = ("docker-compose.yaml", "docker-compose.override.yaml", "docker-compose.cluster.yaml")
TEXTS = {name: (ROOT / name).read_text() for name in FILES}
SERVICES: dict[str, dict[str, Any]] = {name: yaml.safe_load(text)["services"] for name, text in TEXTS.items()}
BASE, DEVELOPMENT, CLUSTER = SERVICES.values()
EVERY_SERVICE = [(file, name) for file, services in SERVICES.items() for name in services]
AIRFLOW_SERVICES = ("api-server", "dag-processor", "scheduler", "triggerer")
STORED = (
    *(f"/opt/airflow/{name}" for name in ("output", "logs", "auth")),
    "/var/lib/postgresql",
    "/data",
)
VOLUMES = {name for text in TEXTS.values() for name in yaml.safe_load(text).get("volumes", ())}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRETS = {
    "AIRFLOW_ADMIN_PASSWORD",
    "ANALYTICS_PASSWORD",
    "API_SECRET_KEY",
    "FERNET_KEY",
    "JUPYTER_TOKEN",
    "JWT_SECRET",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
}


def environment(file: str, name: str) -> dict[str, str]:
    return SERVICES[file][name].get("environment", {})


def variables(text: str) -> set[tuple[str, str]]:
    """Return the variables that Compose fills in, each with what follows its name."""
    return set(re.findall(r"\$\{(\w+)([^}]*)\}", text))


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("file", FILES)
def test_it_follows_the_compose_specification(file: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_a_secret_has_no_default_and_compose_refuses_to_start_without_it(secret: str) -> None:
    used = {rest for text in TEXTS.values() for name, rest in variables(text) if name == secret}
    assert used == {":?set it in .env, see .env.example"}
    assert example()[secret] == ""


def test_nothing_that_sounds_like_a_secret_is_written_out() -> None:
    for file, name in EVERY_SERVICE:
        for variable, value in environment(file, name).items():
            if re.search("PASSWORD$|SECRET|TOKEN|_KEY$|_CONN$", variable):
                assert ":?" in value, f"{file}: {name}: {variable} has a value of its own"


def test_every_variable_of_compose_is_in_the_example_and_the_other_way_round() -> None:
    used = {name for text in TEXTS.values() for name, _ in variables(text)}
    assert used == example().keys() - {"COMPOSE_PROJECT_NAME"}


def test_the_example_repeats_the_defaults() -> None:
    defaults = {
        name: rest.removeprefix(":-")
        for text in TEXTS.values()
        for name, rest in variables(text)
        if rest.startswith(":-") and not name.startswith("CONNECTION_")
    }
    assert {name: example()[name] for name in defaults} == defaults


@pytest.mark.parametrize(("file", "name"), EVERY_SERVICE)
def test_ports_are_bound_to_loopback(file: str, name: str) -> None:
    for port in SERVICES[file][name].get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{name} publishes {port} to the network"


@pytest.mark.parametrize(("file", "name"), EVERY_SERVICE)
def test_airflow_knows_every_setting(file: str, name: str) -> None:
    for variable in environment(file, name):
        if variable.startswith("AIRFLOW__"):
            _, section, option = variable.lower().split("__")
            assert option in airflow_options()[section], f"Airflow has no [{section}] {option}"


@cache
def airflow_options() -> dict[str, set[str]]:
    found = find_spec("airflow")
    assert found
    assert found.origin
    text = (Path(found.origin).parent / "config_templates" / "config.yml").read_text()
    described = yaml.load(text, yaml.CSafeLoader)
    described |= get_provider_info()["config"]
    return {section: set(content["options"]) for section, content in described.items()}


def test_airflow_knows_every_command() -> None:
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    for name in AIRFLOW_SERVICES:
        command, test = BASE[name]["command"].split(), BASE[name]["healthcheck"]["test"]
        assert parser.parse_args(command).func
        if test[1] == "airflow":
            assert parser.parse_args(test[2:]).func


@pytest.mark.parametrize("name", [*AIRFLOW_SERVICES, "init", "worker"])
def test_every_service_of_the_cluster_knows_where_work_goes(name: str) -> None:
    told = {variable for variable in CLUSTER["worker"]["environment"] if "__CELERY" in variable}
    assert len(told) == 4
    assert told <= CLUSTER[name]["environment"].keys()
    assert CLUSTER[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert CLUSTER[name]["build"]["args"] == {"PINS": "cluster"}


def test_a_worker_holds_no_key_of_airflow_and_no_connection() -> None:
    told = CLUSTER["worker"]["environment"]
    assert not [name for name in told if re.search("SECRET|FERNET|SQL_ALCHEMY|_CONN_", name)]
    shared = BASE["scheduler"]["environment"]
    for name in ("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__CORE__LOAD_EXAMPLES"):
        assert told[name] == shared[name]


def test_the_cluster_s_connection_is_its_own_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    told = CLUSTER["init"]["environment"]["AIRFLOW_CONN_ANALYTICS_DATABASE"]
    monkeypatch.setenv("AIRFLOW_CONN_ANALYTICS_DATABASE", re.sub(r"\$\{[^}]*\}", "abc", told))
    database = CLUSTER["analytics"]["environment"]
    login, name = database["POSTGRES_USER"], database["POSTGRES_DB"]
    assert resolve("analytics_database") == Connection(
        "analytics_database",
        "postgres",
        host="analytics",
        login=login,
        password="abc",
        schema=name,
        port=5432,
    )


def test_a_worker_mounts_what_the_scheduler_mounts() -> None:
    assert CLUSTER["worker"]["volumes"] == BASE["scheduler"]["volumes"]


def test_airflow_knows_the_command_of_a_worker() -> None:
    from airflow.cli.cli_parser import get_parser

    assert get_parser().parse_args(CLUSTER["worker"]["command"].split()).func


def test_the_scheduler_answers_where_its_health_is_asked() -> None:
    from airflow.configuration import conf

    port = conf.getint("scheduler", "scheduler_health_check_server_port")
    assert f"http://localhost:{port}/health" in BASE["scheduler"]["healthcheck"]["test"]


@pytest.mark.parametrize("name", [*AIRFLOW_SERVICES, "postgres"])
def test_every_service_says_whether_it_is_healthy_and_starts_again(name: str) -> None:
    assert BASE[name]["healthcheck"]["test"][0] == "CMD"
    assert BASE[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize(("file", "name"), EVERY_SERVICE)
def test_the_database_never_lies_on_a_folder_of_the_host(file: str, name: str) -> None:
    for volume in SERVICES[file][name].get("volumes", []):
        source, target = volume.split(":")[:2]
        if target in STORED:
            assert source in VOLUMES
        else:
            assert (ROOT / source).is_dir(), f"{name} mounts {source}, which is not there"


@pytest.mark.parametrize(("file", "name"), EVERY_SERVICE)
def test_declarations_are_where_the_notebooks_are(file: str, name: str) -> None:
    mounted = [volume.split(":")[1] for volume in SERVICES[file][name].get("volumes", [])]
    assert ("/opt/airflow/notebooks" in mounted) == ("/opt/airflow/datasets" in mounted)
    assert "COPY --chown=airflow:0 datasets /opt/airflow/datasets" in DOCKERFILE
    assert "!datasets/" in (ROOT / ".dockerignore").read_text().splitlines()


@pytest.mark.parametrize("name", AIRFLOW_SERVICES)
def test_connections_are_not_set_where_they_would_hide_those_of_the_pages(name: str) -> None:
    for file in FILES:
        found = (
            [one for one in environment(file, name) if one.startswith("AIRFLOW_CONN_")]
            if name in SERVICES[file]
            else []
        )
        assert not found, f"{file}: {name}: {found} would win over what people edit in Airflow"
    assert len([one for one in BASE["init"]["environment"] if one.startswith("AIRFLOW_CONN_")]) == 3


def test_only_initialisation_is_told_the_password() -> None:
    told = [name for file, name in EVERY_SERVICE if "AIRFLOW_ADMIN_PASSWORD" in environment(file, name)]
    assert told == ["init"]


def test_services_reach_each_other_by_their_names() -> None:
    shared = BASE["scheduler"]["environment"]
    assert shared["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"
    assert shared["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@postgres:5432/airflow")
    assert {"api-server", "postgres"} <= BASE.keys()
    assert (
        "http://sample-api:8000" in DEVELOPMENT["init"]["environment"]["AIRFLOW_CONN_SPORTSWORLDCENTRAL_URL"]
    )
    assert "sample-api" in DEVELOPMENT


def test_the_image_is_the_airflow_that_is_locked() -> None:
    assert f"ARG AIRFLOW=apache/airflow:{version('apache-airflow')}-python3.11\n" in DOCKERFILE
    places = {volume.split(":")[1] for volume in yaml.safe_load(TEXTS[FILES[1]])["x-source"]}
    assert places == {"/opt/pipeline/lib/python3.11/site-packages/notebook_pipeline"}


def test_the_image_holds_what_a_run_needs_and_no_jupyterlab() -> None:
    pins = {
        name: set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("run.txt", "docker.txt", "cluster.txt")
    }
    assert pins["docker.txt"] - pins["run.txt"] == {"asyncpg", "psycopg2-binary"}
    assert pins["run.txt"] < pins["docker.txt"] < pins["cluster.txt"]
    assert {"apache-airflow-providers-celery", "celery", "redis"} <= pins["cluster.txt"]
    assert "jupyterlab" not in pins["docker.txt"]


def test_what_the_start_page_links_to_is_in_the_image() -> None:
    page = (ROOT / "notebooks" / "README.md").read_text()
    assert "](../README.md" in page
    assert "COPY --chown=airflow:0 README.md /opt/airflow/\n" in DOCKERFILE, (
        "the start page's link leads nowhere"
    )


def test_what_the_image_copies_is_there_and_sent_to_the_engine() -> None:
    sent = [
        line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
        if not source.startswith("--")
    ]
    assert len(copied) > 8
    for source in copied:
        assert (ROOT / source).exists(), f"the Dockerfile copies {source}, which is not there"
        assert source.split("/")[0] in sent, f".dockerignore keeps {source} from the engine"


def test_the_page_names_services_volumes_and_variables_that_exist() -> None:
    page = (ROOT / "docs" / "docker.md").read_text()
    named = re.findall(
        r"docker compose (?:-f \S+ )?(?:exec|logs|restart|cp|up -d|stop|run --rm)(?: -\S+)* ([a-z][a-z-]*)",
        page,
    )
    assert {"init", "scheduler"} <= set(named)
    assert set(named) <= BASE.keys() | DEVELOPMENT.keys() | CLUSTER.keys(), json.dumps(named)
    for variable in re.findall(r"`([A-Z][A-Z_]{5,})`", page):
        known = [*example(), *(one for services in BASE.values() for one in services.get("environment", {}))]
        assert variable in known, f"the page names {variable}, which nothing reads"
