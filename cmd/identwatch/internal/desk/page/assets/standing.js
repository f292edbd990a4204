// What a session's numbers and times mean, in words.

import { until } from "./dom.js";

export const methods = { smart_id: "Smart-ID", mobile_id: "Mobile-ID" };

export const personOf = (session) => session.person || "A session started by hand";

// inTrouble reports whether MarkSign's last answer was a fault.
export const inTrouble = (s) => !s.final_at && s.last_answer !== undefined && s.last_answer !== "waiting";

// standing is how a session stands: its tone, which is the name of an icon too, and
// a few words.
export function standing(s) {
  if (s.removed_at && s.delivered) return { tone: "done", words: s.outcome };
  if (s.given_up && !s.delivered) return { tone: "bad", words: s.removed_at ? "given up, removed" : "given up" };
  if (s.delivered && s.last_removal) return { tone: "warn", words: "delivered, not removed yet" };
  if (s.delivered) return { tone: "busy", words: "delivered" };
  if (s.next_attempt_at) return { tone: "warn", words: `posted again ${until(s.next_attempt_at)}` };
  if (s.posts > 1) return { tone: "warn", words: "being posted again" };
  if (s.posts > 0 || s.final_at) return { tone: "busy", words: "being posted" };
  if (inTrouble(s)) return { tone: "warn", words: `MarkSign: ${s.last_answer}` };
  return { tone: "busy", words: "waiting for the person" };
}
