// Dashboards: the list, one of them with its range, and its editor.

import { copyable, enter, make, table } from './pages.js';
import { get, order } from './session.js';
import { chosen, choose } from './address.js';
import { draw } from './tiles.js';
import { time, whole } from './format.js';

const find = (id) => document.getElementById(id);
const form = find('editor');
const name = chosen('d');
const ranges = [['today', 'today'], ['yesterday', 'yesterday and today'], ['24h', '24 hours'], ['7d', '7 days'], ['30d', '30 days'], ['90d', '90 days'], ['month', 'this month'], ['now-1M/M', 'last month and this'], ['year', 'this year'], ['own', 'another']];
const kinds = { line: 'line', bar: 'bars', share: 'shares (pie)', top: 'top', gauge: 'gauge', figure: 'one figure', table: 'table', 'heat-map': 'heat-map' };
const every = 60000; // between two readings while the page is looked at

let scopes = [];
let board; // as it is shown, perhaps changed
let stored = ''; // as it was read or saved, in JSON
let pictures = []; // what ends each
let answers = new Map(); // of tiles: {view, before}
let asked = 0;

enter(async (may) => {
  scopes = may;
  for (const link of document.querySelectorAll('header nav a')) link.hidden = !scopes.includes('read'); // a reader's token opens this page alone
  await (name ? open() : list());
}, async () => Boolean(name) && get(`api/v1/dashboards/${encodeURIComponent(name)}`).then(() => true, () => false));

async function list() {
  find('listsection').hidden = false;
  const all = (await get('api/v1/dashboards')).dashboards;
  find('list').replaceChildren(...all.map((d) => make('tr', {},
    cell('Title', make('a', { href: `dashboards.html?d=${encodeURIComponent(d.name)}`, textContent: d.title || d.name })), cell('Name', d.name),
    cell('Tiles', String(d.tiles), 'number'), cell('Opens with', d.token ? 'its token, an operator’s' : 'an operator’s token'))));
  find('create').disabled = !scopes.includes('write');
  find('import').disabled = !scopes.includes('write');
  find('create').addEventListener('click', () => begin({ name: '', title: 'New dashboard', range: '30d', tiles: [] }));
  find('import').addEventListener('change', async () => {
    try {
      const read = JSON.parse(await find('import').files[0].text());
      begin({ ...read, name: read.name ?? '' });
      find('said').textContent = 'Imported; it is kept once it is saved.';
    } catch (error) {
      alert(`Not a dashboard: ${error.message}`);
    }
  });
}

function cell(label, content, className = '') {
  const td = make('td', { className }, content);
  td.dataset.label = label;
  return td;
}

// begin shows a dashboard that is not saved yet.
function begin(it) {
  find('listsection').hidden = true;
  board = it;
  stored = '';
  prepare();
  edit(true);
  load();
}

async function open() {
  try {
    board = await get(`api/v1/dashboards/${encodeURIComponent(name)}`);
  } catch (error) {
    find('said').textContent = error.message;
    find('board').hidden = false;
    return;
  }
  stored = JSON.stringify(board);
  prepare();
  load();
  setInterval(() => { if (!document.hidden && form.hidden) load(); }, every);
}

// prepare fills in what the address, or else the dashboard, says of range and zone.
function prepare() {
  find('board').hidden = false;
  find('title').textContent = board.title || board.name;
  document.title = `${board.title || board.name} · reporterd`;
  find('zones').replaceChildren(...['UTC', ...(Intl.supportedValuesOf?.('timeZone') ?? [])].map((zone) => make('option', { value: zone })));
  find('range').replaceChildren(...ranges.map(([value, text]) => new Option(text, value)));
  const range = chosen('since', board.range || '30d');
  const own = chosen('until') || !ranges.some(([value]) => value === range);
  find('range').value = own ? 'own' : range;
  find('since').value = own ? range : '';
  find('until').value = chosen('until');
  find('zone').value = chosen('zone', board.timezone || 'UTC');
  find('compare').checked = chosen('compare', String(Boolean(board.compare))) === 'true';
  fit();
  for (const id of ['range', 'since', 'until', 'zone', 'compare']) find(id).onchange = changed;
  find('refresh').onclick = () => load();
  find('editing').onclick = () => edit(form.hidden);
  find('exporting').onclick = exported;
  find('sharing').onclick = share;
  for (const id of ['editing', 'sharing']) {
    find(id).disabled = !scopes.includes('write');
    find(id).title = scopes.includes('write') ? '' : 'This needs an operator’s token with the scope write';
  }
  prepareEditor();
}

function fit() {
  const own = find('range').value === 'own';
  find('sincelabel').hidden = !own;
  find('untillabel').hidden = !own;
}

function changed() {
  fit();
  const { since, until } = range();
  choose('since', since, board.range || '30d');
  choose('until', until);
  choose('zone', find('zone').value, board.timezone || 'UTC');
  choose('compare', String(find('compare').checked), String(Boolean(board.compare)));
  load();
}

function range() {
  const own = find('range').value === 'own';
  return { since: own ? find('since').value.trim() || '30d' : find('range').value, until: own ? find('until').value.trim() : '' };
}

// short ranges have a point for each hour.
function step(since) { return ['today', 'yesterday', '24h', '1d', '2d', '48h'].includes(since) ? 'hour' : ''; }

// load asks for the figures of all tiles, and draws each as it comes.
async function load() {
  const mine = asked += 1; // the answer to an older question may come after this one's
  const { since, until } = range();
  const query = (before) => new URLSearchParams({ since, ...(until ? { until } : {}), ...(step(since) ? { by: step(since) } : {}), timezone: find('zone').value || 'UTC', ...(before ? { before: 'true' } : {}) });
  frame();
  const compares = find('compare').checked;
  let meaning = '';
  await Promise.all(board.tiles.map(async (tile, i) => {
    let shown;
    try {
      const view = await ask(tile, query(false));
      const before = compares && view.moved && ['line', 'bar', 'top', 'figure'].includes(tile.kind) ? await ask(tile, query(true)) : undefined;
      shown = { view, before };
      if (view.moved) meaning = `From ${view.since} until ${view.until} (exclusive), ${view.timezone}.`;
    } catch (error) {
      shown = { error };
    }
    if (mine !== asked) return;
    answers.set(tile, shown);
    paint(tile, i);
  }));
  if (mine === asked) find('meaning').textContent = `${meaning} Figures of the ledger are what was delivered.`.trim();
}

// ask reads a tile of the dashboard that is saved; of one that is changed, the last answer of its source.
async function ask(tile, query) {
  const saved = stored ? JSON.parse(stored) : { tiles: [] };
  const at = saved.tiles.findIndex((t) => JSON.stringify(t) === JSON.stringify(tile));
  if (at >= 0) return get(`api/v1/dashboards/${encodeURIComponent(saved.name)}/tiles/${at}?${query}`);
  const all = tile.source ? await get(`sources/${encodeURIComponent(tile.source)}.json`) : await order('api/v1/sources/preview', tile.question);
  return { ...all, rows_in_all: all.rows_in_all ?? all.rows.length, moved: false, reason: all.reason };
}

// frame makes a box for each tile.
function frame() {
  for (const end of pictures) end?.();
  pictures = [];
  find('tiles').replaceChildren(...board.tiles.map((tile, i) => {
    const box = make('article', { className: 'tile', 'aria-label': titleOf(tile) }, make('h2', { textContent: titleOf(tile) }), ...(form.hidden ? [] : [tools(tile, i)]),
      make('div', { className: 'plot' }), make('p', { className: 'quiet state' }));
    box.dataset.kind = tile.kind;
    box.dataset.width = String(tile.width || 2);
    return box;
  }));
  board.tiles.forEach((tile, i) => { if (answers.has(tile)) paint(tile, i); });
  if (board.tiles.length === 0) find('tiles').append(make('p', { className: 'quiet', textContent: 'No tiles yet: Edit adds them.' }));
}

const titleOf = (tile) => tile.title || (tile.source ? `${tile.source}, ${kinds[tile.kind]}` : kinds[tile.kind]);

function paint(tile, i) {
  const box = find('tiles').children[i];
  const { view, before, error } = answers.get(tile);
  const [plot, state] = [box.querySelector('.plot'), box.querySelector('.state')];
  pictures[i]?.();
  box.querySelector('details')?.remove();
  if (error) {
    plot.replaceChildren(make('p', { className: 'broken', textContent: error.message }));
    return;
  }
  const picture = draw(tile, view, before, plot);
  pictures[i] = picture.end;
  box.dataset.drawn = 'true';
  if (!['table', 'heat-map', 'figure'].includes(tile.kind)) {
    plot.setAttribute('role', 'img');
    plot.setAttribute('aria-label', `${titleOf(tile)}: ${picture.said}`);
  }
  const own = view.moved ? '' : view.since ? `its own range, since ${view.since.slice(0, 10)}; ` : '';
  state.textContent = `${own}${view.age_seconds > 0 ? `${time(view.age_seconds)} old` : 'as of now'}${view.rows_in_all > view.rows.length ? `; the first ${whole(view.rows.length)} of ${whole(view.rows_in_all)} rows` : ''}`;
  if (view.stale) {
    state.className = 'state old';
    state.textContent += `; old: ${view.reason}`;
  }
  if (tile.kind !== 'table') {
    const rows = make('details', {}, make('summary', { textContent: 'Rows' }));
    rows.addEventListener('toggle', () => {
      if (rows.open && rows.children.length === 1) rows.append(make('div', { className: 'box', tabIndex: 0, role: 'region', 'aria-label': `Rows of ${titleOf(tile)}` }, table(view.columns, view.rows, 500)));
    });
    box.append(rows);
  }
}

addEventListener('theme', () => { if (board) frame(); });

// ---- the editor

function edit(on) {
  form.hidden = !on;
  find('editing').setAttribute('aria-pressed', String(on));
  if (board) frame();
}

async function prepareEditor() {
  form.elements.name.value = board.name.startsWith('service-') ? '' : board.name;
  form.elements.title.value = board.title ?? '';
  find('removeboard').hidden = !stored || board.name.startsWith('service-');
  form.onsubmit = (event) => { event.preventDefault(); save(false); };
  find('addtile').onclick = add;
  find('removeboard').onclick = remove;
  form.elements.kind.replaceChildren(...Object.entries(kinds).map(([value, text]) => new Option(text, value)));
  if (!scopes.includes('write')) return;
  const all = (await get('api/v1/sources')).sources;
  form.elements.source.replaceChildren(...all.map((s) => new Option(s.name, s.name)));
  if (all.length === 0) form.elements.source.append(new Option('none yet: make one on the page Sources', ''));
}

function add() {
  const f = form.elements;
  if (!f.source.value) {
    find('said').textContent = 'There is no source yet: make one on the page Sources.';
    return;
  }
  const tile = { kind: f.kind.value, source: f.source.value, width: Number(f.width.value) };
  for (const [key, field] of [['title', 'tiletitle'], ['label', 'label'], ['value', 'value']]) if (f[field].value.trim()) tile[key] = f[field].value.trim();
  if (Number(f.max.value) > 0) tile.max = Number(f.max.value);
  board.tiles = [...board.tiles, tile];
  f.tiletitle.value = '';
  find('said').textContent = `Added; it is kept once the dashboard is saved.`;
  load();
}

function tools(tile, i) {
  const button = (text, label, act, disabled = false) => {
    const b = make('button', { type: 'button', textContent: text, disabled, 'aria-label': `${label}: ${titleOf(tile)}` });
    b.addEventListener('click', () => { act(); frame(); });
    return b;
  };
  const swap = (a, b) => { const next = [...board.tiles]; [next[a], next[b]] = [next[b], next[a]]; board.tiles = next; };
  const widen = (by) => {
    const answer = answers.get(tile);
    const next = { ...tile, width: (tile.width || 2) + by };
    board.tiles = board.tiles.map((t) => (t === tile ? next : t));
    if (answer) answers.set(next, answer);
  };
  return make('div', { className: 'actions' },
    button('←', 'Move to the front', () => swap(i, i - 1), i === 0), button('→', 'Move to the back', () => swap(i, i + 1), i === board.tiles.length - 1),
    button('narrower', 'Narrower', () => widen(-1), (tile.width || 2) <= 1), button('wider', 'Wider', () => widen(1), (tile.width || 2) >= 4),
    button('remove', 'Remove', () => { board.tiles = board.tiles.filter((t) => t !== tile); }));
}

// definition is the dashboard as it is shown, with its range.
function definition() {
  const { since } = range();
  return { ...board, title: form.elements.title.value.trim() || board.title, range: since, timezone: find('zone').value || 'UTC', compare: find('compare').checked };
}

async function save(newToken) {
  const to = form.elements.name.value.trim();
  if (!to) {
    edit(true);
    find('said').textContent = 'A name is missing: lower-case letters, digits, - and _.';
    form.elements.name.focus();
    return undefined;
  }
  try {
    const fresh = !stored || JSON.parse(stored).name !== to;
    const out = await order(`api/v1/dashboards/${encodeURIComponent(to)}`, { ...definition(), name: to, ...(newToken ? { new_token: true } : {}) }, 'PUT', fresh ? { 'If-None-Match': '*' } : {});
    const before = board.tiles;
    board = await get(`api/v1/dashboards/${encodeURIComponent(to)}`);
    board.tiles.forEach((tile, i) => { if (answers.has(before[i])) answers.set(tile, answers.get(before[i])); });
    stored = JSON.stringify(board);
    for (const key of ['since', 'zone', 'compare']) choose(key, '');
    choose('d', to);
    find('title').textContent = board.title || board.name;
    find('removeboard').hidden = false;
    find('said').textContent = `Saved as ${to}.`;
    await load();
    return out;
  } catch (error) {
    find('said').textContent = `Not saved: ${error.message}`;
    return undefined;
  }
}

async function remove() {
  if (!confirm(`Delete the dashboard ${board.name}? There is no undo; Export keeps a copy.`)) return;
  try {
    await order(`api/v1/dashboards/${encodeURIComponent(board.name)}`, undefined, 'DELETE');
    location.href = 'dashboards.html';
  } catch (error) {
    find('said').textContent = `Not deleted: ${error.message}`;
  }
}

function exported() {
  const text = JSON.stringify(definition(), null, 2);
  const link = make('a', { href: URL.createObjectURL(new Blob([text], { type: 'application/json' })), download: `${board.name || 'dashboard'}.json` });
  link.click();
  URL.revokeObjectURL(link.href);
}

// share saves the dashboard with a new token, and shows where it opens.
async function share() {
  const known = stored && !board.name.startsWith('service-');
  if (known && !confirm('A new token is made for this dashboard; one of before does not open it any more.')) return;
  const out = await save(true);
  if (!out) return;
  find('sharebox').hidden = false;
  find('sharebox').replaceChildren(copyable('Address', location.href), copyable('Token, shown once', out.token),
    make('p', { className: 'quiet', textContent: 'The token opens this dashboard and nothing else. The address asks for it.' }));
}
