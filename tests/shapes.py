"""The checker that holds every function of the package to its annotations, shapes included, while tests run."""

from beartype import BeartypeConf, beartype

# An int where a float is declared is fine, as PEP 484 and mypy have it.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
