// Making elements and listening to them. Text is always text: nothing here or elsewhere parses HTML.

const maker = (namespace) => (kind, attributes = {}, ...children) => {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElementNS(namespace, tag);
  element.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
};

/** An element; "b.figures" is one of that class. `on…` attributes are handlers, children are nodes, text or nothing. */
export const make = maker("http://www.w3.org/1999/xhtml");

/** The same for SVG. */
export const draw = maker("http://www.w3.org/2000/svg");

/** A box [left, top, right, bottom] as an SVG has it. */
export const areaOf = ([x, y, right, bottom]) => ({ x, y, width: right - x, height: bottom - y });

/** The element of that id, which must be there. */
export const byId = (id) => document.getElementById(id);

/** Wherever `name` happens to what the selector finds, `act` gets the element and the event; there may be none. */
export function on(name, selector, act) {
  for (const element of document.querySelectorAll(selector)) element.addEventListener(name, (event) => act(element, event));
}

/** `act` gets the button that a form is sent with; where to is ours to say. */
export function onSubmit(form, act) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.submitter);
  });
}

/** Tell everybody, also those who hear the page. */
export function say(words) {
  const place = byId("says");
  place.textContent = words;
  place.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.classList.remove("shown"), 4000);
}

/** Do it; what goes wrong is said. */
export async function attempt(work) {
  try {
    await work();
  } catch (refusal) {
    say(refusal.message);
  }
}

/** Show a refusal in the place for it; without one the place is hidden. */
export function showRefusal(place, refusal) {
  place.textContent = refusal?.message ?? "";
  place.hidden = !refusal;
}
