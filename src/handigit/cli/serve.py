"""`handigit serve`: the service over HTTP."""

from typing import Annotated

from cyclopts import Parameter, validators

from handigit.settings import Settings

Port = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))]


def serve(*, host: str | None = None, port: Port | None = None) -> None:
    """Serve the API on this machine; everything else is set by HANDIGIT_* (docs/deploy.md).

    Args:
        host: Address to listen on; none: HANDIGIT_HOST, or this machine only.
        port: Port to listen on, 0 for any that is free; none: HANDIGIT_PORT, or 8000.
    """
    from handigit.web.server import serve as run_server

    chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run_server(Settings().model_copy(update=chosen))
