// The page of a mount: the playlist of recordings, what is safe of each, and the commands that `reelfs` has as well.

import { Chart } from "./chart.js";
import {
  Live, announce, byId, bytes, clock, count, duration, instantiate, note, order, rate, reason, setAttribute, setBadge, setBar, setText,
} from "./common.js";

// --- the token -----------------------------------------------------------------------------------------------------

// It comes once, behind the # of the printed address, which is never sent anywhere; then it is this browser's.
const tokenKey = "reelfs-token";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  localStorage.setItem(tokenKey, given);
  history.replaceState(null, "", location.pathname);
}
let token = localStorage.getItem(tokenKey);

function setSteering(isAllowed) { document.body.classList.toggle("readonly", !isAllowed); }

async function checkToken() {
  if (!token) return setSteering(false);
  try {
    const response = await fetch("/api/token", { headers: { Authorization: `Bearer ${token}` } });
    // Of an earlier mount: forget it.
    if (response.status === 401) { localStorage.removeItem(tokenKey); token = null; }
    setSteering(response.ok);
  } catch { /* The live stream says that the server is gone, and this is asked again when it is back. */ }
}

/** Sends lines of `.status/control`. */
async function command(lines, done) {
  try {
    const response = await fetch("/api/control", {
      method: "POST", body: `${lines}\n`,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "text/plain; charset=utf-8" },
    });
    if (response.status === 401) await checkToken();
    if (!response.ok) return note(await reason(response), true);
    note(done);
  } catch (error) {
    note(`The mount was not reached: ${error.message}`, true);
  }
}

// --- the whole -----------------------------------------------------------------------------------------------------

const chart = new Chart(byId("chart"), byId("chart-scale"));
const rows = new Map();
const filterNames = { all: "All", uploading: "Uploading", paused: "Paused", synced: "Synced", failed: "Failed" };
const signs = { online: "●", offline: "▲", blocked: "■", quiet: "…" };
let filter = "all", search = "", connectionShown = null;

function showHead(live) {
  const { head, time } = live;
  const total = head.total;
  setText(byId("place"), head.mountpoint ?? "");
  document.title = `${total.recordings === 0 ? "" : `${total.badge} · `}reelfs`;
  const [headline, detail] = safety(head, time);
  setText(byId("headline"), headline);
  setText(byId("detail"), detail);
  setText(byId("as-of"), `As of ${clock(time)}`);
  byId("as-of").title = time.toISOString();
  document.querySelector(".hero").dataset.state = total.recordings === 0 ? "none" : total.status;
  setBar(byId("total-bar"), total.recordings === 0 ? 0 : total.progress);
  showConnection(head.connection, head.connection_reason ?? head.journal_error);
  const isPaused = head.paused;
  setText(byId("pause-all"), isPaused ? "Resume all" : "Pause all");
  byId("pause-all").dataset.command = isPaused ? "resume" : "pause";
  if (document.activeElement !== byId("limit")) byId("limit").value = head.limit_bytes_per_second ? shortRate(head.limit_bytes_per_second) : "";
  byId("force-all").hidden = !head.states?.failed;
  showDestination(total.destination ?? "");
  showFilters(head);
}

function showDestination(destination) {
  const box = byId("destination");
  if (box.dataset.shown === destination) return;
  box.dataset.shown = destination;
  let name = destination;
  // A receiver has a page of its own.
  if (/^https?:\/\//.test(destination)) {
    name = document.createElement("a");
    name.href = destination;
    name.rel = "noopener";
    name.textContent = destination;
  }
  box.replaceChildren(destination ? "Uploads to " : "", name);
}

/** What may be relied on, and as of when: never a bare word. */
function safety(head, time) {
  const total = head.total;
  const waiting = head.bytes_waiting;
  const now = [...live.items.values()].filter((item) => item.recording).length;
  const failed = head.states?.failed ?? 0;
  const recording = `${now > 0 ? ` · ${now} being recorded` : ""}${failed > 0 ? ` · ${failed} failed` : ""}`;
  if (total.recordings === 0) return ["Nothing has been recorded", "What is written into the folder uploads itself."];
  if (total.status === "synced") return ["Everything is safe", `All ${bytes(total.bytes_written)} in ${count(total.recordings, "recording")} are confirmed${recording}`];
  const open = total.recordings - (head.states?.synced ?? 0);
  if (waiting === 0) return ["All bytes are stored", `${count(open, "recording")} not confirmed as whole yet${recording}`];
  const through = new Date(time.getTime() - total.lag_seconds * 1000);
  const paused = head.paused ? " · paused by a person" : "";
  return [`Safe through ${clock(through)}`, `${bytes(total.bytes_synced)} of ${bytes(total.bytes_written)} are stored, ${bytes(waiting)} wait here${recording}${paused}`];
}

function showConnection(state, why) {
  const pill = byId("connection");
  const text = why ? `${state}: ${why}` : state;
  if (connectionShown === text) return;
  if (connectionShown !== null) announce(state === "online" ? "The destination is online" : `The destination is ${text}`);
  connectionShown = text;
  pill.className = `pill ${state}`;
  setText(pill.querySelector("[data-part=sign]"), signs[state] ?? "▲");
  setText(pill.querySelector("[data-part=word]"), state);
  pill.title = text;
  const trouble = byId("trouble");
  trouble.hidden = !why;
  trouble.dataset.state = state;
  if (why) setText(trouble, state === "online" ? why : `The destination is ${state}: ${why}. Recording goes on; uploads continue by themselves.`);
}

function shortRate(value) {
  for (const [unit, factor] of [["G", 2 ** 30], ["M", 2 ** 20], ["K", 2 ** 10]]) if (value % factor === 0) return `${value / factor}${unit}`;
  return String(value);
}

function showFilters(head) {
  const box = byId("filters");
  for (const name of Object.keys(filterNames)) {
    const number = name === "all" ? head.total.recordings : head.states?.[name] ?? 0;
    let chip = box.querySelector(`[data-filter=${name}]`);
    if (!chip) {
      chip = document.createElement("button");
      chip.type = "button";
      chip.dataset.filter = name;
      chip.className = `chip ${name}`;
      chip.addEventListener("click", () => { filter = name; showFilters(live.head); showList(); });
      box.append(chip);
    }
    setText(chip, `${filterNames[name]} ${number}`);
    setAttribute(chip, "aria-pressed", filter === name);
    chip.hidden = name !== "all" && number === 0 && filter !== name;
  }
}

// --- the playlist --------------------------------------------------------------------------------------------------

const ranks = { failed: 1, uploading: 2, paused: 2, synced: 3 };

/** Running recordings first, then what needs a look, then the newest. */
function compare(left, right) {
  const rank = (item) => (item.recording ? 0 : ranks[item.status]);
  return rank(left) - rank(right)
    || (left.status === "synced" && right.status === "synced" ? (right.last_synced_at ?? "").localeCompare(left.last_synced_at ?? "") : 0)
    || left.path.localeCompare(right.path);
}

function showList() {
  const shown = [...live.items].filter(([, item]) =>
    (filter === "all" || item.status === filter) && item.path.toLowerCase().includes(search));
  shown.sort(([, left], [, right]) => compare(left, right));
  const nodes = shown.map(([key]) => rows.get(key).root);
  // Moving the node that has the focus would take the focus away.
  const focused = document.activeElement;
  order(byId("list"), nodes);
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  byId("older").hidden = live.items.size >= live.head.total.recordings;
  setText(byId("older"), `${live.items.size.toLocaleString()} of ${live.head.total.recordings.toLocaleString()} are shown: those that are not synced, and the last ones that are. All of them: reelfs status`);
  byId("empty").hidden = shown.length > 0;
  setText(byId("empty"), live.items.size > 0 ? "No recording matches." : "Nothing has been recorded yet. Point a recorder at the folder.");
}

class Row {
  constructor(key) {
    this.key = key;
    const { root, parts } = instantiate("row");
    this.root = root;
    this.parts = parts;
    this.details = null;
    parts.badge.addEventListener("click", () => this.toggle());
    parts.more.addEventListener("click", () => this.toggle());
    parts.pause.addEventListener("click", () => this.pause());
    parts.retry.addEventListener("click", () => this.steer("process-uploads force", "Trying again"));
  }

  get item() { return live.items.get(this.key); }

  show() {
    const { item, parts } = this;
    if (this.status && this.status !== item.status) {
      announce(`${item.path}: ${item.status === "failed" ? `failed, ${item.error}` : item.status}`);
    }
    this.status = item.status;
    this.root.dataset.state = item.status;
    const cut = item.path.lastIndexOf("/") + 1;
    setBadge(parts.badge, item.badge);
    setAttribute(parts.badge, "title", item.error ?? null);
    setAttribute(parts.badge, "aria-label", `${item.path}: ${item.badge}${item.error ? `, ${item.error}` : ""}. Details`);
    setText(parts.file, item.path.slice(cut));
    setText(parts.folder, item.path.slice(0, cut));
    parts.file.title = item.path;
    parts.live.hidden = !item.recording;
    parts.mark.hidden = item.priority === "normal";
    setText(parts.mark, `${item.priority} priority`);
    setBar(parts.bar, item.progress);
    setAttribute(parts.bar, "aria-label", `Stored of ${item.path}`);
    setText(parts.amount, item.status === "synced" ? bytes(item.bytes_written) : `${bytes(item.bytes_synced)} safe of ${bytes(item.bytes_written)}`);
    setText(parts.lag, item.status === "synced" ? (item.last_synced_at ? clock(new Date(item.last_synced_at)) : "") : item.lag_seconds >= 1 ? `${duration(item.lag_seconds)} behind` : "");
    setText(parts.pause, item.hold ? "Resume" : "Pause");
    parts.pause.hidden = item.status === "synced" || item.status === "failed";
    parts.retry.hidden = item.status !== "failed";
    setText(parts["more-name"], `Details of ${item.path}`);
    this.details?.show();
  }

  toggle() {
    if (this.details) { this.details.close(); this.details = null; } else { this.details = new Details(this); }
    const isOpen = this.details !== null;
    this.root.classList.toggle("open", isOpen);
    for (const button of [this.parts.badge, this.parts.more]) setAttribute(button, "aria-expanded", isOpen);
  }

  pause() { this.steer(this.item.hold ? "resume" : "pause", this.item.hold ? "Resumed" : "Paused"); }

  steer(words, done) { return command(`${words} ${this.item.session}`, `${done}: ${this.item.path}`); }
}

// --- details of a recording, with its chunk map --------------------------------------------------------------------

/** From the least safe to the safest: the letters of `.status/<session>.chunks`, and how each is drawn and called. */
const places = [
  [".", "open", "being written", "M0 0h9v9h-9zM1 1v7h7v-7z"],
  ["=", "sealed", "waiting here", "M0 5h9v4h-9z"],
  [">", "sending", "on its way", "M0 9L4.5 0L9 9z"],
  ["#", "stored", "safe", "M0 0h9v9h-9z"],
  ["-", "evicted", "safe, local copy given up", "M0 0h9v9h-9zM3 3v3h3v-3z"],
];

const svgNode = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);

class Details {
  constructor(row) {
    this.row = row;
    const { root, parts } = instantiate("details");
    this.root = root;
    this.parts = parts;
    root.id = `details-${row.key}`;
    setAttribute(row.parts.more, "aria-controls", root.id);
    parts.priority.addEventListener("change", () => row.steer(`priority ${parts.priority.value}`, `Priority ${parts.priority.value}`));
    parts.pause.addEventListener("click", () => row.pause());
    parts.retry.addEventListener("click", () => row.steer("process-uploads", "Trying again"));
    parts.force.addEventListener("click", () => row.steer("process-uploads force", "Trying again"));
    this.paths = places.map(([, name]) => {
      const path = svgNode("path");
      path.setAttribute("class", `chunk ${name}`);
      path.setAttribute("fill-rule", "evenodd");
      parts.map.append(path);
      return path;
    });
    this.resized = new ResizeObserver(() => this.draw());
    row.root.append(root);
    this.resized.observe(root);
    this.show();
    this.timer = setInterval(() => this.load(), 2000);
    this.load();
  }

  close() {
    clearInterval(this.timer);
    this.resized.disconnect();
    this.root.remove();
  }

  show() {
    const { item } = this.row, { parts } = this;
    parts.error.hidden = !item.error;
    setText(parts.error, item.error ?? "");
    if (document.activeElement !== parts.priority) parts.priority.value = item.priority;
    setText(parts.pause, item.hold ? "Resume" : "Pause");
    const facts = [
      ["Safe", `${bytes(item.bytes_synced)} of ${bytes(item.bytes_written)} (${item.chunks_synced.toLocaleString()} of ${count(item.chunks_total, "chunk")})`],
      ["Safe through byte", item.synced_through?.toLocaleString()],
      ["Behind", item.lag_seconds >= 1 ? duration(item.lag_seconds) : null],
      ["Last stored", item.last_synced_at ? clock(new Date(item.last_synced_at)) : null],
      ["Session", item.session],
      ...(item.destinations
        ? item.destinations.map((share) => [share.destination, `${share.badge}, ${bytes(share.bytes_synced)} stored${share.error ? `: ${share.error}` : ""}`])
        : [["Destination", item.destination]]),
      ["SHA-256", item.sha256],
    ].filter(([, value]) => value);
    const text = JSON.stringify(facts);
    if (text === this.factsText) return;
    this.factsText = text;
    parts.facts.replaceChildren(...facts.map(([name, value]) => {
      const pair = document.createElement("div");
      const term = document.createElement("dt"), definition = document.createElement("dd");
      term.textContent = name;
      definition.textContent = value;
      pair.append(term, definition);
      return pair;
    }));
  }

  async load() {
    if (this.isLoading || document.hidden || (this.map && this.isSettled && this.row.item.status === "synced")) return;
    this.isLoading = true;
    try {
      const response = await fetch(`/api/chunks/${this.row.item.session}`, { cache: "no-store" });
      if (response.ok) {
        this.map = await response.json();
        this.isSettled = this.row.item.status === "synced";
        this.draw();
      }
    } catch { /* The live stream says that the server is gone. */ }
    this.isLoading = false;
  }

  draw() {
    if (!this.map) return;
    const { cells, chunks, chunks_per_cell: perCell, chunks_total: total } = this.map;
    const step = 12;
    const columns = Math.max(8, Math.min(86, Math.floor(this.parts.map.parentElement.clientWidth / step)));
    const lines = Math.max(1, Math.ceil(cells.length / columns));
    const svg = this.parts.map;
    svg.setAttribute("viewBox", `0 0 ${columns * step} ${lines * step}`);
    svg.style.width = `${columns * step}px`;
    svg.style.height = `${lines * step}px`;
    const shapes = places.map(() => "");
    for (let place = 0; place < cells.length; place += 1) {
      const kind = places.findIndex(([letter]) => letter === cells[place]);
      if (kind < 0) continue;
      shapes[kind] += `M${(place % columns) * step + 1} ${Math.floor(place / columns) * step + 1}${relative(places[kind][3])}`;
    }
    shapes.forEach((shape, kind) => setAttribute(this.paths[kind], "d", shape));
    const told = places.filter(([, name]) => chunks[name] > 0).map(([, name, words]) => `${chunks[name].toLocaleString()} ${words}`);
    svg.setAttribute("aria-label", `Chunk map of ${count(total, "chunk")}: ${told.join(", ") || "empty"}`);
    this.showLegend(chunks, perCell);
  }

  showLegend(chunks, perCell) {
    const first = this.row.item.destinations?.[0]?.destination;
    const text = JSON.stringify([chunks, perCell, first]);
    if (text === this.legendText) return;
    this.legendText = text;
    const entries = places.filter(([, name]) => chunks[name] > 0).map(([, name, words, shape]) => {
      const entry = document.createElement("li");
      const svg = svgNode("svg"), path = svgNode("path");
      svg.setAttribute("viewBox", "-1 -1 11 11");
      svg.setAttribute("aria-hidden", "true");
      path.setAttribute("class", `chunk ${name}`);
      path.setAttribute("fill-rule", "evenodd");
      path.setAttribute("d", shape);
      svg.append(path);
      entry.append(svg, `${chunks[name].toLocaleString()} ${words}`);
      return entry;
    });
    const remarks = [
      perCell > 1 ? `one cell is ${perCell.toLocaleString()} chunks, drawn as the least safe of them` : null,
      first ? `as stored at ${first}, the first destination` : null,
    ].filter(Boolean);
    for (const remark of remarks) {
      const entry = document.createElement("li");
      entry.textContent = remark;
      entries.push(entry);
    }
    this.parts.legend.replaceChildren(...entries);
  }
}

/** A shape's absolute commands, moved to wherever the pen is: each sub-path begins at a known offset of the first. */
function relative(shape) {
  switch (shape) {
    case places[0][3]: return "h9v9h-9zm1 1v7h7v-7z";
    case places[1][3]: return "m0 5h9v4h-9z";
    case places[2][3]: return "m0 9l4.5 -9l4.5 9z";
    case places[3][3]: return "h9v9h-9z";
    default: return "h9v9h-9zm3 3v3h3v-3z";
  }
}

// --- life ----------------------------------------------------------------------------------------------------------

let before = new Map();

/** Bytes since the last frame, for the graph: what is rewritten is not counted backwards. */
function measure(live, isWhole) {
  let recorded = 0, stored = 0;
  const now = new Map();
  // Of very many recordings old ones come and go on the page: these are not new.
  const isAll = live.items.size === live.head.total.recordings;
  for (const [key, item] of live.items) {
    const last = before.get(key);
    now.set(key, [item.bytes_written, item.bytes_synced]);
    if (last) {
      recorded += Math.max(0, item.bytes_written - last[0]);
      stored += Math.max(0, item.bytes_synced - last[1]);
    } else if (isAll && (!isWhole || before.size > 0)) {
      recorded += item.bytes_written;
      stored += item.bytes_synced;
    }
  }
  before = now;
  chart.add(live.time, recorded, stored);
  const [recordedRate, storedRate] = chart.rates;
  setText(byId("rate-recorded"), rate(recordedRate));
  setText(byId("rate-stored"), rate(storedRate));
}

let isDrawing = false;

const live = new Live("/api/events", {
  changed(live, keys) {
    measure(live, keys === null);
    for (const key of rows.keys()) if (!live.items.has(key)) { rows.get(key).details?.close(); rows.delete(key); }
    for (const key of keys ?? live.items.keys()) {
      if (!live.items.has(key)) continue;
      if (!rows.has(key)) rows.set(key, new Row(key));
      rows.get(key).show();
    }
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => { isDrawing = false; showHead(live); showList(); });
  },
  connected(is, why) {
    const wasConnected = document.body.classList.contains("connected");
    document.body.classList.toggle("connected", is);
    if (is === wasConnected) return;
    if (is) { checkToken(); connectionShown = connectionShown === null ? null : ""; return; }
    announce("The page has lost the mount");
    connectionShown = "";
    byId("connection").className = "pill offline";
    setText(byId("connection").querySelector("[data-part=sign]"), "▲");
    setText(byId("connection").querySelector("[data-part=word]"), "no answer");
    byId("connection").title = why ?? "";
    byId("trouble").hidden = false;
    byId("trouble").dataset.state = "offline";
    setText(byId("trouble"), `This page does not hear from the mount (${why}). What it shows is old; it tries again by itself.`);
  },
  trouble(message) {
    connectionShown = "";
    byId("trouble").hidden = !message;
    setText(byId("trouble"), message ?? "");
  },
  refused() {},
});

byId("pause-all").addEventListener("click", (event) => {
  const words = event.currentTarget.dataset.command ?? "pause";
  command(words, words === "pause" ? "Uploads are paused; recording goes on" : "Uploads go on");
});
byId("retry-all").addEventListener("click", () => command("process-uploads", "Looking at once"));
byId("force-all").addEventListener("click", () => command("process-uploads force", "Trying everything again"));
byId("limit-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const value = byId("limit").value.trim() || "off";
  byId("limit").blur();
  command(`limit ${value}`, value === "off" ? "No limit" : `Limited to ${value} a second`);
});
byId("search").addEventListener("input", (event) => { search = event.target.value.toLowerCase(); showList(); });
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    byId("search").focus();
  }
});
addEventListener("hashchange", () => location.reload());

checkToken();
live.run();
