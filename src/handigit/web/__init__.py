"""The service over HTTP.

In the order of a request: `server` (the process), `middleware` and `exchange_limits` (every request), `auth` (roles),
`uploads`, `api` and `pages` (the routes), `service` (queues, documents, storing), `problems` (refusals).
"""

from handigit.web.app import create_app as create_app
