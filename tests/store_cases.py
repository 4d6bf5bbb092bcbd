"""Numbers and pages to put into a store, and the policies that the tests use."""

from pathlib import Path

import numpy as np

from handigit.records import Box, Digit, Number, Outcome, parse_value
from handigit.store import Policy, Provenance, Role, Store, Truth

PROVENANCE = Provenance("till 7.png", "digit", "d" * 64, request_id="r1")
EVERY_READ = Policy(control_share=1, second_share=0)
NO_SAMPLES = Policy(control_share=0, second_share=0)


def number(text: str, *, confidence: float = 0.99, outcome: Outcome = Outcome.READ, second: float = 0.01) -> Number:
    """A reader's result for a line that is written as `text`; each digit is ten pixels wide."""
    digits = tuple(
        Digit(
            outcome,
            int(character),
            confidence,
            (0.1,) * 10,
            Box(10 * index, 0, 10 * index + 10, 12),
        )
        for index, character in enumerate(text)
        if character.isdigit()
    )
    box = Box(0, 0, 10 * len(text), 12)
    return Number(
        outcome=outcome,
        text="".join(filter(str.isdigit, text)),
        confidence=confidence,
        digits=digits,
        alternatives=(("0" * len(text), second),),
        raw=text,
        box=box,
        value=parse_value(text),
    )


def doubt(text: str, *, margin: float = 0.1) -> Number:
    """A doubt whose best alternative is likelier than the second by `margin`."""
    return number(text, confidence=0.5 + margin / 2, second=0.5 - margin / 2, outcome=Outcome.DOUBT)


def page(seed: int = 0) -> np.ndarray:
    """A small page with ink; each seed gives another one."""
    grey = np.full((40, 60), 250, np.uint8)
    grey[10:30, 20:24] = 10
    grey[0, 0] = seed
    return grey


def fill(store: Store) -> tuple[int, ...]:
    """Two pages, three readings, a correction, an undone one, a lease, and accounts."""
    added = store.add([number("007"), doubt("15")], PROVENANCE, page=page(1)) + store.add(
        [doubt("9")], PROVENANCE, page=page(2)
    )
    store.decide(added[1], Truth("1.6"), by="ann", key="1")
    store.undo(store.decide(added[2], Truth(outcome=Outcome.BLANK), by="ann", key="2").id, by="bob")
    store.lease("cem")
    store.accounts.add_user("ann", "correct horse", Role.REVIEWER)
    store.accounts.sign_in("ann", "correct horse")
    store.accounts.add_token("till", Role.READER)
    return added


def everything(store: Store) -> list[str]:
    return [*store.export(format="jsonl"), *(str(store.history(r.id)) for r in store.all())]


def spoil(path: Path) -> None:
    """Change one bit of a file, or add a byte to an empty one."""
    content = bytearray(path.read_bytes() or b"\0")
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
