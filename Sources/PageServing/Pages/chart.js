// The throughput of the last minutes, drawn by hand into an <svg>: what was recorded as a line, what became safe as an area.

import { bytes } from "./common.js";

const windowSeconds = 300, binSeconds = 2, bins = windowSeconds / binSeconds;
const width = 600, height = 120;
const storageKey = "reelfs-throughput";

export class Chart {
  constructor(svg, scale) {
    this.recorded = svg.querySelector("[data-part=recorded]");
    this.stored = svg.querySelector("[data-part=stored]");
    this.scale = scale;
    // Bytes by the number of the two seconds in which they came.
    this.bins = new Map();
    this.since = null;
    this.last = null;
    try {
      const kept = JSON.parse(sessionStorage.getItem(storageKey) ?? "null");
      if (kept) { this.bins = new Map(kept.bins); this.since = kept.since; }
    } catch { /* A broken note of an earlier page is no loss. */ }
    addEventListener("pagehide", () => {
      sessionStorage.setItem(storageKey, JSON.stringify({ bins: [...this.bins], since: this.since }));
    });
  }

  /** Bytes recorded and made safe between the last call and `time` (a Date). */
  add(time, recorded, stored) {
    const now = time.getTime() / 1000;
    const from = this.last === null || now - this.last > 30 ? now - 1 : this.last;
    this.since ??= now;
    const first = Math.floor(from / binSeconds), last = Math.floor(now / binSeconds);
    for (let bin = first; bin <= last; bin += 1) {
      const part = (Math.min(now, (bin + 1) * binSeconds) - Math.max(from, bin * binSeconds)) / Math.max(now - from, 0.001);
      if (part <= 0) continue;
      const [before, safe] = this.bins.get(bin) ?? [0, 0];
      this.bins.set(bin, [before + recorded * part, safe + stored * part]);
    }
    for (const bin of this.bins.keys()) if (bin < last - bins) this.bins.delete(bin);
    this.last = now;
    this.draw(last);
  }

  /** Bytes a second over the last six full seconds. */
  get rates() {
    if (this.last === null) return [0, 0];
    const now = Math.floor(this.last / binSeconds);
    const sum = [0, 0];
    for (let bin = now - 3; bin < now; bin += 1) {
      const [recorded, stored] = this.bins.get(bin) ?? [0, 0];
      sum[0] += recorded; sum[1] += stored;
    }
    return sum.map((total) => total / (3 * binSeconds));
  }

  draw(last) {
    const rates = [];
    for (let place = 0; place < bins; place += 1) {
      // The newest two seconds are not over yet.
      const [recorded, stored] = this.bins.get(last - bins + place) ?? [0, 0];
      rates.push([recorded / binSeconds, stored / binSeconds]);
    }
    const smooth = rates.map((_, place) => [0, 1].map((series) => {
      const near = rates.slice(Math.max(0, place - 1), place + 2);
      return near.reduce((sum, pair) => sum + pair[series], 0) / near.length;
    }));
    const top = nice(Math.max(16384, ...smooth.flat()));
    const point = (place, value) => `${(place * width / (bins - 1)).toFixed(1)} ${(height - 2 - value / top * (height - 10)).toFixed(1)}`;
    // Nothing is claimed of the time before the page was open.
    const first = Math.max(0, Math.min(bins - 1, Math.floor(this.since / binSeconds) - last + bins));
    const line = (series) => smooth.map((pair, place) => point(place, pair[series])).slice(first).join("L");
    const left = (first * width / (bins - 1)).toFixed(1);
    this.recorded.setAttribute("d", `M${line(0)}`);
    this.stored.setAttribute("d", `M${left} ${height}L${line(1)}L${width} ${height}Z`);
    this.scale.textContent = `${bytes(top)}/s`;
  }
}

/** The next of 1, 2, 5, 10, … in binary units, so that the scale stays calm. */
function nice(value) {
  let unit = 1024;
  while (unit * 1024 <= value) unit *= 1024;
  for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]) if (step * unit >= value) return step * unit;
  return 1024 * unit;
}
