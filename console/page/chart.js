/* global uPlot */
// Rates of the last five minutes, drawn by uPlot (page/uplot.js). They are counted in this page: the daemon keeps counters, not history.

import { short } from './format.js';

const most = 300; // points, one a second
const clock = (seconds) => new Date(seconds * 1e3).toLocaleTimeString('en-GB');

export class Rates {
  constructor(place) {
    this.place = place;
    this.data = [[], [], []];
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(place);
  }

  size() { return { width: Math.max(200, this.place.clientWidth - 16), height: 210 }; }

  /** Draws anew in the colours of the theme. */
  draw() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
    this.plot = new uPlot({
      ...this.size(),
      series: [{}, { label: 'in', stroke: colour('--accent'), width: 1.5 }, { label: 'out', stroke: colour('--out'), width: 1.5 }],
      axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(short) }],
      scales: { x: { range: (_, low, high) => [(high ?? Date.now() / 1e3) - most, high ?? Date.now() / 1e3] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
    }, this.data, this.place);
  }

  add(seconds, ...rates) {
    [seconds, ...rates].forEach((value, i) => {
      this.data[i].push(value);
      if (this.data[i].length > most) this.data[i].shift();
    });
    this.plot?.setData(this.data);
    this.place.setAttribute('aria-label', `Events a second: ${short(rates[0])} in, ${short(rates[1])} out`);
  }
}
