// The page of `identwatch dev`. The server tells what is so (stream.js), and each
// part shows it in place.

import { $ } from "./dom.js";
import { showConditions, wireConditions, wireStart } from "./controls.js";
import { showSession, wireSession } from "./session.js";
import { showSessions } from "./sessions.js";
import { announce, showConnection, showStory } from "./story.js";
import { follow } from "./stream.js";

function show() {
  showConnection();
  showSessions();
  showSession();
  showConditions();
  showStory();
}

// bringIntoView matters where the page is narrow, and the session under the list.
function bringIntoView(section) {
  const { top } = section.getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) section.scrollIntoView();
}

let planned = false;

// plan shows all changes of one moment together.
function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    show();
  });
}

wireStart(show);
wireConditions();
wireSession();
addEventListener("hashchange", () => {
  show();
  bringIntoView($("session"));
});
setInterval(plan, 500); // times go by
follow(plan, announce);
