/* global uPlot */
// Rates of the last hours, drawn by uPlot (page/uplot.js). The daemon keeps a sample of its counters every ten seconds; those that
// come while the page is open are added to them.

import { headers } from './session.js';
import { short } from './format.js';

const every = 10; // seconds between two samples
const spans = { '15m': 900, '1h': 3600, '6h': 21600 }; // seconds
const axisClock = (seconds) => new Date(seconds * 1e3).toISOString().slice(11, 16);
const clock = (seconds) => `${new Date(seconds * 1e3).toISOString().slice(11, 19)} UTC`;

export class Rates {
  constructor(place, span) {
    this.place = place;
    this.span = spans[span] ? span : '1h';
    this.samples = []; // {time, accepted, delivered}, the oldest first
    this.data = [[], [], []];
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(place);
  }

  size() { return { width: Math.max(200, this.place.clientWidth - 16), height: 210 }; }

  /** Shows another span of time. */
  show(span) {
    this.span = span;
    this.refresh();
  }

  /** Reads what the daemon has kept. */
  async load() {
    try {
      const answer = await fetch('api/v1/history', { headers: headers(), cache: 'no-store' });
      if (!answer.ok) return;
      const kept = await answer.json();
      this.samples = kept.time.map((time, i) => ({ time, accepted: kept.accepted[i], delivered: kept.delivered[i] }));
      this.refresh();
    } catch { /* the daemon is gone, which is said above */ }
  }

  /** Adds the counters of now, if the last sample is old enough. */
  add(time, accepted, delivered) {
    if (time - (this.samples.at(-1)?.time ?? 0) < every - 0.5) return;
    this.samples.push({ time, accepted, delivered });
    const oldest = time - spans['6h'] - every;
    while (this.samples[0].time < oldest) this.samples.shift();
    this.refresh();
  }

  refresh() {
    const last = this.samples.at(-1)?.time ?? Date.now() / 1e3;
    this.data = [[], [], []];
    for (let i = 1; i < this.samples.length; i++) {
      const [before, now] = [this.samples[i - 1], this.samples[i]];
      if (now.time <= last - spans[this.span]) continue;
      const took = now.time - before.time;
      const known = took > 0 && took < 6 * every && now.accepted >= before.accepted; // else it was away, or began anew
      this.data[0].push(now.time);
      this.data[1].push(known ? (now.accepted - before.accepted) / took : null);
      this.data[2].push(known ? Math.max(0, now.delivered - before.delivered) / took : null);
    }
    this.plot?.setData(this.data);
    const at = this.data[0].length - 1;
    if (at >= 0) this.place.setAttribute('aria-label', `Events a second: ${short(this.data[1][at] ?? NaN)} in, ${short(this.data[2][at] ?? NaN)} out`);
  }

  /** Draws anew in the colours of the theme. */
  draw() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
    // Without a cursor the legend has the last point.
    const last = (n, series) => n ?? this.data[series]?.at(-1) ?? null;
    const rate = (_, n, series) => { const value = last(n, series); return value === null ? '–' : short(value); };
    this.plot = new uPlot({
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), 'UTC'),
      series: [{ label: 'time', value: (_, t) => { const at = last(t, 0); return at ? clock(at) : '–'; } },
        { label: 'in', stroke: colour('--accent'), width: 1.5, value: rate }, { label: 'out', stroke: colour('--out'), width: 1.5, value: rate }],
      axes: [{ ...axis, space: 60, values: (_, ticks) => ticks.map(axisClock) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(short) }],
      scales: { x: { range: (_, low, high) => [(high ?? Date.now() / 1e3) - spans[this.span], high ?? Date.now() / 1e3] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
      cursor: { drag: { x: false, y: false } },
    }, this.data, this.place);
  }
}
