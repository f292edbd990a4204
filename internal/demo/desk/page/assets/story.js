// What happened, newest first, as the terminal tells it; and for screen readers as
// it happens.

import { $, el, say, time } from "./dom.js";
import { chosen } from "./sessions.js";
import { state } from "./stream.js";

let resets = 0; // that the list knows of

export function showStory() {
  const list = $("story-list");
  if (resets !== state.resets) list.replaceChildren();
  resets = state.resets;
  const oldest = state.happenings[0]?.number;
  for (const h of state.happenings) {
    if (h.number > Number(list.firstElementChild?.dataset.number ?? 0)) list.prepend(makeLine(h));
  }
  while (Number(list.lastElementChild?.dataset.number) < oldest) list.lastElementChild.remove();
}

function makeLine(h) {
  return el("li", { "data-number": String(h.number) },
    el("time", { dateTime: h.at, textContent: time(h.at) }), " ",
    el("b", { textContent: h.session ? `${h.session} ${h.what}` : h.what }), " ",
    el("span", { textContent: h.detail }));
}

const announced = 5; // that stay there to be read

// announce tells a screen reader what happens to the session that is shown.
export function announce(h) {
  if (h.session && h.session !== chosen()?.number) return;
  const announcer = $("announcer");
  announcer.append(el("p", { textContent: `${h.session ? `Session ${h.session} ` : ""}${h.what}: ${h.detail}` }));
  while (announcer.children.length > announced) announcer.firstElementChild.remove();
}

const connections = {
  connecting: ["busy", "connecting"],
  live: ["done", "live"],
  lost: ["warn", "connection lost, trying again"],
  ended: ["warn", "identwatch dev has ended"],
};

export function showConnection() {
  const [tone, words] = connections[state.connection];
  const chip = $("connection");
  chip.dataset.tone = tone;
  say(chip, words);
}
