"""Ours, the second generation, small enough for a microcontroller; 32,066 weights."""

from handigit.models.digitnet2 import DigitNet2


class DigitNet2Nano(DigitNet2):
    """Half the widths of the one that ships, and a stage less."""

    def __init__(self) -> None:
        super().__init__(widths=(8, 16, 32), blocks=(1, 1))
