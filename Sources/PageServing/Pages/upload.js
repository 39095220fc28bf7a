// Uploading by hand: a small tus 1.0 client. A file goes up in pieces; whatever breaks, a HEAD tells how far it came. The
// upload's address is kept under the file's fingerprint, so the same file dropped after a reload goes on where it was.

import { announce, byId, bytes, instantiate, note, reason, setBadge, setBar, setText } from "./common.js";

/** One request each: small enough that a break costs little, large enough for the overhead. */
const pieceBytes = 8 * 2 ** 20;
/** Files on their way at once. */
const parallel = 2;
/** Files in one drop. */
const filesMax = 5000;
const keyPrefix = "reelfs-upload:";
/** An unfinished upload is deleted by the receiver after a week. */
const keptDays = 7;

export class Uploads {
  constructor({ authorization, refused }) {
    Object.assign(this, { authorization, refused });
    this.waiting = [];
    this.running = 0;
  }

  listen() {
    const zone = byId("drop"), input = byId("files");
    byId("choose").addEventListener("click", () => input.click());
    input.addEventListener("change", () => { this.add([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }))); input.value = ""; });
    // Anywhere on the page: a file that misses the zone must not replace the page.
    addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("over"); });
    addEventListener("drop", async (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      this.add(await dropped(event.dataTransfer));
    });
    addEventListener("online", () => this.wakeAll());
    addEventListener("beforeunload", (event) => { if (this.running > 0) event.preventDefault(); });
    this.showUnfinished();
  }

  add(files) {
    if (files.length > filesMax) note(`${files.length} files at once are too many: ${filesMax} are taken.`, true);
    for (const { file, path } of files.slice(0, filesMax)) {
      const upload = new Upload(this, file, path, byId("device").value.trim() || "uploads");
      byId("uploads").append(upload.root);
      this.waiting.push(upload);
    }
    this.next();
  }

  next() {
    while (this.running < parallel && this.waiting.length > 0) {
      const upload = this.waiting.shift();
      if (upload.state === "removed") continue;
      this.running += 1;
      upload.run().finally(() => { this.running -= 1; this.next(); this.showUnfinished(); });
    }
  }

  wakeAll() { for (const wake of Upload.sleepers) wake(); }

  /** What an earlier page left half-way. */
  showUnfinished() {
    const now = Date.now(), names = [];
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith(keyPrefix))) {
      const kept = JSON.parse(localStorage.getItem(key));
      if (now - kept.at > keptDays * 86400000) localStorage.removeItem(key);
      else if (!Upload.active.has(key)) names.push(kept.name);
    }
    byId("unfinished").hidden = names.length === 0;
    setText(byId("unfinished"), `Not finished yet: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}. Drop the same ${names.length === 1 ? "file" : "files"} again to go on.`);
  }
}

class Upload {
  static sleepers = new Set();
  static active = new Set();

  constructor(uploads, file, path, device) {
    Object.assign(this, { uploads, file, path, device, offset: 0, sent: 0, state: "waiting" });
    this.key = `${keyPrefix}${device}/${path}:${file.size}:${file.lastModified}`;
    const { root, parts } = instantiate("upload");
    this.root = root;
    this.parts = parts;
    setText(parts.file, path);
    parts.bar.setAttribute("aria-label", `Uploaded of ${path}`);
    parts.pause.setAttribute("aria-label", `Pause ${path}`);
    parts.remove.setAttribute("aria-label", `Remove ${path}`);
    parts.pause.addEventListener("click", () => this.pauseOrResume());
    parts.remove.addEventListener("click", () => this.remove());
    this.show();
  }

  set(state, error = "") { this.state = state; setText(this.parts.error, error); this.show(); }

  show() {
    const { parts, file, state } = this;
    const percent = file.size === 0 ? (state === "done" ? 100 : 0) : Math.floor((this.offset + this.sent) / file.size * 100);
    const badge = { waiting: "… WAITING", uploading: `⇪ ${percent}%`, retrying: `⇪ ${percent}%`, paused: "⏸ PAUSED", done: "✓ UPLOADED", failed: "❌ FAILED" };
    this.root.dataset.state = { waiting: "waiting", uploading: "uploading", retrying: "paused", paused: "paused", done: "synced", failed: "failed" }[state] ?? "";
    setBadge(parts.badge, badge[state] ?? "");
    setBar(parts.bar, percent);
    setText(parts.amount, state === "done" ? bytes(file.size) : `${bytes(this.offset + this.sent)} of ${bytes(file.size)}`);
    setText(parts.pause, state === "paused" || state === "failed" ? "Go on" : "Pause");
    parts.pause.hidden = state === "done" || state === "waiting";
    setText(parts.remove, state === "done" ? "Clear" : "Remove");
  }

  pauseOrResume() {
    if (this.state === "paused" || this.state === "failed") {
      this.set("waiting");
      this.uploads.waiting.unshift(this);
      return this.uploads.next();
    }
    this.set("paused");
    this.request?.abort();
    this.wake?.();
  }

  async remove() {
    const isDone = this.state === "done";
    this.set("removed");
    this.request?.abort();
    this.wake?.();
    this.root.remove();
    if (isDone) return;
    const kept = this.kept;
    this.forget();
    this.uploads.showUnfinished();
    if (kept) await fetch(kept.url, { method: "DELETE", headers: this.headers() }).catch(() => { /* It expires by itself. */ });
  }

  get kept() { return JSON.parse(localStorage.getItem(this.key) ?? "null"); }
  keep(url) { localStorage.setItem(this.key, JSON.stringify({ url, name: this.path, at: Date.now() })); }
  forget() { localStorage.removeItem(this.key); }
  headers(more = {}) { return { "Tus-Resumable": "1.0.0", ...this.uploads.authorization(), ...more }; }

  /** Until it is done, paused, removed, or refused for good. Never rejects. */
  async run() {
    Upload.active.add(this.key);
    this.set("uploading");
    let failures = 0;
    while (this.state === "uploading" || this.state === "retrying") {
      const before = this.offset;
      try {
        await this.find();
        while (this.offset < this.file.size && this.state === "uploading") await this.sendPiece();
        if (this.state !== "uploading") break;
        this.forget();
        this.set("done");
        announce(`${this.path} is uploaded`);
      } catch (error) {
        this.sent = 0;
        if (this.state === "paused" || this.state === "removed") break;
        if (error instanceof Refusal) { this.set("failed", error.message); announce(`${this.path} failed: ${error.message}`); break; }
        failures = this.offset > before ? 1 : failures + 1;
        this.set("retrying", `${error.message}; it is tried again.`);
        await this.sleep(Math.min(1000 * 2 ** failures, 15000) * (0.5 + Math.random() / 2));
        if (this.state === "retrying") this.set("uploading");
      }
    }
    Upload.active.delete(this.key);
  }

  sleep(milliseconds) {
    return new Promise((resolve) => {
      const wake = () => { clearTimeout(timer); Upload.sleepers.delete(wake); resolve(); };
      const timer = setTimeout(wake, milliseconds);
      Upload.sleepers.add(wake);
      this.wake = wake;
    });
  }

  /** Sets `url` and `offset`: those of an earlier try, or of a new upload. */
  async find() {
    const kept = this.kept;
    if (kept) {
      const response = await fetch(kept.url, { method: "HEAD", headers: this.headers(), cache: "no-store" });
      if (response.ok) {
        this.url = kept.url;
        this.offset = Number(response.headers.get("Upload-Offset"));
        return this.show();
      }
      if (response.status !== 404 && response.status !== 410) await this.judge(response);
      this.forget();
    }
    const response = await fetch("/files/", {
      method: "POST",
      headers: this.headers({ "Upload-Length": String(this.file.size), "Upload-Metadata": this.metadata }),
    });
    if (!response.ok) await this.judge(response);
    // Only the path: behind a proxy the receiver may not know its own name.
    this.url = new URL(response.headers.get("Location"), new URL("/files/", location.href)).pathname;
    this.offset = 0;
    this.keep(this.url);
  }

  get metadata() {
    const cut = this.path.lastIndexOf("/") + 1;
    const pairs = { filename: this.path.slice(cut), filetype: this.file.type, device: this.device };
    if (cut > 0) pairs.relativePath = this.path;
    return Object.entries(pairs).map(([name, value]) => `${name} ${base64(new TextEncoder().encode(value))}`.trim()).join(",");
  }

  async sendPiece() {
    const piece = this.file.slice(this.offset, this.offset + pieceBytes);
    const more = { "Upload-Offset": String(this.offset), "Content-Type": "application/offset+octet-stream" };
    // Browsers have digests only where the connection is safe: on this machine, or with TLS.
    if (crypto.subtle) {
      const digest = await crypto.subtle.digest("SHA-256", await piece.arrayBuffer());
      more["Upload-Checksum"] = `sha256 ${base64(new Uint8Array(digest))}`;
    }
    if (this.state !== "uploading") return;
    const answer = await this.patch(piece, this.headers(more));
    if (answer.status !== 204) await this.judge(answer);
    this.offset = Number(answer.headers.get("Upload-Offset"));
    this.sent = 0;
    this.show();
  }

  /** XMLHttpRequest, because fetch does not tell how far a body is. */
  patch(piece, headers) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.open("PATCH", this.url);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => { this.sent = Math.min(event.loaded, piece.size); this.show(); };
      // A connection that moves nothing for a minute is dead.
      let silence = setTimeout(() => request.abort(), 60000);
      request.upload.addEventListener("progress", () => { clearTimeout(silence); silence = setTimeout(() => request.abort(), 60000); });
      request.onloadend = () => clearTimeout(silence);
      request.onload = () => resolve(new Response(request.status === 204 ? null : request.responseText, {
        status: request.status, headers: { "Upload-Offset": request.getResponseHeader("Upload-Offset") ?? "" } }));
      request.onerror = () => reject(new Error("The receiver was not reached"));
      request.onabort = () => reject(new Error("The connection stood still"));
      request.send(piece);
    });
  }

  /** Throws: `Refusal` when trying again is no remedy. */
  async judge(response) {
    if (response.status === 401) this.uploads.refused();
    const sentence = await reason(response);
    if (response.status >= 400 && response.status < 500 && ![409, 423, 429, 460].includes(response.status)) throw new Refusal(sentence);
    throw new Error(sentence);
  }
}

class Refusal extends Error {}

function base64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Files of a drop with their paths, folders taken apart. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  const walk = async (entry, folder) => {
    if (found.length > filesMax) return;
    if (entry.isFile) {
      found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path: folder + entry.name });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const child of some) await walk(child, `${folder}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, "").catch((error) => note(`${entry.name} cannot be read: ${error.message}`, true));
  return found;
}
