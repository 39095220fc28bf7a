// The page of a receiver: devices and their recordings, live while they arrive; playing, downloading, uploading.

import { Live, announce, byId, bytes, clock, count, instantiate, note, order, reason, setAttribute, setBadge, setBar, setText } from "./common.js";
import { Uploads } from "./upload.js";

// --- the token -----------------------------------------------------------------------------------------------------

const tokenKey = "reelfs-receiver-token";
let token = sessionStorage.getItem(tokenKey);
const authorization = () => (token ? { Authorization: `Bearer ${token}` } : {});

function askForToken() {
  byId("token-wrong").hidden = !token;
  sessionStorage.removeItem(tokenKey);
  token = null;
  byId("main").hidden = true;
  byId("sign-in").hidden = false;
  setText(byId("connection").querySelector("[data-part=word]"), "locked");
  byId("token").focus();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  sessionStorage.setItem(tokenKey, token);
  byId("sign-in").hidden = true;
  live.run();
});

// --- recordings ----------------------------------------------------------------------------------------------------

const kinds = {
  video: ["mp4", "m4v", "mov", "mkv", "webm", "ogv", "ts", "mts"],
  audio: ["wav", "flac", "mp3", "m4a", "aac", "ogg", "oga", "opus", "mka"],
  image: ["jpg", "jpeg", "png", "gif", "webp", "bmp"],
};
const words = { receiving: "⇣ ARRIVING", complete: "✓ COMPLETE", replaced: "⟲ REPLACED" };
const rows = new Map(), devices = new Map();
let search = "";

function kind(path) {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  return Object.keys(kinds).find((name) => kinds[name].includes(ending)) ?? null;
}

/** An address that the browser itself may open: with a ticket where a token is needed. */
async function address(item, extra = "") {
  let url = item.location;
  if (token) {
    const response = await fetch(`/api/ticket?of=${encodeURIComponent(item.location)}`, { headers: authorization() });
    if (response.status === 401) askForToken();
    if (!response.ok) throw new Error(await reason(response));
    ({ url } = await response.json());
  }
  return extra ? `${url}${url.includes("?") ? "&" : "?"}${extra}` : url;
}

class Row {
  constructor(key) {
    this.key = key;
    const { root, parts } = instantiate("row");
    this.root = root;
    this.parts = parts;
    this.player = null;
    parts.play.addEventListener("click", () => this.toggle());
    parts.download.addEventListener("click", (event) => { event.preventDefault(); this.download(); });
  }

  get item() { return live.items.get(this.key); }

  show() {
    const { item, parts } = this;
    if (this.state && this.state !== item.state && item.state === "complete") announce(`${item.path} of ${item.device} is complete`);
    this.state = item.state;
    this.root.dataset.state = item.state;
    const cut = item.path.lastIndexOf("/") + 1;
    const percent = item.length ? Math.floor(item.size / item.length * 100) : null;
    setBadge(parts.badge, item.state === "receiving" && percent !== null ? `⇣ ${percent}%` : words[item.state]);
    setText(parts.file, item.path.slice(cut));
    parts.file.title = item.path;
    setText(parts.folder, item.path.slice(0, cut));
    setText(parts.amount, item.length && item.state === "receiving" ? `${bytes(item.size)} of ${bytes(item.length)}` : item.state === "receiving" ? `${bytes(item.size)} so far` : bytes(item.size));
    parts.bar.hidden = percent === null || item.state !== "receiving";
    if (percent !== null) { setBar(parts.bar, percent); setAttribute(parts.bar, "aria-label", `Arrived of ${item.path}`); }
    setText(parts.when, clock(new Date(item.changed_at)));
    const isThere = item.state !== "replaced" && item.size > 0;
    parts.play.hidden = !isThere || kind(item.path) === null;
    setText(parts.play, this.player ? "Close" : kind(item.path) === "image" ? "Show" : "Play");
    setAttribute(parts.play, "aria-label", `${parts.play.textContent} ${item.path}`);
    parts.download.hidden = !isThere;
    setAttribute(parts.download, "aria-label", `Download ${item.path}`);
    this.player?.grown();
  }

  toggle() {
    if (this.player) { this.player.close(); this.player = null; } else { this.player = new Player(this); }
    setAttribute(this.parts.play, "aria-expanded", this.player !== null);
    this.show();
  }

  async download() {
    try {
      const link = document.createElement("a");
      link.href = await address(this.item, "download=1");
      link.download = "";
      link.click();
    } catch (error) { note(`The download did not begin: ${error.message}`, true); }
  }
}

/**
 * Plays a recording, also one that is still arriving: at the end of what had come when it was opened it takes what has
 * come since, and goes on where it was.
 */
class Player {
  constructor(row) {
    this.row = row;
    this.root = document.createElement("div");
    this.root.className = "player";
    this.media = document.createElement({ video: "video", audio: "audio", image: "img" }[kind(row.item.path)]);
    this.hint = document.createElement("p");
    this.hint.className = "soft small";
    this.hint.setAttribute("role", "status");
    this.root.append(this.media, this.hint);
    row.root.append(this.root);
    setAttribute(this.media, this.media.tagName === "IMG" ? "alt" : "aria-label", row.item.path);
    if (this.media.tagName !== "IMG") {
      this.media.controls = true;
      this.media.preload = "metadata";
      this.media.addEventListener("ended", () => this.goOn());
      // Players tell the end of a file that was cut in various ways.
      this.media.addEventListener("error", () => this.failed());
    } else {
      this.media.addEventListener("error", () => this.failed());
    }
    this.open(0, true);
  }

  async open(at, plays) {
    const { item } = this.row;
    this.size = item.size;
    this.isRunning = item.state === "receiving";
    this.isWaiting = false;
    try {
      // Another address for another size: the browser must not go on with the file as it knew it.
      this.media.src = await address(item, `size=${item.size}`);
    } catch (error) { return setText(this.hint, error.message); }
    if (this.media.tagName === "IMG") return;
    if (at > 0) this.media.addEventListener("loadedmetadata", () => { this.media.currentTime = at; }, { once: true });
    setText(this.hint, this.isRunning ? `Still arriving: plays what has come so far (${bytes(this.size)}), and goes on with what comes.` : "");
    if (plays) this.media.play().catch(() => { /* The browser waits for a click on its own button. */ });
  }

  /** At the end of what was here. */
  goOn() {
    if (!this.isRunning) return;
    if (this.row.item && this.row.item.size > this.size) return this.open(this.media.currentTime, true);
    this.isWaiting = true;
    setText(this.hint, "At the end of what has arrived; goes on as soon as there is more.");
  }

  grown() {
    if (this.isWaiting && (this.row.item.size > this.size || this.row.item.state !== "receiving")) this.open(this.media.currentTime ?? 0, true);
  }

  failed() {
    if (this.row.item.state === "receiving") {
      // Some formats can be played only once their end is there.
      this.isWaiting = true;
      return setText(this.hint, "This browser cannot play it yet; it is tried again as more arrives. Some formats (plain MP4) can be played only when they are complete.");
    }
    if (this.isTried || !token) return setText(this.hint, "This browser cannot play this format. Download it instead.");
    // A ticket may be over.
    this.isTried = true;
    this.open(this.media.currentTime ?? 0, false);
  }

  close() {
    this.media.removeAttribute("src");
    if (this.media.load) this.media.load();
    this.root.remove();
  }
}

function showDevices() {
  const wanted = new Map();
  for (const [key, item] of live.items) {
    if (search && !`${item.device}/${item.path}`.toLowerCase().includes(search)) continue;
    if (!wanted.has(item.device)) wanted.set(item.device, []);
    wanted.get(item.device).push([key, item]);
  }
  const names = [...wanted.keys()].sort((left, right) => left.localeCompare(right));
  for (const name of devices.keys()) if (!wanted.has(name)) devices.delete(name);
  for (const name of names) {
    if (!devices.has(name)) devices.set(name, instantiate("device-template"));
    const { parts } = devices.get(name);
    const items = wanted.get(name);
    items.sort(([, left], [, right]) =>
      (left.state === "receiving" ? 0 : 1) - (right.state === "receiving" ? 0 : 1) || right.changed_at.localeCompare(left.changed_at)
      || left.path.localeCompare(right.path));
    const arriving = items.filter(([, item]) => item.state === "receiving").length;
    setText(parts.name, name);
    setText(parts.sum, `${count(items.length, "recording")}${arriving ? `, ${arriving} arriving` : ""}`);
    order(parts.list, stable(parts.list, items.map(([key]) => rows.get(key).root)));
  }
  order(byId("devices"), names.map((name) => devices.get(name).root));
  byId("empty").hidden = names.length > 0;
  setText(byId("empty"), live.items.size > 0 ? "No recording matches." : "Nothing has arrived yet.");
}

/** Keeps the order while something plays in it: a moved player stops. */
function stable(list, nodes) {
  if (!list.querySelector(".player")) return nodes;
  const now = [...list.children].filter((node) => nodes.includes(node));
  return [...nodes.filter((node) => !now.includes(node)), ...now];
}

let isDrawing = false;

const live = new Live("/api/events", {
  headers: authorization,
  changed(live, keys) {
    byId("main").hidden = false;
    for (const key of rows.keys()) if (!live.items.has(key)) rows.delete(key);
    for (const key of keys ?? live.items.keys()) {
      if (!live.items.has(key)) continue;
      if (!rows.has(key)) rows.set(key, new Row(key));
      rows.get(key).show();
    }
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      const { head, time } = live;
      const arriving = head.recordings - head.complete;
      setText(byId("totals"), head.recordings === 0 ? "Nothing has arrived yet" : `${count(head.complete, "recording")} complete, ${bytes(head.bytes)}${arriving ? ` · ${arriving} arriving` : ""}`);
      setText(byId("as-of"), `As of ${clock(time)}`);
      byId("older").hidden = head.shown >= head.recordings;
      setText(byId("older"), `The newest ${head.shown.toLocaleString()} of ${head.recordings.toLocaleString()} are shown; all of them are listed at /recordings/.`);
      showDevices();
    });
  },
  connected(is, why) {
    const pill = byId("connection");
    if (pill.dataset.is === String(is)) return;
    if (pill.dataset.is) announce(is ? "The receiver answers again" : "The receiver does not answer");
    pill.dataset.is = is;
    pill.className = `pill ${is ? "online" : "offline"}`;
    pill.title = why ?? "";
    setText(pill.querySelector("[data-part=sign]"), is ? "●" : "▲");
    setText(pill.querySelector("[data-part=word]"), is ? "live" : "no answer");
  },
  trouble(message) { if (message) note(message, true); },
  refused: askForToken,
});

byId("search").addEventListener("input", (event) => { search = event.target.value.toLowerCase(); showDevices(); });
const uploads = new Uploads({ authorization, refused: askForToken });
uploads.listen();
live.run();
