"""Handigit as a Gradio demo for a hosted space: draw or upload a number, and see how sure the reader is.

Put this file into a space as `app.py`, with `handigit` in its `requirements.txt`. `README.md` says how to run it here.
"""

from functools import cache
from typing import Any

import numpy as np

from handigit import HandigitError, Outcome, Reader

KINDS = ["a digit or a number", "one digit", "one number", "a page of numbers"]
WORDS = {
    Outcome.READ: "Read",
    Outcome.DOUBT: "Not sure: please check",
    Outcome.BLANK: "Blank",
    Outcome.NOT_A_NUMBER: "Not a number",
}
Row = list[str]


@cache
def reader() -> Reader:
    """One for all visitors: its models are loaded once, and threads may share it."""
    return Reader()


def read(drawn: np.ndarray | dict[str, Any] | None, kind: str) -> tuple[str, list[Row]]:
    """A sentence about a picture, and a row for each number: the number, its confidence, and the runners-up.

    `drawn`: pixels, or the sketch pad's dictionary of layers.
    """
    pixels = drawn["composite"] if isinstance(drawn, dict) else drawn
    if pixels is None:
        return "Draw a number, or choose a picture.", []
    try:
        if kind == KINDS[1]:
            numbers = [reader().digit(pixels).as_number()]
        elif kind == KINDS[2]:
            numbers = [reader().number(pixels)]
        elif kind == KINDS[3]:
            numbers = reader().page(pixels)
        else:
            numbers = reader().read(pixels)
    except HandigitError as problem:
        return str(problem), []
    rows = [
        [number.raw, f"{min(number.confidence, 0.999):.1%}", " ".join(text for text, _ in number.alternatives[:3])]
        for number in numbers
        if number.text
    ]
    if len(numbers) == 1:
        return WORDS[numbers[0].outcome], rows
    return f"{len(rows)} numbers on the page", rows


def build() -> Any:
    """The page, as Gradio's blocks."""
    import gradio as gr

    with gr.Blocks(title="Handigit", analytics_enabled=False) as page:
        gr.Markdown("# Handigit\nReads handwritten numbers, and says when it is not sure.")
        with gr.Row():
            with gr.Column():
                kind = gr.Radio(KINDS, value=KINDS[0], label="What it holds")
                pad = gr.Sketchpad(label="Draw", height=280, type="numpy")
                file = gr.Image(label="Or choose a picture", type="numpy", sources=["upload", "clipboard", "webcam"])
            with gr.Column():
                outcome = gr.Textbox(label="Result")
                table = gr.Dataframe(headers=["number", "confidence", "or"], label="Numbers")
        for source in (pad, file):
            source.change(read, [source, kind], [outcome, table])
    return page


if __name__ == "__main__":
    build().launch()
