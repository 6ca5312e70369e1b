"""Ask a service whether it is up before a notebook relies on it."""

from typing import Any
from urllib.parse import urlsplit

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from requests import RequestException

from notebook_pipeline.airflow.hook import resolve_connection
from notebook_pipeline.redaction import Redactor


class HealthCheckOperator(HttpOperator):
    """Get one page of a service; where it does not answer, fail with its URL and its connection."""

    def __init__(self, *, http_conn_id: str, endpoint: str = "/", timeout: float = 10, **kwargs: Any) -> None:
        options = {"timeout": timeout}
        super().__init__(
            http_conn_id=http_conn_id, endpoint=endpoint, method="GET", extra_options=options, **kwargs
        )

    def execute(self, context: Context) -> str:
        """Return what the service answers."""
        try:
            return super().execute(context)
        except AirflowNotFoundException:
            raise AirflowException(
                f"connection {self.http_conn_id!r} is not defined: add it under Admin > Connections, or set "
                f"AIRFLOW_CONN_{self.http_conn_id.upper()}"
            ) from None
        except (RequestException, AirflowException) as error:
            said = f"{self.url()} did not answer, through connection {self.http_conn_id!r} ({error})"
            redactor = Redactor([resolve_connection(self.http_conn_id)])
            # Without the error itself: that names the address as it is written.
            raise AirflowException(
                f"{redactor.text(said)}. Start the service, or correct the connection under "
                "Admin > Connections"
            ) from None

    def url(self) -> str:
        """Return the address that is asked, without any password in it."""
        parts = urlsplit(self.hook.url_from_endpoint(self.endpoint))
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
