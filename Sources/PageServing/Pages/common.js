// What both pages share: the live stream, texts for people, and a few helpers for the DOM. No library, no build step.

// --- texts ---------------------------------------------------------------------------------------------------------

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count) {
  let value = count, unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${unit === 0 ? value : value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export const rate = (perSecond) => `${bytes(Math.round(perSecond))}/s`;

export function duration(seconds) {
  if (seconds < 1) return "0 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** The time of day; with the date when it is not today. */
export function clock(date) {
  return date.toDateString() === new Date().toDateString() ? clockFormat.format(date) : dayFormat.format(date);
}

export const count = (number, word) => `${number.toLocaleString()} ${word}${number === 1 ? "" : "s"}`;

// --- DOM -----------------------------------------------------------------------------------------------------------

export const byId = (id) => document.getElementById(id);

/** Changes a text only when it differs, so that screen readers and layout are left alone. */
export function setText(node, text) { if (node.textContent !== text) node.textContent = text; }

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) { if (node.hasAttribute(name)) node.removeAttribute(name); }
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** A copy of a <template>'s content, and its parts by their data-part. */
export function instantiate(templateId) {
  const root = byId(templateId).content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const node of root.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  return { root, parts };
}

/** A badge's text, its sign apart: ⏸ is drawn by the style sheet, since many fonts have it only as a picture. */
export function setBadge(node, text) {
  if (node.textContent === text) return;
  const sign = document.createElement("span");
  sign.textContent = text.slice(0, text.indexOf(" "));
  sign.className = sign.textContent.startsWith("⏸") ? "sign pause" : "sign";
  node.replaceChildren(sign, text.slice(text.indexOf(" ")));
}

export function setBar(bar, percent) {
  setAttribute(bar, "aria-valuenow", percent);
  bar.firstElementChild.style.transform = `scaleX(${percent / 100})`;
}

/** The nodes in this order, moving as few as possible. */
export function order(parent, nodes) {
  let next = parent.firstElementChild;
  for (const node of nodes) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  while (next) { const gone = next; next = next.nextElementSibling; gone.remove(); }
}

// --- telling -------------------------------------------------------------------------------------------------------

let waiting = [], isTelling = false;

/** For screen readers: at most one sentence in two seconds; what piles up is told as a number. */
export function announce(sentence) {
  if (waiting.length < 50 && !waiting.includes(sentence)) waiting.push(sentence);
  if (isTelling) return;
  isTelling = true;
  const tell = () => {
    if (waiting.length === 0) { isTelling = false; return; }
    const told = waiting.length > 3 ? [...waiting.slice(0, 2), `and ${waiting.length - 2} more changes`] : waiting;
    setText(byId("announcement"), told.join("; "));
    waiting = [];
    setTimeout(tell, 2000);
  };
  setTimeout(tell, 100);
}

/** A short note at the bottom; a failure stays until it is closed. */
export function note(text, isFailure = false) {
  const box = byId("notes");
  const item = document.createElement("div");
  item.className = isFailure ? "note failure" : "note";
  const sentence = document.createElement("span");
  sentence.textContent = text;
  item.append(sentence);
  if (isFailure) {
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => item.remove());
    item.append(close);
  } else {
    setTimeout(() => item.remove(), 4000);
  }
  while (box.childElementCount >= 4) box.firstElementChild.remove();
  box.append(item);
}

// --- the live stream -----------------------------------------------------------------------------------------------

/** Without a byte for so long a connection counts as dead: the server says something every five seconds. */
const silenceMax = 15000;

/**
 * Server-sent events, read with fetch so that a token can be sent along. Comes back by itself, with the id of what it
 * has seen, and holds the state: `time`, `head`, and `items`, a Map by key.
 *
 * `changed(live, keys)` is called after each frame: the keys of changed items, or null for all of them.
 * `connected(is, reason)` is called when the connection comes or goes; `refused(status)` for 401: then it stops.
 */
export class Live {
  constructor(address, { headers = () => ({}), changed, connected, trouble, refused }) {
    Object.assign(this, { address, headers, changed, connected, trouble, refused });
    this.items = new Map();
    this.head = null;
    this.time = null;
    this.seen = null;
  }

  async run() {
    let pause = 500;
    for (;;) {
      try {
        await this.listen(() => { pause = 500; });
        this.connected(false, "the server ended the connection");
      } catch (error) {
        if (error instanceof Refused) return this.refused(error.status);
        this.connected(false, error.name === "AbortError" ? "nothing was heard for a while" : error.message);
      }
      await new Promise((resume) => setTimeout(resume, pause * (0.5 + Math.random())));
      pause = Math.min(pause * 2, 8000);
    }
  }

  async listen(isHeard) {
    const controller = new AbortController();
    let silence = setTimeout(() => controller.abort(), silenceMax);
    try {
      const headers = { Accept: "text/event-stream", ...this.headers() };
      if (this.seen) headers["Last-Event-ID"] = this.seen;
      const response = await fetch(this.address, { headers, cache: "no-store", signal: controller.signal });
      if (response.status === 401) throw new Refused(401);
      if (!response.ok) throw new Error(await reason(response));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => controller.abort(), silenceMax);
        text += value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          this.take(text.slice(0, end));
          text = text.slice(end + 2);
          isHeard();
        }
      }
    } finally {
      clearTimeout(silence);
    }
  }

  take(frame) {
    let event = "message", data = "", id = null;
    for (const line of frame.split("\n")) {
      if (line.startsWith("event: ")) event = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
      else if (line.startsWith("id: ")) id = line.slice(4);
    }
    this.connected(true);
    if (event === "trouble") return this.trouble?.(JSON.parse(data));
    if (event !== "snapshot" && event !== "change") return;
    const frameData = JSON.parse(data);
    if (id) this.seen = id;
    this.time = new Date(frameData.time);
    if (frameData.head) this.head = frameData.head;
    let keys = null;
    if (event === "snapshot") {
      this.items = new Map(Object.entries(frameData.items));
    } else {
      keys = [...Object.keys(frameData.changed ?? {}), ...(frameData.removed ?? [])];
      for (const [key, item] of Object.entries(frameData.changed ?? {})) this.items.set(key, item);
      for (const key of frameData.removed ?? []) this.items.delete(key);
    }
    this.changed(this, keys);
  }
}

class Refused extends Error {
  constructor(status) { super("refused"); this.status = status; }
}

/** The sentence of a refusal. */
export async function reason(response) {
  try { return (await response.json()).message ?? response.statusText; } catch { return `${response.status} ${response.statusText}`; }
}
