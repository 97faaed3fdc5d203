// The ledger at a glance: a row for each service, a column for each hour, as a table that can be walked with the arrow keys.

import { counted, hoursAgo, iso, NoLedger, rows } from './ledger.js';
import { short, whole } from './format.js';
import { title } from './names.js';

const columns = 48; // hours
const mostServices = 50;
const steps = 4; // of colour, beside none

export class Heatmap {
  /** chosen(service) is called for the service that is clicked, or entered. */
  constructor(find, chosen) {
    this.find = find;
    this.chosen = chosen;
    find('heat').addEventListener('keydown', (event) => this.walk(event));
    find('heat').addEventListener('click', (event) => this.choose(event.target.closest('td')));
  }

  /** Asks anew. It returns false where there is no ledger. */
  async load(metric) {
    const since = iso(hoursAgo(columns - 1));
    const mine = this.asked = (this.asked ?? 0) + 1; // the answer to an older question may come after this one's
    let cells;
    try {
      cells = await rows({ since, by: 'hour', group: 'service_id,metric', metric });
    } catch (error) {
      if (error instanceof NoLedger) return false;
      throw error;
    }
    const asked = await counted({ since });
    if (mine === this.asked) this.draw(metric, cells, asked);
    return true;
  }

  draw(metric, cells, asked) {
    const hours = Array.from({ length: columns }, (_, i) => iso(hoursAgo(columns - 1 - i)));
    const services = new Map();
    for (const cell of cells) {
      if (!services.has(cell.service_id)) services.set(cell.service_id, new Map());
      services.get(cell.service_id).set(cell.time, cell);
    }
    const verdicts = worst(asked?.cells ?? [], metric);
    const most = Math.max(1, ...cells.map((cell) => cell.delivered));
    const sealed = asked?.sealed_through ?? '';
    const names = [...services.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).slice(0, mostServices);
    this.find('heat').tBodies[0].replaceChildren(...names.map((name) => this.row(name, hours, services.get(name), { verdicts, most, sealed, metric })));
    this.find('heat').tHead.replaceChildren(header(hours));
    const first = this.find('heat').querySelector('td');
    if (first) first.tabIndex = 0;
    this.find('noheat').textContent = names.length > 0 ? `The first ${names.length} of ${whole(services.size)} services.` : 'Nothing in 48 hours.';
    this.find('noheat').hidden = names.length > 0 && names.length === services.size;
    this.find('heatbox').hidden = this.find('heatlegend').hidden = names.length === 0;
    this.find('sealed').textContent = sealed ? `3scale's counts are final up to ${sealed.replace('T', ' ').replace(/:00Z$/, '')} UTC, left of the line. ${summary(asked.summary)}` : '';
  }

  /** Brings the latest hours, which are at the right, in sight, once. The box has to be shown. */
  latest() {
    const box = this.find('heatbox');
    if (this.scrolled || box.scrollWidth <= box.clientWidth) return;
    box.scrollLeft = box.scrollWidth;
    this.scrolled = true;
  }

  row(name, hours, cells, { verdicts, most, sealed, metric }) {
    const row = document.createElement('tr');
    const head = document.createElement('th');
    head.scope = 'row';
    head.textContent = title(name);
    row.append(head, ...hours.map((hour) => {
      const cell = cells.get(hour);
      const td = document.createElement('td');
      td.tabIndex = -1;
      td.dataset.service = name;
      const verdict = verdicts.get(`${name} ${hour}`) ?? '';
      td.dataset.step = cell?.delivered ? String(Math.max(1, Math.ceil(steps * Math.log1p(cell.delivered) / Math.log1p(most)))) : '0';
      td.dataset.verdict = verdict;
      td.textContent = mark(cell, verdict);
      if (sealed && hour === sealed) td.className = 'sealline';
      const words = `${title(name)}, ${hour.slice(5, 16).replace('T', ' ')} UTC: ${said(cell, metric)}${verdict ? `; ${verdict}` : ''}`;
      td.title = words;
      td.setAttribute('aria-label', words);
      return td;
    }));
    return row;
  }

  choose(td) {
    if (!td) return;
    this.focus(td);
    this.chosen(td.dataset.service);
  }

  walk(event) {
    const td = event.target.closest('td');
    if (!td) return;
    const row = td.parentElement;
    const next = {
      ArrowLeft: td.previousElementSibling, ArrowRight: td.nextElementSibling,
      ArrowUp: row.previousElementSibling?.cells[td.cellIndex], ArrowDown: row.nextElementSibling?.cells[td.cellIndex],
      Home: row.cells[1], End: row.cells[row.cells.length - 1],
    }[event.key];
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.choose(td);
    } else if (next?.tagName === 'TD') {
      event.preventDefault();
      this.focus(next);
    }
  }

  focus(td) {
    for (const other of this.find('heat').querySelectorAll('td[tabindex="0"]')) other.tabIndex = -1;
    td.tabIndex = 0;
    td.focus();
  }
}

// worst is the gravest verdict of each service and hour.
function worst(cells, metric) {
  const gravity = ['match', 'covers', 'open', 'settling', 'unverifiable', 'suspect', 'mutated', 'over', 'short'];
  const all = new Map();
  for (const cell of cells) {
    if (cell.metric && cell.metric !== metric) continue;
    const key = `${cell.service_id} ${cell.hour}`;
    if (gravity.indexOf(cell.verdict) >= gravity.indexOf(all.get(key) ?? '')) all.set(key, cell.verdict);
  }
  return all;
}

// mark is what a cell says without its colour.
function mark(cell, verdict) {
  if (['short', 'over', 'mutated'].includes(verdict)) return '!';
  if (cell?.dead) return '×';
  if (cell?.ambiguous) return '?';
  return '';
}

function said(cell, metric) {
  if (!cell) return 'nothing';
  const parts = [`${whole(cell.delivered)} ${metric} delivered`];
  for (const [word, n] of [['ambiguous', cell.ambiguous], ['dead', cell.dead], ['pending', cell.pending]]) {
    if (n) parts.push(`${short(n)} ${word}`);
  }
  return parts.join(', ');
}

function summary(counts) {
  const parts = Object.entries(counts ?? {}).filter(([, n]) => n > 0).map(([verdict, n]) => `${whole(n)} ${verdict}`);
  return parts.length ? `Hours: ${parts.join(', ')}.` : '';
}

function header(hours) {
  const row = document.createElement('tr');
  const head = document.createElement('th');
  head.scope = 'col';
  head.textContent = 'Service';
  row.append(head);
  for (let i = 0; i < hours.length; i += 6) {
    const th = document.createElement('th');
    th.scope = 'colgroup';
    th.colSpan = Math.min(6, hours.length - i);
    th.textContent = hours[i].slice(11, 16);
    row.append(th);
  }
  return row;
}
