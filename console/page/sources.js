// Sources: what there is, and making one: a question, what it answers now, a name, a token.

import { copyable, enter, make, table } from './pages.js';
import { get, headers, offers, order, root } from './session.js';
import { chosen, choose } from './address.js';
import { filters, learn, title } from './names.js';
import { time } from './format.js';

const find = (id) => document.getElementById(id);
const form = find('edit');
const field = (name) => form.elements[name];
const fields = ['name', 'question', 'path', 'from', 'service', 'application', 'metric', 'since', 'until', 'by', 'timezone', 'limit', 'columns', 'refresh'];
const always = ['name', 'question', 'refresh', 'columns'];

let sources = [];
let catalogue = [];
let editing = ''; // the name of the source that is shown; empty: a new one
let answer; // the last preview
let scopes = [];

enter(async (may) => {
  scopes = may;
  find('portal').hidden = !offers.includes('portal') || !scopes.includes('write');
  await learn();
  find('services').replaceChildren(...filters.services.map((id) => make('option', { value: id, label: title(id) })));
  find('metrics').replaceChildren(make('option', { value: 'hits' }));
  find('zones').replaceChildren(...['UTC', ...(Intl.supportedValuesOf?.('timeZone') ?? [])].map((zone) => make('option', { value: zone })));
  await list();
  field('question').replaceChildren(...catalogue.map((q) => make('option', { value: q.name, textContent: q.name.replaceAll('_', ' ') })),
    make('option', { value: '', textContent: 'a path of 3scale’s APIs' }));
  show(chosen('source'));
});

form.addEventListener('submit', (event) => { event.preventDefault(); preview(); });
field('question').addEventListener('change', fit);
find('new').addEventListener('click', () => show(''));
find('save').addEventListener('click', () => save(false));
find('savetoken').addEventListener('click', () => save(true));
find('remove').addEventListener('click', remove);
find('export').addEventListener('click', download);
find('check').addEventListener('click', check);
for (const button of find('forms').querySelectorAll('button')) {
  button.addEventListener('click', () => {
    for (const other of find('forms').querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button));
    draw();
  });
}
setInterval(() => { if (!document.hidden && !find('known').hidden) list().catch(() => {}); }, 10000);

/** Looks at the portal, as reporterd doctor does. */
async function check() {
  find('check').disabled = true;
  find('checked').textContent = 'asking 3scale …';
  try {
    const { findings } = await order('api/v1/portal/check');
    const wrong = findings.filter((f) => !f.ok).length;
    find('checked').textContent = wrong ? `${wrong} of ${findings.length} things are wrong` : `all ${findings.length} things are right`;
    find('findings').replaceChildren(...findings.flatMap((f) => [
      make('dt', { textContent: `${f.ok ? '✓' : '✗'} ${f.name.replaceAll('_', ' ')}`, className: f.ok ? '' : 'broken' }),
      make('dd', { textContent: f.advice ? `${f.detail} → ${f.advice}` : f.detail }),
    ]));
    find('findings').hidden = false;
  } catch (error) {
    find('checked').textContent = error.message;
  } finally {
    find('check').disabled = false;
  }
}

async function list() {
  const all = await get('api/v1/sources');
  sources = all.sources;
  catalogue = all.catalogue;
  find('none').hidden = sources.length > 0;
  find('listbox').hidden = sources.length === 0;
  find('list').replaceChildren(...sources.map(row));
}

function row(source) {
  const open = make('button', { type: 'button', textContent: source.name, className: 'link' });
  open.addEventListener('click', () => show(source.name));
  const state = source.stale ? `old: ${source.reason}` : 'fresh';
  const asks = source.path ?? [source.question.replaceAll('_', ' '), source.service && title(source.service), source.application, source.metric].filter(Boolean).join(', ');
  const cells = [['Name', open], ['Question', asks], ['Answered by', source.from], ['Rows', String(source.rows)], ['Age', source.as_of ? (source.age_seconds > 0 ? time(source.age_seconds) : 'now') : '–'], ['State', state]];
  return make('tr', {}, ...cells.map(([label, content]) => {
    const td = make('td', { className: label === 'Rows' ? 'number' : '' }, content);
    td.dataset.label = label;
    if (label === 'State' && source.stale) td.className = 'broken';
    return td;
  }));
}

// show fills the form: with a source, or for a new one.
function show(name) {
  const source = sources.find((s) => s.name === name);
  editing = source?.name ?? '';
  choose('source', editing);
  find('edittitle').textContent = editing ? `Source ${editing}` : 'New source';
  field('name').readOnly = Boolean(editing);
  for (const key of fields) field(key).value = source?.[key] ?? '';
  field('question').value = source ? source.question ?? '' : 'service_usage';
  field('by').value = source?.by === 'day' ? '' : source?.by ?? '';
  field('refresh').value = source ? duration(source.refresh_seconds) : '';
  field('columns').value = Object.entries(source?.columns ?? {}).map(([from, to]) => `${from}=${to}`).join(', ');
  fit();
  if (source) field('from').value = source.from;
  for (const id of ['save', 'savetoken', 'remove', 'preview']) {
    find(id).disabled = !scopes.includes('write');
    find(id).title = scopes.includes('write') ? '' : 'This needs a token with the scope write';
  }
  find('remove').hidden = !editing;
  find('said').textContent = '';
  find('onetoken').hidden = true;
  share();
  answer = undefined;
  find('data').hidden = true;
  if (source?.as_of) kept(source);
}

// duration writes seconds as the file does.
function duration(seconds) {
  for (const [unit, n] of [['d', 86400], ['h', 3600], ['m', 60]]) if (seconds % n === 0) return `${seconds / n}${unit}`;
  return `${seconds}s`;
}

// fit shows the fields that the question uses.
function fit() {
  const q = catalogue.find((each) => each.name === field('question').value);
  const used = q ? [...always, 'from', ...q.needs, ...q.takes] : [...always, 'path', 'from', 'timezone'];
  for (const key of fields) {
    field(key).closest('label').hidden = !used.includes(key);
    field(key).required = Boolean(q?.needs.includes(key)) || (!q && key === 'path');
  }
  find('about').textContent = q?.about ?? 'A GET of the Analytics or Account Management API, with its query. {date…} is replaced each time.';
  const before = field('from').value;
  const from = q?.from ?? ['ledger', '3scale', 'both'];
  field('from').replaceChildren(...from.map((each) => make('option', { value: each, textContent: { ledger: 'the ledger', '3scale': '3scale', both: 'both, beside each other' }[each] })));
  if (from.includes(before)) field('from').value = before;
}

// draft is the source of the form: the fields that are shown and filled.
function draft() {
  const out = {};
  for (const key of fields) {
    const value = field(key).value.trim();
    if (!value || field(key).closest('label').hidden) continue;
    out[key] = value;
  }
  if (out.columns) out.columns = Object.fromEntries(out.columns.split(',').map((pair) => pair.split('=').map((part) => part.trim())).filter(([from, to]) => from && to));
  return out;
}

async function preview() {
  find('said').textContent = 'Asking.';
  try {
    answer = await order('api/v1/sources/preview', draft());
    const means = answer.since ? ` Since ${answer.since}, until ${answer.until} (exclusive).` : answer.path ? ` ${answer.path}` : '';
    find('said').textContent = `Answered in ${time(answer.seconds)}.${means}`;
    find('datasum').textContent = `${answer.rows_in_all.toLocaleString('en')} rows${answer.rows_in_all > answer.rows.length ? `, the first ${answer.rows.length}` : ''}, as of now`;
    draw();
  } catch (error) {
    find('said').textContent = `Not answered: ${error.message}`;
  }
}

// kept shows the last good answer of a source.
async function kept(source) {
  try {
    const all = await get(`sources/${source.name}.json`);
    if (editing !== source.name || answer || !all.columns) return;
    answer = { ...all, rows: all.rows.slice(0, 20) };
    find('datasum').textContent = `${all.rows.length.toLocaleString('en')} rows${all.rows.length > 20 ? ', the first 20' : ''}, the last good answer, as of ${all.as_of}`;
    draw();
  } catch { /* the list says how it is */ }
}

function draw() {
  if (!answer) return;
  find('data').hidden = false;
  const json = find('forms').querySelector('[aria-pressed="true"]').value === 'json';
  find('rows').replaceChildren(json ? make('pre', { textContent: answer.rows.map((each) => JSON.stringify(each, null, 1)).join('\n') }) : table(answer.columns, answer.rows));
}

async function save(newToken) {
  const source = draft();
  const name = source.name;
  if (!name) {
    find('said').textContent = 'A name is missing: lower-case letters, digits, - and _.';
    field('name').focus();
    return;
  }
  try {
    const out = await order(`api/v1/sources/${encodeURIComponent(name)}`, { ...source, ...(newToken ? { new_token: true } : {}) }, 'PUT', editing ? {} : { 'If-None-Match': '*' });
    await list();
    const data = answer;
    show(name);
    if (data) { answer = data; draw(); }
    find('said').textContent = `Saved: ${name} is in sources.yaml, and is asked for now.`;
    find('onetoken').hidden = !out.token;
    find('madetoken').textContent = out.token ?? '';
    share(out.token);
  } catch (error) {
    find('said').textContent = `Not saved: ${error.message}`;
  }
}

async function remove() {
  if (!confirm(`Delete the source ${editing}? Dashboards that read it get 403. There is no undo.`)) return;
  try {
    await order(`api/v1/sources/${encodeURIComponent(editing)}`, undefined, 'DELETE');
    const gone = editing;
    await list();
    show('');
    find('said').textContent = `Deleted: ${gone}.`;
  } catch (error) {
    find('said').textContent = `Not deleted: ${error.message}`;
  }
}

// share shows the addresses of a source that is saved.
function share(token) {
  const source = sources.find((s) => s.name === editing);
  find('share').hidden = !source;
  if (!source) return;
  const base = `${root}sources/${source.name}`;
  const bearer = token ?? 'TOKEN';
  find('addresses').replaceChildren(
    copyable('JSON', `${base}.json`), copyable('CSV', `${base}.csv`), copyable('A line for each row', `${base}.ndjson`),
    copyable('curl', `curl -H 'Authorization: Bearer ${bearer}' '${base}.csv'`),
    copyable('For tools without headers', `${base}.csv?access_token=${bearer}`),
    make('p', { className: 'quiet', textContent: source.token || token ? 'It opens with its token, and for operators. reader.listen serves the same paths and nothing else.' : 'It has no token: only operators can read it. “Save with a new token” makes one.' }));
}

async function download(event) {
  event.preventDefault();
  const text = await (await fetch(`${root}api/v1/sources.yaml`, { headers: headers() })).blob();
  const link = make('a', { href: URL.createObjectURL(text), download: 'sources.yaml' });
  link.click();
  URL.revokeObjectURL(link.href);
}
