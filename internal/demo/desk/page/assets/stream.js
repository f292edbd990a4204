// The server's events, into the state that all parts of the page show.

// state is everything that the server told.
export const state = {
  sessions: new Map(), // by number
  attempts: new Map(), // by token: a map by number
  happenings: [], // oldest first
  conditions: {},
  resets: 0, // how often all was forgotten
  ready: false, // all that was there before is told: what comes now is news
  connection: "connecting",
};

const keptHappenings = 200;

const take = {
  session: (s) => state.sessions.set(s.number, s),
  attempt(a) {
    if (!state.attempts.has(a.token)) state.attempts.set(a.token, new Map());
    state.attempts.get(a.token).set(a.number, a);
  },
  happening(h) {
    state.happenings.push(h);
    if (state.happenings.length > keptHappenings) state.happenings.shift();
  },
  conditions: (c) => { state.conditions = c; },
};

let source = null;
let last = ""; // id of the last event
let tellChange;
let tellHappening;

// follow connects for as long as the page is to be seen. changed is called after
// each change, and happened for each happening that is news.
export function follow(changed, happened) {
  tellChange = changed;
  tellHappening = happened;
  // A browser opens few connections to one server: tabs that nobody looks at
  // leave theirs to the others.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}

function close() {
  source?.close();
  source = null;
}

const retryAfter = 2000; // milliseconds

function open() {
  close();
  const mine = new EventSource(`/desk/stream?last=${encodeURIComponent(last)}`);
  source = mine;
  mine.onerror = () => {
    become("lost");
    if (mine.readyState !== EventSource.CLOSED) return; // it comes back by itself
    setTimeout(() => { if (source === mine) open(); }, retryAfter);
  };
  mine.addEventListener("reset", reset);
  mine.addEventListener("ready", () => { state.ready = true; become("live"); });
  mine.addEventListener("end", () => { close(); become("ended"); setTimeout(reopen, retryAfter); });
  for (const [kind, keep] of Object.entries(take)) {
    mine.addEventListener(kind, (event) => {
      last = event.lastEventId;
      const told = JSON.parse(event.data);
      keep(told);
      if (kind === "happening" && state.ready) tellHappening(told);
      tellChange();
    });
  }
}

// reopen looks whether dev was started again on the same port.
function reopen() {
  if (!source && !document.hidden) open();
}

// reset forgets what another process told.
function reset() {
  state.sessions.clear();
  state.attempts.clear();
  state.happenings = [];
  state.ready = false;
  state.resets++;
  last = "";
}

function become(connection) {
  if (state.connection === "ended" && connection === "lost") return;
  state.connection = connection;
  tellChange();
}

// ask POSTs an action. It throws an Error that says what was wrong.
export async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Error("identwatch dev does not answer. Is it still running?");
  }
  if (answer.ok) return answer.status === 201 ? answer.json() : null;
  const problem = await answer.json().catch(() => ({ detail: `HTTP ${answer.status}` }));
  const faults = (problem.errors ?? []).map((fault) => `${fault.field} ${fault.detail}`);
  throw new Error([problem.detail, ...faults].join(": "));
}
