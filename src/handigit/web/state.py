"""The objects that one application shares between its routes, typed in one place."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from handigit.settings import Settings
from handigit.web.auth import Access
from handigit.web.exports import Exports
from handigit.web.form_service import FormService
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
    forms: FormService
    exports: Exports


def state_of(connection: HTTPConnection | Starlette) -> AppState:
    """The shared objects of an application, or of the one that a request is for."""
    app = connection if isinstance(connection, Starlette) else connection.app
    state: AppState = app.state.handigit
    return state
