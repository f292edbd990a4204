// The two forms: to start a session, and to make something fail.

import { $, say } from "./dom.js";
import { ask, state } from "./stream.js";

// wireStart calls show to bring the page up to date.
export function wireStart(show) {
  const form = $("start-form");
  const note = () => say($("person-note"), `As described: ${form.person.selectedOptions[0].dataset.note}.`);
  form.addEventListener("change", note);
  note();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say($("start-error"), "");
    try {
      const session = await ask("/desk/sessions", {
        person: form.person.value,
        method: form.method.value,
        checks: form.checks.checked,
        waits: form.waits.value === "yes",
      });
      state.sessions.set(session.number, state.sessions.get(session.number) ?? session);
      location.hash = `#s${session.number}`;
      show(); // before the focus goes there, or a screen reader reads the old title
      $("session-title").focus();
    } catch (failed) {
      say($("start-error"), failed.message);
    }
  });
}

export function wireConditions() {
  $("conditions-form").addEventListener("change", async (event) => {
    const { name: side, value } = event.target;
    const before = state.conditions[side];
    state.conditions[side] = value; // it is, as soon as the server says so
    say($("conditions-error"), "");
    try {
      await ask("/desk/conditions", { [side]: value });
    } catch (failed) {
      say($("conditions-error"), failed.message);
      state.conditions[side] = before;
    }
    showConditions();
  });
}

// showConditions checks what is so, which another tab may have changed.
export function showConditions() {
  const form = $("conditions-form");
  for (const side of ["marksign", "receiver"]) {
    const now = state.conditions[side];
    if (now && form[side].value !== now) form[side].value = now;
    form[side][0].closest("fieldset").dataset.tone = now && now !== "well" ? "warn" : "";
  }
}
