/* global uPlot */
// Usage of a service, an application and a metric over time: what was delivered, beside what 3scale counted.

import { counted, hoursAgo, iso, rows } from './ledger.js';
import { short, whole } from './format.js';
import { chosen, choose } from './address.js';
import { title } from './names.js';

const ranges = { '24h': [24, 'hour'], '3d': [72, 'hour'], '30d': [30 * 24, 'day'], '100d': [100 * 24, 'day'] };
const mostApplications = 200;

export class Usage {
  constructor(find) {
    this.find = find;
    this.range = ranges[chosen('range')] ? chosen('range') : '24h';
    for (const name of ['service', 'application', 'metric']) {
      find(name).addEventListener('change', () => {
        choose(name, find(name).value);
        this.load();
      });
    }
    this.press();
    for (const button of find('ranges').querySelectorAll('button')) {
      button.addEventListener('click', () => {
        this.range = button.value;
        choose('range', button.value, '24h');
        this.press();
        this.load();
      });
    }
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(find('usage'));
  }

  press() { for (const button of this.find('ranges').querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.value === this.range)); }

  metric() { return this.find('metric').value || chosen('metric', 'hits'); }

  choose(service) {
    this.find('service').value = service;
    choose('service', service);
    this.load();
  }

  /** Asks anew, for what is chosen. */
  async load() {
    const mine = this.asked = (this.asked ?? 0) + 1; // the answer to an older question may come after this one's
    const late = () => mine !== this.asked;
    try {
      await this.ask(late);
    } catch (error) {
      if (!late()) this.find('usagesum').textContent = `The ledger could not be read: ${error.message}`;
    }
  }

  async ask(late) {
    const [hours, by] = ranges[this.range];
    const since = hoursAgo(hours - 1);
    if (by === 'day') since.setUTCHours(0);
    await this.offer(iso(since), late);
    const service = this.find('service').value;
    if (late()) return;
    for (const id of ['service', 'application', 'metric']) this.find(id).parentElement.hidden = !service; // no empty lists, no empty picture
    this.find('usage').hidden = !service;
    if (!service) this.find('usagesum').textContent = 'Nothing was delivered in this range.';
    if (!service) return;
    const app = this.find('application').value;
    const metric = this.metric();
    const question = { since: iso(since), service_id: service, ...(app ? { app_id: app } : {}) };
    const cells = await rows({ ...question, metric, by, group: app ? 'service_id,app_id,metric' : 'service_id,metric' });
    const asked = await counted(question);
    if (late()) return;
    const theirs = asked?.cells.filter((cell) => cell.metric === metric && (!app || cell.app_id === app));
    this.show(times(since, hours, by), cells, theirs, by);
  }

  // offer fills the lists with what there is.
  async offer(since, late) {
    const names = async (question, field) => [...new Set((await rows({ since, by: 'month', ...question })).map((row) => row[field]))].filter(Boolean)
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const services = await names({ group: 'service_id', expand: 'false' }, 'service_id');
    if (late()) return;
    fill(this.find('service'), services, undefined, chosen('service'), title);
    const service = this.find('service').value;
    if (!service) return;
    const metrics = await names({ service_id: service, group: 'metric' }, 'metric');
    const apps = await names({ service_id: service, group: 'app_id', expand: 'false' }, 'app_id');
    if (late()) return;
    fill(this.find('metric'), metrics, undefined, chosen('metric', 'hits'));
    fill(this.find('application'), apps.slice(0, mostApplications), 'all applications', chosen('application'));
  }

  show(axis, cells, theirs, by) {
    const index = new Map(axis.map((t, i) => [t, i]));
    const line = (all, time, value) => {
      const out = axis.map(() => null);
      for (const cell of all) {
        const t = new Date(time(cell));
        t.setUTCMinutes(0, 0, 0);
        if (by === 'day') t.setUTCHours(0);
        const at = index.get(t / 1e3);
        if (at !== undefined && value(cell) !== null) out[at] = (out[at] ?? 0) + value(cell);
      }
      return out;
    };
    this.step = by === 'day' ? 86400 : 3600;
    this.data = [axis, line(cells, (cell) => cell.time, (cell) => cell.delivered || null), line(theirs ?? [], (cell) => cell.hour, (cell) => cell.counted ?? null)];
    const sum = (values) => values.reduce((all, n) => all + (n ?? 0), 0);
    const dead = cells.reduce((all, cell) => all + cell.dead, 0);
    this.find('usagesum').textContent = `${whole(sum(this.data[1]))} delivered${dead ? `, ${whole(dead)} dead` : ''}; `
      + (theirs?.length ? `3scale counts ${whole(sum(this.data[2]))} of it so far.`
        : theirs ? 'what 3scale counts of it is not known yet.' : '3scale is not asked what it counted: set portal in the configuration.');
    this.draw();
  }

  size() { return { width: Math.max(200, this.find('usage').clientWidth - 16), height: 210 }; }

  /** Draws anew in the colours of the theme. */
  draw() {
    if (!this.data) return;
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
    const amount = (_, n) => (n === null || n === undefined ? '–' : whole(n));
    const label = (seconds) => {
      const text = new Date(seconds * 1e3).toISOString();
      return ranges[this.range][1] === 'day' ? text.slice(5, 10) : text.slice(11, 16) === '00:00' ? text.slice(5, 10) : text.slice(11, 16);
    };
    this.plot = new uPlot({
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), 'UTC'),
      series: [{ label: ranges[this.range][1] === 'day' ? 'day, UTC' : 'hour, UTC', value: (_, t) => (t ? new Date(t * 1e3).toISOString().slice(0, 16).replace('T', ' ') : '–') },
        { label: 'delivered', stroke: colour('--accent'), fill: colour('--accent') + '55', paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false }, value: amount },
        { label: '3scale', stroke: colour('--out'), width: 0, points: { show: true, size: 7, fill: colour('--out') }, value: amount }],
      axes: [{ ...axis, space: 60, values: (_, ticks) => ticks.map(label) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(short) }],
      scales: { x: { range: (_, low, high) => [low - this.step / 2, high + this.step / 2] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
      cursor: { drag: { x: false, y: false } },
    }, this.data, this.find('usage'));
    this.find('usage').setAttribute('aria-label', this.find('usagesum').textContent);
  }
}

function times(since, hours, by) {
  const step = by === 'day' ? 86400 : 3600;
  const first = since / 1e3;
  return Array.from({ length: Math.floor((hoursAgo(0) / 1e3 - first) / step) + 1 }, (_, i) => first + i * step);
}

// fill offers names, and keeps what was chosen.
function fill(select, names, all, preferred, text = (name) => name) {
  const chosen = select.value || preferred;
  const options = [...(all ? [['', all]] : []), ...names.map((name) => [name, text(name)])];
  if (options.length === select.options.length && options.every(([value, shown], i) => select.options[i].value === value && select.options[i].text === shown)) return;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}
