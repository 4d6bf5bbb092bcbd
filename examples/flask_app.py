"""Handigit inside a Flask application: draw, upload or photograph a number, and see how sure the reader is.

The page needs no network and stores nothing; without scripts, all but the pad works. `README.md` says how to run it.
"""

import secrets

from flask import Flask, render_template_string, request
from flask.typing import ResponseReturnValue

from handigit import HandigitError, Outcome, Reader

WORDS = {
    Outcome.READ: "Read",
    Outcome.DOUBT: "Not sure: please check",
    Outcome.BLANK: "Blank",
    Outcome.NOT_A_NUMBER: "Not a number",
}


def create_app() -> Flask:
    """The application; `flask run` finds it by this name."""
    app = Flask(__name__)
    # Requests for any other host name are refused, against DNS rebinding: add your host's name.
    app.config.update(MAX_CONTENT_LENGTH=10 * 2**20, TRUSTED_HOSTS=["127.0.0.1", "localhost"])
    reader = Reader()  # its models are loaded with the first picture; threads may share it

    @app.get("/")
    def form() -> ResponseReturnValue:
        return page()

    @app.post("/")
    def read() -> ResponseReturnValue:
        kind = "number" if request.form.get("kind") == "number" else "digit"
        picture = next((file for file in request.files.getlist("picture") if file.filename), None)
        if picture is None:
            return page(400, kind=kind, problem="No picture: draw, choose or take one first.")
        try:
            digit = reader.digit(picture.read()) if kind == "digit" else None
            number = digit.as_number() if digit else reader.number(picture.read())
        except HandigitError as problem:
            return page(422, kind=kind, name=picture.filename, problem=problem)
        return page(kind=kind, name=picture.filename, words=WORDS[number.outcome], number=number, digit=digit)

    @app.errorhandler(413)
    def too_large(_: Exception) -> ResponseReturnValue:
        return page(413, problem="The picture is larger than 10 MB: send a smaller one.")

    return app


def percent(confidence: float) -> str:
    """A probability in percent, never "100%", because nothing is."""
    return f"{min(confidence, 0.999):.1%}"


def page(status: int = 200, **answer: object) -> ResponseReturnValue:
    """The page, with or without a result; only the style and script with its nonce are allowed."""
    nonce = secrets.token_urlsafe()
    policy = f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; form-action 'self'"
    headers = {"Content-Security-Policy": f"default-src 'none'; {policy}; base-uri 'none'; frame-ancestors 'none'"}
    return render_template_string(PAGE, nonce=nonce, percent=percent, **answer), status, headers


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Handigit in Flask</title>
<meta name="viewport" content="width=device-width"><style nonce="{{ nonce }}">
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem 3rem }
canvas { width: 100%; box-sizing: border-box; border: 1px solid gray; border-radius: .5rem; touch-action: none }
p { margin: 0 0 1rem } label { margin-right: 1rem } output { font-size: 4rem }
button, input { font: inherit; max-width: 100% } td { padding-right: 1rem } td:nth-child(2), meter { width: 100% }
</style><h1>Handigit in Flask</h1><main><form method="post" enctype="multipart/form-data">
<p>{% for one in ["digit", "number"] %}<label><input type="radio" name="kind" value="{{ one }}"
{{ "checked" if one == (kind or "digit") }}> One {{ one }}</label>{% endfor %}</p>
<p>Draw here, and lift the pen:<canvas width="480" height="240"></canvas><button type="button">Clear</button></p>
<p><label>Or choose a picture: <input type="file" name="picture" accept="image/*,.pdf"></label></p>
<p><label>Or take one: <input type="file" name="picture" accept="image/*" capture="environment"></label></p>
<p><button>Read the picture</button></p></form>
<section aria-live="polite">
{% if name %}<p>{{ name }}</p>{% endif %}{% if problem %}<p role="alert">{{ problem }}</p>{% endif %}
{% if number %}<output>{{ number.text or "–" }}</output>
<p>{{ words }}{% if number.text %}, {{ percent(number.confidence) }} sure{% endif %}</p>
{% if number.alternatives %}<p>Or else: {% for text, confidence in number.alternatives %}
<b>{{ text }}</b> ({{ percent(confidence) }}){{ ", " if not loop.last }}{% endfor %}</p>{% endif %}{% endif %}
{% if digit and digit.glyph is not none %}<table>{% for p in digit.probabilities %}<tr><td>{{ loop.index0 }}</td>
<td><meter value="{{ p }}" aria-label="{{ loop.index0 }}"></meter></td><td>{{ percent(p) }}</td></tr>
{% endfor %}</table>{% endif %}</section></main><script nonce="{{ nonce }}">
const pad = document.querySelector("canvas"), pen = pad.getContext("2d"), answer = document.querySelector("section");
let asked = 0;
const wipe = () => { pen.fillStyle = "white"; pen.fillRect(0, 0, pad.width, pad.height); };
const read = () => pad.toBlob(async (png) => {
  const body = new FormData(document.forms[0]), mine = ++asked;
  body.set("picture", png, "Your drawing");
  const html = await (await fetch("", { method: "POST", body })).text();
  if (mine !== asked) return; // another stroke has been drawn since
  const page = Object.assign(document.createElement("template"), { innerHTML: html });
  answer.replaceChildren(...page.content.querySelector("section").childNodes);
});
const draw = (event) => {
  if (!event.isPrimary || !event.buttons) return;
  const scale = pad.width / pad.clientWidth;
  pen.lineTo(event.offsetX * scale, event.offsetY * scale); pen.stroke();
};
pad.onpointerdown = (event) => { pad.setPointerCapture(event.pointerId); pen.beginPath(); draw(event); };
pad.onpointermove = draw; pad.onpointerup = read;
document.querySelector("button[type=button]").onclick = () => { asked++; answer.replaceChildren(); wipe(); };
pen.lineWidth = 16; pen.lineCap = pen.lineJoin = "round"; wipe();
</script></html>"""


if __name__ == "__main__":
    create_app().run(host="127.0.0.1", port=5000, debug=False)
