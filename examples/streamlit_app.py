"""Handigit inside a Streamlit application: draw, upload or photograph a number, and see how sure the reader is.

Streamlit runs this file again after every change on the page. `README.md` says how to run it.
"""

import streamlit as st
from streamlit_drawable_canvas import st_canvas

from handigit import Digit, HandigitError, Number, Outcome, Reader

FORMATS = ["png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp", "pdf"]
WORDS = {
    Outcome.READ: "Read",
    Outcome.DOUBT: "Not sure: please check",
    Outcome.BLANK: "Blank",
    Outcome.NOT_A_NUMBER: "Not a number",
}


@st.cache_resource
def reader() -> Reader:
    """One for all visitors: its models are loaded once, and threads may share it."""
    return Reader()


def picture() -> bytes | None:
    """The visitor's picture, from one source at a time, so that the camera stays off until it is chosen."""
    source = st.segmented_control("From", ["Pad", "File", "Camera"], default="Pad", required=True)
    if source == "Pad":
        # Streamlit has no drawing pad; since 0.10 this component uses Streamlit's components v2.
        pad = st_canvas(
            key="pad", width=320, height=240, stroke_width=16, background_color="white", return_image_data=True
        )
        drawn: bytes | None = pad.image_bytes
        return drawn
    if source == "File":
        given = st.file_uploader("A picture or PDF", FORMATS, max_upload_size=10)
    else:
        given = st.camera_input("A photograph")
    return given.getvalue() if given else None


def show(number: Number) -> None:
    """The result, its confidence, and the alternatives."""
    sure = f", {percent(number.confidence)} sure" if number.text else ""
    st.metric(WORDS[number.outcome] + sure, number.text or "–")
    if number.alternatives:
        st.text("Or else: " + ", ".join(f"{text} ({percent(chance)})" for text, chance in number.alternatives))


def show_probabilities(digit: Digit) -> None:
    """The ten probabilities and the glyph that the model saw; a blank has neither."""
    if digit.glyph is None:
        return
    table = {"digit": [*"0123456789"], "probability": digit.probabilities}
    st.bar_chart(table, x="digit", y="probability", horizontal=True, height=320)
    st.image(digit.glyph, caption="What the model saw", width=140)


def percent(confidence: float) -> str:
    """A probability in percent, never "100%", because nothing is."""
    return f"{min(confidence, 0.999):.1%}"


def main() -> None:
    """The page, from top to bottom."""
    st.set_page_config(page_title="Handigit in Streamlit")
    st.title("Handigit in Streamlit")
    left, right = st.columns(2, gap="large")
    with left:
        kind = st.segmented_control("What it holds", ["One digit", "One number"], default="One digit", required=True)
        content = picture()
    if content is None:
        return
    with right:
        try:
            digit = reader().digit(content) if kind == "One digit" else None
            show(digit.as_number() if digit else reader().number(content))
        except HandigitError as problem:
            st.error(str(problem))
            return
        if digit:
            show_probabilities(digit)


if __name__ == "__main__":
    main()
