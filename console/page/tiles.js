/* global uPlot, Chart */
// Tiles: pictures of the rows of an answer. Lines and bars over time are uPlot's, shares, tops and gauges Chart.js', tables and
// heat-maps are tables. Each has its rows as a table, too.

import { make, table } from './pages.js';
import { short, whole } from './format.js';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// Told apart by people who do not see some colours, too (Okabe and Ito), on light and on dark.
const palette = ['#1f6f5c', '#b5651d', '#56b4e9', '#cc79a7', '#8a7f00', '#0072b2', '#d55e00', '#777777', '#999933', '#882255'];
const isFigure = (column) => ['integer', 'number'].includes(column.type);

/** Which columns a tile shows: {label, value}. A name stands before an id. */
export function columnsOf(tile, view) {
  const named = (name) => view.columns.find((c) => c.name === name);
  const value = named(tile.value) ?? view.columns.find((c) => isFigure(c) && ['value', 'percent', 'hits', 'accepted'].includes(c.name)) ?? view.columns.find(isFigure);
  const label = named(tile.label) ?? view.columns.find((c) => c.type === 'time') ?? named('name') ?? view.columns.find((c) => !isFigure(c) && c !== value);
  return { label: label?.name, value: value?.name, labelType: label?.type };
}

const figureOf = (row, name) => (typeof row[name] === 'number' ? row[name] : 0);
const sum = (rows, name) => rows.reduce((all, row) => all + figureOf(row, name), 0);

/** Rows with the same label, added up: a table by service and metric has several of a time. */
function summed(rows, { label, value }) {
  const all = new Map();
  for (const row of rows) all.set(row[label], (all.get(row[label]) ?? 0) + figureOf(row, value));
  return [...all].map(([name, n]) => ({ name: String(name ?? ''), n }));
}

/** Draws a tile into a place. before is the view of the range before, or undefined. It returns a sentence about what is shown, and
 * what ends the picture. */
export function draw(tile, view, before, place) {
  const columns = columnsOf(tile, view);
  place.replaceChildren();
  if (view.rows.length === 0) {
    place.append(make('p', { className: 'quiet', textContent: 'No rows in this range.' }));
    return { said: 'no rows', end: () => {} };
  }
  if (tile.kind === 'table') return drawTable(view, place);
  if (!columns.value || (!columns.label && tile.kind !== 'figure' && tile.kind !== 'gauge')) {
    place.append(make('p', { className: 'broken', textContent: 'This answer has no column of figures, or none of times or names.' }));
    return { said: 'nothing to draw', end: () => {} };
  }
  return { line: drawTime, bar: drawTime, share: drawShare, top: drawTop, gauge: drawGauge, figure: drawFigure, 'heat-map': drawHeat }[tile.kind](tile, view, before, place, columns);
}

function drawTable(view, place) {
  place.append(make('div', { className: 'box', tabIndex: 0, role: 'region', 'aria-label': 'Rows' }, table(view.columns, view.rows, 500)));
  return { said: `${whole(view.rows_in_all)} rows`, end: () => {} };
}

// timeText writes a time of an answer, which is in the zone of the view, without what says nothing.
function timeText(text, hours) { return hours ? text.slice(0, 16).replace('T', ' ') : text.slice(0, 10); }

function drawTime(tile, view, before, place, columns) {
  if (columns.labelType !== 'time') return drawTop(tile, view, before, place, columns);
  const points = summed(view.rows, columns);
  const hours = points.some((p) => !p.name.includes('T00:00:00'));
  // The axis counts points, which are hours, days or months of the view's zone: a day of 23 hours is as wide as any other.
  const data = [points.map((_, i) => i), points.map((p) => p.n)];
  const old = before ? summed(before.rows, columns) : [];
  if (before) data.push(points.map((_, i) => old[i]?.n ?? null));
  const text = (i) => (points[i] ? timeText(points[i].name, hours) : '');
  const size = () => ({ width: Math.max(120, place.clientWidth), height: Math.max(140, (place.clientHeight || 224) - 34) });
  const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
  // Without a cursor the legend has the last point.
  const amount = (_, n, series) => whole(n ?? data[series].at(-1) ?? NaN);
  const bars = tile.kind === 'bar' ? { paths: uPlot.paths.bars({ size: [0.8, 60] }), points: { show: false }, fill: `${colour('--accent')}88` } : { fill: `${colour('--accent')}18`, points: { show: points.length < 2 } };
  const chart = new uPlot({
    ...size(),
    scales: { x: { time: false, range: (_, low, high) => [low - 0.5, high + 0.5] }, y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.08)] } },
    series: [{ label: 'time', value: (_, i) => text(Math.round(i ?? points.length - 1)) }, { label: columns.value, stroke: colour('--accent'), width: 2, value: amount, ...bars },
      ...(before ? [{ label: 'before', stroke: colour('--out'), width: 1.5, dash: [5, 4], points: { show: false }, value: amount }] : [])],
    axes: [{ ...axis, space: 80, incrs: [1, 2, 3, 6, 7, 12, 14, 24, 28, 48, 72, 96, 168, 336], values: (_, ticks) => ticks.map((i) => (Number.isInteger(i) ? text(i).slice(5) || text(i) : '')) },
      { ...axis, size: 52, values: (_, ticks) => ticks.map(short) }],
    cursor: { drag: { x: false, y: false } },
  }, data, place);
  const watch = new ResizeObserver(() => chart.setSize(size()));
  watch.observe(place);
  const total = data[1].reduce((a, n) => a + n, 0);
  return { said: `${whole(total)} ${columns.value} in ${points.length} points${before ? `, ${whole(old.reduce((a, p) => a + p.n, 0))} before` : ''}`, end: () => { watch.disconnect(); chart.destroy(); } };
}

// chartOf makes a chart of Chart.js, without movement.
function chartOf(place, config) {
  const canvas = make('canvas', {});
  place.append(canvas);
  const text = colour('--text');
  Chart.defaults.color = text;
  Chart.defaults.borderColor = colour('--line');
  Chart.defaults.font.family = 'system-ui, sans-serif';
  const chart = new Chart(canvas, { ...config, options: { responsive: true, maintainAspectRatio: false, animation: false, ...config.options } });
  return () => chart.destroy();
}

// side is where the names stand: below, where there is no room beside.
const side = (width) => (width < 420 ? 'bottom' : 'right');

function drawShare(tile, view, before, place, columns) {
  const parts = summed(view.rows, columns).filter((p) => p.n > 0).sort((a, b) => b.n - a.n);
  const most = palette.length - 1;
  const shown = parts.length > most + 1 ? [...parts.slice(0, most), { name: `${parts.length - most} more`, n: parts.slice(most).reduce((a, p) => a + p.n, 0) }] : parts;
  const all = shown.reduce((a, p) => a + p.n, 0) || 1;
  const percent = (n) => `${(100 * n / all).toFixed(1)} %`;
  const end = chartOf(place, {
    type: 'doughnut',
    data: { labels: shown.map((p) => `${p.name} ${percent(p.n)}`), datasets: [{ data: shown.map((p) => p.n), backgroundColor: palette, borderColor: colour('--card') }] },
    options: { onResize: (chart, size) => { chart.options.plugins.legend.position = side(size.width); }, plugins: { legend: { position: side(place.clientWidth) }, tooltip: { callbacks: { label: (item) => `${whole(item.raw)}, ${percent(item.raw)}` } } } },
  });
  return { said: shown.slice(0, 3).map((p) => `${p.name} ${percent(p.n)}`).join(', '), end };
}

function drawTop(tile, view, before, place, columns) {
  const parts = summed(view.rows, columns).sort((a, b) => b.n - a.n).slice(0, 25);
  const old = new Map(before ? summed(before.rows, columns).map((p) => [p.name, p.n]) : []);
  const end = chartOf(place, {
    type: 'bar',
    data: {
      labels: parts.map((p) => p.name),
      datasets: [{ label: columns.value, data: parts.map((p) => p.n), backgroundColor: colour('--accent') },
        ...(before ? [{ label: 'before', data: parts.map((p) => old.get(p.name) ?? 0), backgroundColor: colour('--out') }] : [])],
    },
    options: { indexAxis: 'y', plugins: { legend: { display: Boolean(before) }, tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${whole(item.raw)}` } } }, scales: { x: { beginAtZero: true, ticks: { callback: short } }, y: { ticks: { autoSkip: false } } } },
  });
  return { said: parts.slice(0, 3).map((p) => `${p.name} ${whole(p.n)}`).join(', '), end };
}

// drawGauge shows the fullest row: of limits, the one that is nearest.
function drawGauge(tile, view, before, place, columns) {
  const row = view.rows.reduce((best, each) => (figureOf(each, columns.value) > figureOf(best, columns.value) ? each : best));
  const [n, max] = [figureOf(row, columns.value), tile.max || 100];
  const part = Math.max(0, Math.min(1, n / max));
  const end = chartOf(place, {
    type: 'doughnut',
    data: { labels: ['used', 'left'], datasets: [{ data: [part, 1 - part], backgroundColor: [colour(part >= 0.9 ? '--bad' : part >= 0.7 ? '--out' : '--accent'), colour('--line')], borderWidth: 0 }] },
    options: { circumference: 180, rotation: -90, cutout: '72%', events: [], plugins: { legend: { display: false }, tooltip: { enabled: false } } },
  });
  const unit = columns.value === 'percent' ? ' %' : ` of ${whole(max)}`;
  const whose = view.columns.filter((c) => !isFigure(c) && c.type !== 'time' && row[c.name] && !['account', 'plan'].includes(c.name)).map((c) => row[c.name]).slice(0, 4).join(', ');
  place.append(make('p', { className: 'gaugetext' }, make('b', { textContent: `${Number(n.toFixed(1)).toLocaleString('en')}${unit}` }), make('span', { className: 'quiet', textContent: whose })));
  return { said: `${n.toFixed(1)}${unit}${whose ? `, ${whose}` : ''}`, end };
}

function drawFigure(tile, view, before, place, columns) {
  const n = sum(view.rows, columns.value);
  const lines = [make('p', { className: 'big', textContent: short(n), title: whole(n) }), make('p', { className: 'quiet', textContent: `${whole(n)} ${columns.value}` })];
  let said = `${whole(n)} ${columns.value}`;
  if (before) {
    const old = sum(before.rows, columns.value);
    const change = old ? `${n >= old ? '+' : '−'}${Math.abs(100 * (n - old) / old).toFixed(1)} %` : n ? 'none before' : 'none before either';
    const text = old ? `${change}, ${whole(old)} before` : change;
    lines.push(make('p', { className: 'quiet', textContent: text }));
    said += `, ${text}`;
  }
  place.append(...lines);
  if (columns.labelType === 'time') place.append(...sparkline(summed(view.rows, columns)));
  return { said, end: () => {} };
}

/** A small line without axes, of at least three points; what it shows is in the rows below. */
function sparkline(points) {
  if (points.length < 3) return [];
  const [wide, high, most] = [200, 32, Math.max(1, ...points.map((p) => p.n))];
  const at = (p, i) => `${(wide * i / (points.length - 1)).toFixed(1)},${(high - 1 - (high - 2) * Math.max(0, p.n) / most).toFixed(1)}`;
  const [svg, line] = ['svg', 'polyline'].map((name) => document.createElementNS('http://www.w3.org/2000/svg', name));
  svg.setAttribute('viewBox', `0 0 ${wide} ${high}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'sparkline');
  svg.setAttribute('aria-hidden', 'true');
  line.setAttribute('points', points.map(at).join(' '));
  svg.append(line);
  return [svg];
}

// drawHeat shows hours of days where the times are hours, and otherwise a row for each name and a column for each time.
function drawHeat(tile, view, before, place, columns) {
  const time = view.columns.find((c) => c.type === 'time')?.name;
  if (!time) return drawTop(tile, view, before, place, columns);
  const name = view.columns.find((c) => c.name === tile.label && c.type !== 'time')?.name ?? view.columns.find((c) => ['name', 'application', 'service'].includes(c.name))?.name;
  const hourly = !name && view.rows.some((row) => !row[time].includes('T00:00:00'));
  const rowOf = (row) => (name ? String(row[name] ?? '') : hourly ? row[time].slice(0, 10) : '');
  const columnOf = (row) => (hourly ? row[time].slice(11, 13) : row[time].slice(0, 16).replace('T00:00', '').replace('T', ' '));
  const cells = new Map();
  for (const row of view.rows) {
    const key = `${rowOf(row)}\n${columnOf(row)}`;
    cells.set(key, (cells.get(key) ?? 0) + figureOf(row, columns.value));
  }
  const all = [...new Set(view.rows.map(rowOf))];
  const names = (hourly ? all.sort().reverse() : all).slice(0, 60); // the latest day first
  const times = [...new Set(view.rows.map(columnOf))].sort();
  const most = Math.max(1, ...cells.values());
  const body = names.map((each) => make('tr', {}, make('th', { scope: 'row', textContent: each }), ...times.map((at) => {
    const n = cells.get(`${each}\n${at}`) ?? 0;
    const td = make('td', { title: `${each} ${at}${hourly ? ':00' : ''}: ${whole(n)}` }, make('span', { className: 'hidden', textContent: whole(n) }));
    td.dataset.step = n ? String(Math.max(1, Math.ceil(5 * Math.log1p(n) / Math.log1p(most)))) : '0';
    return td;
  })));
  const step = Math.ceil(times.length / 12);
  const head = make('tr', {}, make('th', { scope: 'col' }, make('span', { className: 'hidden', textContent: name ?? 'day' })), ...times.map((at, i) => make('th', { scope: 'col' }, i % step ? make('span', { className: 'hidden', textContent: at }) : at.slice(-5))));
  place.append(make('div', { className: 'box', tabIndex: 0, role: 'region', 'aria-label': 'Heat-map' }, make('table', { className: 'heat' }, make('thead', {}, head), make('tbody', {}, ...body))));
  return { said: `the most is ${whole(most)}`, end: () => {} };
}
