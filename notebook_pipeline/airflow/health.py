"""The task that checks that a service is up before a notebook uses it."""

from collections.abc import Collection
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from notebook_pipeline.airflow.connection_lookup import resolve_connection
from notebook_pipeline.errors import PipelineError
from notebook_pipeline.secrets.everyday_words import everyday_words
from notebook_pipeline.secrets.redaction import Redactor
from notebook_pipeline.sources.http.http_client import Client, Patience


class HealthCheckOperator(BaseOperator):
    """Request one page of a service; fail with its URL and connection if it does not answer 200.

    It uses the HTTP client of the notebooks: no credential follows a redirect or appears in an error.
    `timeout` is in seconds.
    """

    template_fields: Collection[str] = ("http_conn_id", "endpoint")

    def __init__(self, *, http_conn_id: str, endpoint: str = "/", timeout: float = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.http_conn_id = http_conn_id
        self.endpoint = endpoint
        self.timeout = timeout

    def execute(self, context: Context) -> None:
        """Send one request; Airflow retries the task."""
        patience = Patience(
            connect=self.timeout, silence=self.timeout, answer=self.timeout, budget=2 * self.timeout, tries=1
        )
        try:
            connection = resolve_connection(self.http_conn_id)
            with Client(connection, patience) as client:
                url = client.address(self.endpoint)
                answer = client.get_in_time(url, what="health check")
        except PipelineError as error:
            raise AirflowException(f"{error}. Check the connection under Admin > Connections") from None
        redactor = Redactor([connection], everyday_words())
        self.log.info("%s answers: %s", url, redactor.text(answer.excerpt()))
