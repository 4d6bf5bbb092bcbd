"""Which readings people are to see, and what each is worth: chance that follows from a seed, and margins.

It knows nouns and numbers, no tables. The draws are a hash of the seed and the reading's number (Duffield 2000 calls
it trajectory sampling): whoever knows both finds the same sample again, and nobody can have chosen it.
"""

import hashlib
from dataclasses import dataclass

from handigit.records import Outcome
from handigit.store.nouns import Policy, Purpose


@dataclass(frozen=True, slots=True)
class Opinions:
    """What is said of a reading: by how many, whether a runner-up is said as often, whether as part of the control."""

    count: int = 0
    disputed: bool = False
    controlled: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """That a reading is to be seen by a person: why, and how much it is worth (0..1) among those of its purpose."""

    purpose: Purpose
    worth: float


NOTHING_SAID = Opinions()


def want(
    reading: int, outcome: Outcome, margin: float, *, policy: Policy, said: Opinions = NOTHING_SAID
) -> Want | None:
    """What a reading still needs of a person; None for nothing.

    `margin`: by how much the best answer is likelier than the second. A control stays wanted when somebody has
    corrected it of their own accord: else the errors that somebody noticed would be missing from the measure.
    """
    worth = 1 - margin
    control = outcome is Outcome.READ and draw(policy, "control", reading) < policy.control_share
    if said.disputed:
        return Want(Purpose.THIRD, worth)
    if control and not said.controlled:
        # Of the sample any order will do that says nothing of how sure the reader was.
        return Want(Purpose.CONTROL, draw(policy, "order", reading))
    if said.count == 0:
        return Want(Purpose.DOUBT, worth) if outcome is Outcome.DOUBT else None
    if said.count == 1 and (control or outcome is Outcome.DOUBT):
        twice = draw(policy, "second", reading) < policy.second_share
        return Want(Purpose.SECOND, worth) if twice else None
    return None


def draw(policy: Policy, what: str, number: int) -> float:
    """A share in 0..1 that looks random and is always the same for the same seed, purpose and number."""
    digest = hashlib.blake2b(f"{policy.seed}:{what}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
