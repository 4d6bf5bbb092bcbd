"""Schemathesis over the whole OpenAPI: a request that fits the schema is never answered with a 5xx."""

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from handigit.web import create_app
from serving import HOST, NumberReader, open_store, picture, settings

TOKEN = "a secret of more than 16"
_SLOW = list(HealthCheck)
BEARER = {"authorization": f"Bearer {TOKEN}", "host": "127.0.0.1"}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The schema of a server with a few readings."""
    folder = tmp_path_factory.mktemp("schema")
    own = settings(folder, token=SecretStr(TOKEN), rate_per_minute=10**6)
    app = create_app(own, store=open_store(folder), make_reader=lambda place: NumberReader(place, threads=1))
    with TestClient(app, base_url=HOST, headers=BEARER) as client:
        while client.get("/readyz").status_code != 200:
            pass
        for _ in range(3):
            client.post("/v1/number", content=picture())
        yield schemathesis.openapi.from_asgi("/openapi.json", app, headers=BEARER)


@pytest.mark.slow
def test_no_request_that_fits_the_schema_breaks_the_server(api) -> None:
    operations = [result.ok() for result in api.get_all_operations()]
    assert len(operations) > 30
    for operation in operations:

        @hypothesis_settings(
            max_examples=8, database=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=_SLOW
        )
        @given(case=operation.as_strategy())
        def ask(case) -> None:
            answer = case.call(headers=BEARER)
            if answer.status_code == 504 and "within" in (case.query or {}):
                return  # the client's own time limit
            case.validate_response(answer, checks=[not_a_server_error, status_code_conformance])

        ask()
