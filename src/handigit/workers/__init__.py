"""Reading in processes of their own, for a server that must go on answering meanwhile.

`pool` is the server's side, `child` the other, `wire` what passes between them. A picture that breaks a decoder ends
one of these processes, not the server.
"""

from handigit.workers.pool import Workers as Workers
