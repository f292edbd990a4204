// What a session's numbers and times mean, in words.

import { until } from "./dom.js";

export const methods = { smart_id: "Smart-ID", mobile_id: "Mobile-ID" };

export const personOf = (session) => session.person || "A session started by hand";

// inTrouble reports whether MarkSign's last answer was a fault.
export const inTrouble = (s) => !s.final_at && s.last_answer !== undefined && s.last_answer !== "waiting";

// verdicts are the tones of what an application may conclude: a tick is for those who passed, and for nobody else.
export const verdicts = { clear: "done", hit: "hit", unknown: "unknown", refused: "refused", expired: "expired", failed: "bad" };

const answers = { canceled: "refused", "error 40020": "refused", "error 40021": "expired" };

// toneOfOutcome is the tone of a session's outcome. Until there is an event, an answer alone says whether the person
// confirmed, and not whether they are on a list.
export function toneOfOutcome(s) {
  if (s.verdict) return verdicts[s.verdict];
  return s.answer === "ok" ? "busy" : answers[s.answer] ?? "bad";
}

// standing is how a session stands: its tone, which is the name of an icon too, and
// a few words.
export function standing(s) {
  if (s.removed_at && s.delivered) return { tone: verdicts[s.verdict] ?? "unknown", words: s.outcome };
  if (s.given_up && !s.delivered) return { tone: "bad", words: s.removed_at ? "given up, removed" : "given up" };
  if (s.delivered && s.last_removal) return { tone: "warn", words: "delivered, not removed yet" };
  if (s.delivered) return { tone: "busy", words: "delivered" };
  if (s.next_attempt_at) return { tone: "warn", words: `posted again ${until(s.next_attempt_at)}` };
  if (s.posts > 1) return { tone: "warn", words: "being posted again" };
  if (s.posts > 0 || s.final_at) return { tone: "busy", words: "being posted" };
  if (inTrouble(s)) return { tone: "warn", words: `MarkSign: ${s.last_answer}` };
  return { tone: "busy", words: "waiting for the person" };
}
