// Small helpers for a page that is brought up to date in place: nothing is made
// anew that is already there, so that the focus stays where it is.

export const $ = (id) => document.getElementById(id);

// el makes an element. Properties that begin with "aria-" or "data-", and role,
// are attributes.
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (/^(aria-|data-|role$)/.test(name)) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

// icon is one of the symbols at the end of the page. The text beside it says the
// same, so that it is hidden from screen readers.
export function icon(tone) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(space, "use"));
  setIcon(svg, tone);
  return svg;
}

export function setIcon(svg, tone) {
  const href = `#i-${tone}`;
  if (svg.firstChild.getAttribute("href") !== href) svg.firstChild.setAttribute("href", href);
}

// say sets a text, if it is another one.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// set sets an attribute, if it is another one; null takes it away.
export function set(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

// time is the time of day.
export const time = (at) => clock.format(new Date(at));

// ago is how long ago a time was, or "now".
export function ago(at) {
  const seconds = Math.round((Date.now() - new Date(at)) / 1000);
  return seconds < 1 ? "just now" : `${span(seconds)} ago`;
}

// until is how long it is until a time.
export function until(at) {
  const seconds = Math.ceil((new Date(at) - Date.now()) / 1000);
  return seconds < 1 ? "now" : `in ${span(seconds)}`;
}

function span(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

// between is the time between two, in seconds with one decimal.
export const between = (from, to) => `${((new Date(to) - new Date(from)) / 1000).toFixed(1)} s`;

// count is a number and its noun.
export const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
