// The requests that the receiver got for a session: what was signed, headers, body.

import { $, count, el, icon, time } from "./dom.js";

let shownToken = null;

// showAttempts adds those that are not there yet, the newest first. What is there
// stays as it is: somebody may be reading it.
export function showAttempts(session, attempts = new Map()) {
  const list = $("attempts");
  if (shownToken !== session.token) {
    shownToken = session.token;
    list.replaceChildren();
  }
  $("attempts-none").hidden = attempts.size > 0;
  for (const attempt of attempts.values()) {
    if (list.querySelector(`[data-attempt="${attempt.number}"]`)) continue;
    for (const older of list.children) {
      if (!older.contains(document.activeElement)) older.open = false;
    }
    list.prepend(makeAttempt(attempt));
  }
}

function makeAttempt(a) {
  const tone = a.status >= 200 && a.status < 300 && a.delay_ms < 15000 ? "done" : "bad";
  return el("details", { open: true, className: "attempt", "data-attempt": String(a.number), "data-tone": tone },
    el("summary", {}, icon(tone), el("span", {},
      el("b", { textContent: `Attempt ${a.number}` }), ` at ${time(a.at)}: ${answered(a)}`)),
    signatureCheck(a),
    el("h4", { textContent: "Headers" }),
    el("dl", { className: "headers" }, ...a.headers.map(([name, value]) =>
      el("div", {}, el("dt", { textContent: name }), el("dd", {}, breakable(value))))),
    el("h4", { textContent: "Body" }),
    el("pre", { tabIndex: 0, role: "region", "aria-label": `Body of attempt ${a.number}` }, ...coloured(a.body)));
}

function answered(a) {
  const after = a.delay_ms > 0 ? ` after ${a.delay_ms / 1000} s` : "";
  return a.status === 0 ? "the connection was closed without an answer" : `answered ${a.status}${after}`;
}

const kinds = { v1: "HMAC-SHA256, with the shared secret", v1a: "Ed25519, with the public key" };

// signatureCheck names each part of what is signed.
function signatureCheck(a) {
  const header = new Map(a.headers);
  const part = (name, text) => el("div", {}, el("dt", { textContent: name }), el("dd", {}, breakable(text)));
  return el("div", { className: "signature", "data-tone": a.verified ? "done" : "bad" },
    el("h4", {}, icon(a.verified ? "done" : "bad"), a.verified ? "Signature verified" : "Signature NOT verified"),
    el("p", { className: "unseen", textContent: "What is signed, joined by dots:" }),
    el("dl", {},
      part("webhook-id", header.get("webhook-id") ?? "missing"),
      part("webhook-timestamp", stamp(header.get("webhook-timestamp"))),
      part("body", `${count(a.bytes, "byte")}, as they came`)),
    el("ul", {}, ...(a.signatures ?? []).map((s) =>
      el("li", { "data-tone": s.valid ? "done" : "bad" }, icon(s.valid ? "done" : "bad"),
        el("span", {}, el("code", { textContent: s.version }), ` ${kinds[s.version] ?? "unknown"}: ${s.valid ? "matches" : "does not match"}`)))));
}

function stamp(seconds) {
  return seconds ? `${seconds}, which is ${time(Number(seconds) * 1000)}` : "missing";
}

// breakable lets a long text be broken anywhere.
const breakable = (text) => el("span", { className: "breakable", textContent: text });

const long = 96; // characters of base64 that are shown whole
const kept = 40; // of one that is longer

// tokens are keys, texts and everything else of JSON that is indented.
const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|[^"]+/g;

function coloured(body) {
  const parts = [];
  for (const [all, text, colon] of body.matchAll(tokens)) {
    if (text === undefined) parts.push(all);
    else if (colon !== undefined) parts.push(el("span", { className: "key", textContent: text }), colon);
    else if (text.length > long && /^"[A-Za-z0-9+/=]+"$/.test(text)) parts.push(cut(text));
    else parts.push(el("span", { className: "text", textContent: text }));
  }
  return parts;
}

// cut is a long text of which the rest shows at the press of a button.
function cut(text) {
  const shown = el("span", { className: "text breakable", textContent: `${text.slice(0, kept)}…` });
  const button = el("button", { type: "button", className: "cut", "aria-expanded": "false", textContent: `all ${(text.length - 2).toLocaleString("en")} characters` });
  button.addEventListener("click", () => {
    const whole = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(whole));
    shown.textContent = whole ? text : `${text.slice(0, kept)}…`;
    button.textContent = whole ? "fewer characters" : `all ${(text.length - 2).toLocaleString("en")} characters`;
  });
  return el("span", {}, shown, " ", button);
}
