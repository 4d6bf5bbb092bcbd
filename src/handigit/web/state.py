"""The objects that one application shares between its routes, typed in one place."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from handigit.settings import Settings
from handigit.web.auth import Access
from handigit.web.metrics import Metrics
from handigit.web.service import Service


@dataclass(frozen=True, slots=True)
class AppState:
    """`app.state.handigit` of an application that `create_app` made."""

    settings: Settings
    access: Access
    service: Service
    metrics: Metrics


def state_of(connection: HTTPConnection) -> AppState:
    """The application's shared objects."""
    state: AppState = connection.app.state.handigit
    return state
