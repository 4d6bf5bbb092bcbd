// Creating elements and listening to events. Text is always text: no script here parses HTML.

const factory = (namespace) => (kind, attributes = {}, ...children) => {
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

/** An HTML element; "b.figures" has that class, `on…` attributes are handlers, falsy children are dropped. */
export const make = factory("http://www.w3.org/1999/xhtml");

/** The same for SVG. */
export const makeSvg = factory("http://www.w3.org/2000/svg");

/** A box [left, top, right, bottom] as SVG's x, y, width, height. */
export const rectOf = ([x, y, right, bottom]) => ({ x, y, width: right - x, height: bottom - y });

export const byId = (id) => document.getElementById(id);

/** Call `handler(element, event)` for each element that matches; there may be none. Pages come with buttons disabled that
    do nothing until their script has run; a handler of clicks enables its button. */
export function on(name, selector, handler) {
  for (const element of document.querySelectorAll(selector)) {
    element.addEventListener(name, (event) => handler(element, event));
    if (name === "click") element.disabled = false;
  }
}

/** Call `handler` with the submitting button instead of sending the form. Its buttons come disabled, too: until the script
    has run, the browser would send the fields itself, in the address of the page. */
export function onSubmit(form, handler) {
  for (const button of form.querySelectorAll("button:disabled")) button.disabled = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    handler(event.submitter);
  });
}

/** Show a message for four seconds; screen readers announce it. */
export function toast(message) {
  const element = byId("toast");
  element.textContent = message;
  element.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => element.classList.remove("shown"), 4000);
}

/** Run `work`; show an error as a toast. */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    toast(error.message);
  }
}

/** Show an error in an element, beginning with a capital; hide the element without one. */
export function showError(element, error) {
  element.textContent = (error?.message ?? "").replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());
  element.hidden = !error;
}

/** Run `work`; show an error in `place`. */
export async function attemptIn(place, work) {
  showError(place, null);
  await work().catch((error) => showError(place, error));
}

/** The value of the checked radio button of that name. */
export const checkedValue = (name) => document.querySelector(`input[name=${name}]:checked`).value;

/** Copy text to the clipboard; plain http has no clipboard API, so select a hidden field there. */
export async function copyText(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    const field = make("textarea.visually-hidden", {}, text);
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  toast("Copied.");
}
