// The chosen session: the person's phone, and the session's way.

import { $, ago, between, count, icon, say, set, setIcon, time, until } from "./dom.js";
import { showAttempts } from "./attempts.js";
import { chosen } from "./sessions.js";
import { inTrouble, methods, personOf, standing, toneOfOutcome } from "./standing.js";
import { ask, state } from "./stream.js";

export function showSession() {
  const session = chosen();
  $("session-none").hidden = session !== undefined;
  $("session-detail").hidden = session === undefined;
  set($("session"), "aria-labelledby", session ? "session-title" : "session-title-none");
  if (!session) return;
  const { tone, words } = standing(session);
  say($("session-title"), `Session ${session.number}: ${personOf(session)}`);
  set($("session-state"), "data-tone", tone);
  say($("session-state"), words);
  say($("session-facts"), [methods[session.method], session.checks ? "with checks" : "without checks", session.token].join(" · "));
  showPhone(session);
  showWay(session);
  showAttempts(session, state.attempts.get(session.token));
}

const deeds = { confirm: "Confirmed", refuse: "Refused", walk_away: "Left alone, and out of time" };
const ends = { ok: "Confirmed", canceled: "Cancelled", "error 40020": "Refused", "error 40021": "Out of time" };

function showPhone(session) {
  const over = Boolean(session.final_at || session.decided);
  say($("phone-app"), methods[session.method] ?? "");
  say($("phone-code"), session.code || "––––");
  say($("phone-said"), phoneSays(session));
  set($("phone-said"), "data-tone", over ? toneOnPhone(session) : null);
  // They stay where they are, so that the focus does.
  for (const button of $("phone-buttons").children) set(button, "aria-disabled", over ? "true" : null);
}

// toneOnPhone is of what the person did, whatever lists say of them.
function toneOnPhone(session) {
  const decided = { confirm: "done", refuse: "refused", walk_away: "expired" }[session.decided];
  return decided ?? (session.answer === "ok" ? "done" : toneOfOutcome(session));
}

function phoneSays(session) {
  if (session.decided) return deeds[session.decided];
  if (session.final_at) return ends[session.answer] ?? "Nothing came of it";
  if (!session.code) return "Its control code is where it was started";
  return session.note === "waits for you" ? "Is it the code that your browser shows?" : `By itself, ${session.note}`;
}

// stages are how far each stage is, and a few words.
const stages = {
  started: (s) => ["done", `at ${time(s.started_at)}, and enqueued`],
  polled(s) {
    if (s.final_at) return ["done", s.polls > 1 ? `${count(s.polls, "poll")}, waiting until the last` : "the first poll had the answer"];
    if (s.polls === 0) return ["busy", "soon"];
    return [inTrouble(s) ? "warn" : "busy", `${count(s.polls, "poll")}, the last ${ago(s.polled_at)}: ${s.last_answer}`];
  },
  final: (s) => (s.final_at ? [toneOfOutcome(s), `${s.outcome ?? s.answer}, ${between(s.started_at, s.final_at)} after the start`] : ["todo", "when the person has decided"]),
  posted(s) {
    const attempts = count(s.posts, "attempt");
    if (s.delivered) return ["done", `delivered at ${time(s.posted_at)}, with ${attempts}`];
    if (s.given_up) return ["bad", `given up after ${attempts}: ${s.last_error}`];
    if (s.next_attempt_at) return ["warn", `${attempts}: ${s.last_error}. The next comes ${until(s.next_attempt_at)}, at ${time(s.next_attempt_at)}`];
    if (s.posts > 0) return [s.posts > 1 ? "warn" : "busy", `attempt ${s.posts}, no acknowledgement yet`];
    return [s.final_at ? "busy" : "todo", s.final_at ? "on its way" : "to the receiver, signed"];
  },
  removed(s) {
    if (s.removed_at) return ["done", `from MarkSign, ${between(s.posted_at, s.removed_at)} after the event`];
    if (s.last_removal) return ["warn", `${count(s.removals, "DELETE")}, the last answer: ${s.last_removal}`];
    return [s.delivered || s.given_up ? "busy" : "todo", "from MarkSign, two seconds after the acknowledgement"];
  },
};

const toneWords = {
  done: "done", busy: "under way", todo: "to come", warn: "in trouble", bad: "failed",
  hit: "on a list", unknown: "not checked", refused: "refused", expired: "expired",
};

function showWay(session) {
  for (const item of $("journey").children) {
    const [tone, text] = stages[item.dataset.stage](session);
    if (!item.querySelector(".icon")) item.prepend(icon(tone));
    setIcon(item.querySelector(".icon"), tone);
    set(item, "data-tone", tone);
    say(item.querySelector(".tone") ?? addTone(item), `, ${toneWords[tone]}`);
    say(item.querySelector("p"), text);
  }
  const again = $("post-now");
  const waits = Boolean(session.next_attempt_at) && !session.delivered;
  if (!again.matches(":focus")) again.hidden = !waits;
  set(again, "aria-disabled", waits ? null : "true");
}

// addTone says to screen readers what the icon says to others.
function addTone(item) {
  const tone = document.createElement("span");
  tone.className = "tone unseen";
  item.querySelector("h3").append(tone);
  return tone;
}

export function wireSession() {
  $("phone-buttons").addEventListener("click", (event) => {
    const decision = event.target.dataset.decision;
    if (decision) act(event.target, "decision", { decision }, $("phone-error"));
  });
  $("post-now").addEventListener("click", (event) => act(event.target, "post", {}, $("post-error")));
}

async function act(button, what, body, error) {
  if (button.getAttribute("aria-disabled") === "true") return;
  say(error, "");
  try {
    await ask(`/desk/sessions/${encodeURIComponent(chosen().token)}/${what}`, body);
  } catch (failed) {
    say(error, failed.message);
  }
}
