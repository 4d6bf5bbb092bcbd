"""The service over HTTP: requests in, answers out, and what an operator needs to trust it.

In the order of a request: `server` (the process), `guard` and `exchange` (what every request passes), `access` (who
asks), `uploads`, `reads` and the other addresses, `service` (lanes, documents, keeping), `problems` (what goes wrong).
Reading and storing are other rooms' work.
"""

from handigit.web.app import create_app as create_app
