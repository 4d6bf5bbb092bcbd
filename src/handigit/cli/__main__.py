"""`python -m handigit.cli`: the same as `handigit`."""

from handigit.cli import main

main()
