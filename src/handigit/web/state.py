"""The objects that one application shares between its routes, typed in one place."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from handigit.settings import Settings
from handigit.web.auth import Access
from handigit.web.metrics import Metrics
from handigit.web.readiness import Readiness
from handigit.web.service import Service
from handigit.web.write_pool import WritePool


@dataclass(frozen=True, slots=True)
class AppState:
    """`app.state.handigit` of an application that `create_app` made."""

    settings: Settings
    access: Access
    service: Service
    metrics: Metrics
    readiness: Readiness
    writes: WritePool


def state_of(connection: HTTPConnection) -> AppState:
    """The application's shared objects."""
    state: AppState = connection.app.state.handigit
    return state
