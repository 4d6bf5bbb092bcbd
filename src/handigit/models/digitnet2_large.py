"""Ours, the second generation, for those who want the last tenth; 583,034 weights."""

from handigit.models.digitnet2 import DigitNet2


class DigitNet2Large(DigitNet2):
    """Twice the residual blocks of the one that ships, and one more where the maps are smallest."""

    def __init__(self) -> None:
        super().__init__(blocks=(2, 2, 1))
