// The list of sessions, and which of them is chosen: that of the address, #s7.

import { $, el, icon, say, set, setIcon } from "./dom.js";
import { personOf, standing } from "./standing.js";
import { state } from "./stream.js";

const shown = new Map(); // number to the parts of its item

let byItself = null; // the session that is shown where the address has none

// chosen is the session to show, undefined where there is none. Where the address
// has none it is the first that is under way, and then stays that one.
export function chosen() {
  const asked = state.sessions.get(Number(/^#s(\d+)$/.exec(location.hash)?.[1]));
  if (asked) return asked;
  const all = [...state.sessions.values()];
  if (!state.sessions.has(byItself)) {
    byItself = (all.find((s) => !s.removed_at) ?? all.at(-1))?.number ?? null;
  }
  return state.sessions.get(byItself);
}

export function showSessions() {
  for (const number of shown.keys()) {
    if (!state.sessions.has(number)) {
      shown.get(number).item.remove();
      shown.delete(number);
    }
  }
  const current = chosen()?.number;
  for (const session of state.sessions.values()) showItem(session, session.number === current);
  $("sessions-none").hidden = state.sessions.size > 0;
  say($("sessions-count"), state.sessions.size > 0 ? String(state.sessions.size) : "");
}

function showItem(session, current) {
  if (!shown.has(session.number)) shown.set(session.number, makeItem(session));
  const { item, link, mark, state: words } = shown.get(session.number);
  const { tone, words: text } = standing(session);
  set(item, "data-tone", tone);
  set(item, "data-verdict", session.removed_at ? session.verdict ?? null : null);
  set(link, "aria-current", current ? "true" : null);
  setIcon(mark, tone);
  say(words, text);
}

// makeItem makes an item in its place: the newest is first.
function makeItem(session) {
  const mark = icon("busy");
  const words = el("span", { className: "state" });
  const link = el("a", { href: `#s${session.number}` },
    mark,
    el("span", { className: "who" }, el("span", { className: "number", textContent: `${session.number} ` }), personOf(session)),
    words);
  const item = el("li", { "data-number": String(session.number) }, link);
  const list = $("session-list");
  const older = [...list.children].find((other) => Number(other.dataset.number) < session.number);
  list.insertBefore(item, older ?? null);
  return { item, link, mark, state: words };
}
