// The page: figures as they come, lanes, dead letters.

import { follow } from './live.js';
import { hasToken, keep, offers, order, rights } from './session.js';
import { Rates } from './chart.js';
import { Letters } from './letters.js';
import { Parked } from './parked.js';
import { Heatmap } from './heatmap.js';
import { show as showReceipts } from './receipts.js';
import { Usage } from './usage.js';
import { learn, title } from './names.js';
import { chosen, choose } from './address.js';
import { bytes, quantile, short, time, utc, whole } from './format.js';

const find = (id) => document.getElementById(id);
const set = (id, text) => { if (find(id).textContent !== text) find(id).textContent = text; };

let scopes = [];
let lostSince = 0;
const mostLanes = 200; // shown
const past = []; // figures of the last minute, the oldest first
const rates = new Rates(find('chart'), chosen('rates', '1h'));
const usage = new Usage(find);
const heat = new Heatmap(find, (service) => usage.choose(service));
const letters = new Letters(find, () => scopes.includes('write'));
const parked = new Parked(find, () => scopes.includes('write'));

theme(localStorage.getItem('reporterd-theme') ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
find('theme').addEventListener('click', () => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark', true));
find('flush').addEventListener('click', flush);
find('metric').addEventListener('change', () => heat.load(usage.metric()).catch(() => {})); // the usage, which is read as well, says why
find('login').addEventListener('submit', (event) => {
  event.preventDefault();
  keep(find('token').value);
  find('token').value = '';
  find('login').hidden = true;
  begin();
});
find('where').textContent = location.host;
for (const button of find('spans').querySelectorAll('button')) {
  button.addEventListener('click', () => {
    choose('rates', button.value, '1h');
    rates.show(button.value);
    press();
  });
}
press();
begin();
setInterval(() => { if (!document.hidden && !find('ledger').hidden) ledger(); }, 20000);

async function begin() {
  await renew();
  ledger();
  follow({ heard, lost, asked });
}

// asked shows the login, and nothing that would be taken for a figure.
function asked(why) {
  summary('unknown', 'The state is unknown before a token is given.');
  state('lost', hasToken() ? 'token refused' : 'no token');
  set('refused', hasToken() ? why : '');
  find('known').hidden = true;
  find('login').hidden = false;
  find('token').focus();
}

// press shows which span of the rates is chosen.
function press() {
  for (const button of find('spans').querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.value === rates.span));
}

// renew asks what may be done: it is another daemon after a restart, perhaps with other tokens.
async function renew() {
  const session = await rights().catch(() => ({ scopes: [] }));
  scopes = session.scopes ?? [];
  find('flush').disabled = !scopes.includes('write');
  find('flush').title = find('flush').disabled ? 'This needs a token with the scope write' : 'Seal and send what is waiting';
}

function theme(name, chosen) {
  document.documentElement.dataset.theme = name;
  find('theme').textContent = name === 'dark' ? 'Light' : 'Dark';
  find('theme').setAttribute('aria-pressed', String(name === 'dark'));
  if (chosen) localStorage.setItem('reporterd-theme', name);
  rates.draw();
  usage.draw();
}

// ledger shows what was delivered, for who may see it and where it is kept.
async function ledger() {
  if (!offers.includes('ledger') || !scopes.includes('read')) return;
  try {
    find('ledger').hidden = !await heat.load(usage.metric());
    heat.latest();
    if (!find('ledger').hidden) await usage.load();
  } catch (error) {
    set('usagesum', `The ledger could not be read: ${error.message}`);
  }
}

function state(name, text) {
  find('link').dataset.state = name;
  set('link', text);
}

// summary says how the whole is, in one sentence and one colour.
function summary(level, sentence, advice = '') {
  find('summary').dataset.level = level;
  set('summary', `${sentence} ${advice}`.trim());
}

function lost(why) {
  lostSince ||= Date.now();
  summary('unknown', 'The daemon does not answer this page: its state is unknown.');
  state('lost', 'lost');
  find('lost').hidden = false;
  set('lost', `No data from the daemon since ${`${utc(lostSince)} UTC`}: ${why}. Figures below are from then. What it has acknowledged is on its disk.`);
}

function heard(now) {
  if (lostSince) {
    lostSince = 0;
    past.length = 0; // its counters may have begun anew
    find('lost').hidden = true;
    renew().then(() => { ledger(); rates.load(); letters.load(); parked.load(); });
  }
  if (find('known').hidden) {
    find('known').hidden = false;
    learn().then(() => ledger());
    rates.load();
    rates.draw();
  }
  state('live', now.ready === '' ? 'live' : now.ready);
  summary(now.summary.level, now.summary.sentence, now.summary.advice);
  set('version', now.version);
  const before = past.at(-1);
  past.push(now);
  if (past.length > 60) past.shift();
  show(now, before);
}

function show(now, before) {
  const e = now.events;
  law(e);
  set('pending', short(e.pending));
  set('oldest', e.pending ? `events, the oldest for ${time(now.spool.oldest_age_seconds)}` : 'none');
  set('spool', bytes(now.spool.bytes));
  set('free', `${bytes(now.spool.free_bytes)} free of ${bytes(now.spool.quota_bytes)}`);
  find('room').value = now.spool.quota_bytes ? now.spool.bytes / now.spool.quota_bytes : 0;
  set('calls', whole(now.backend.report_calls));
  set('commit', commitTime(now));
  authorizations(now.authorize);
  showReceipts(find, now.receipts);
  lanes(now.lanes, now.other_lanes);
  const undecided = (figures) => figures.lanes.reduce((sum, lane) => sum + lane.parked_batches, 0);
  if (undecided(now) !== (before ? undecided(before) : 0)) parked.load();
  if (before && now.time > before.time) {
    const since = past.at(-11) ?? past[0]; // ten seconds before: the difference of one is a saw
    const rate = (a, b) => Math.max(0, a - b) / (now.time - since.time);
    const [into, out] = [rate(e.accepted, since.events.accepted), rate(e.delivered, since.events.delivered)];
    set('in', short(into));
    set('out', short(out));
    rates.add(now.time, e.accepted, e.delivered);
  }
  if (!before || now.deadletters !== before.deadletters || e.dead !== before.events.dead) letters.changed();
  incidents(now);
}

// incidents puts what needs attention before the figures, and back where it is over.
function incidents(now) {
  const trouble = now.lanes.some((lane) => ['held', 'retrying', 'parked'].includes(lane.state));
  const urgent = [[find('lanessection'), trouble], [find('parkedsection'), now.lanes.some((lane) => lane.parked_batches)], [find('letterssection'), now.deadletters > 0]];
  for (const [section, first] of urgent) {
    const place = find(first ? 'incidents' : 'calm');
    if (section.parentElement !== place && !section.contains(document.activeElement)) place.append(section);
  }
}

function commitTime(now) {
  const slow = quantile(0.99, now.commit.bounds, past[0] === now ? undefined : past[0].commit, now.commit);
  return Number.isNaN(slow) ? '–' : slow === Infinity ? `> ${time(now.commit.bounds.at(-1))}` : `≤ ${time(slow)}`;
}

function law(e) {
  const holds = e.accepted === e.delivered + e.dead + e.pending + e.lost;
  const parts = [['accepted', e.accepted], [' = delivered', e.delivered], [' + dead', e.dead], [' + pending', e.pending], [' + lost', e.lost]];
  find('law').replaceChildren(...parts.flatMap(([word, n]) => {
    const b = document.createElement('b');
    b.textContent = whole(n);
    return [`${word} `, b];
  }), mark(holds));
}

function mark(holds) {
  const span = document.createElement('span');
  span.className = holds ? 'holds' : 'broken';
  span.textContent = holds ? ' ✓ balanced' : ' ✗ not balanced';
  return span;
}

function authorizations(a) {
  const all = Object.values(a.answers ?? {}).reduce((sum, n) => sum + n, 0);
  if (!all) return;
  set('authorized', short(all));
  set('cached', `${(100 * (a.answers.cache ?? 0) / all).toFixed(1)} % from memory, ${short(a.granted)} granted`);
}

// Lanes that need an operator come first: there may be more than are shown.
const urgency = ['held', 'parked', 'retrying', 'draining', 'flowing'];

function lanes(all, unnamed = []) {
  const busy = all.filter((lane) => lane.batches > 0 || lane.state !== 'flowing')
    .sort((a, b) => urgency.indexOf(a.state) - urgency.indexOf(b.state));
  const count = unnamed.reduce((sum, state) => sum + state.lanes, busy.length);
  set('nolanes', busy.length === 0 ? 'Nothing is waiting.' : `The first ${Math.min(mostLanes, busy.length)} of ${whole(count)}.`);
  find('nolanes').hidden = busy.length > 0 && count <= mostLanes;
  find('lanestable').hidden = busy.length === 0;
  find('lanes').replaceChildren(...busy.slice(0, mostLanes).map((lane) => {
    const row = document.createElement('tr');
    for (const [label, text, className] of [
      ['Service', title(lane.service_id), 'name'], ['State', lane.state, ''], ['Batches', whole(lane.batches), 'number'], ['Events', whole(lane.events), 'number'],
      ['Oldest', time(lane.oldest_age_seconds), 'number'], ['Why', why(lane)],
    ]) {
      const td = document.createElement('td');
      td.dataset.label = label;
      td.textContent = text;
      if (className) td.className = className;
      if (label === 'State') td.dataset.state = lane.state;
      row.append(td);
    }
    return row;
  }));
}

// why says what keeps a lane from delivering.
function why(lane) {
  if (!lane.parked_batches) return lane.last_error;
  const text = `${whole(lane.parked_batches)} parked: outcome unknown, decide below`;
  return lane.state === 'parked' || !lane.last_error ? text : `${lane.last_error}; ${text}`;
}

async function flush() {
  find('flush').disabled = true;
  try {
    const came = await order('-/flush');
    const left = (came.lanes ?? []).filter((lane) => lane.batches > 0).map((lane) => `${lane.service_id} ${lane.result}${lane.last_error ? ` (${lane.last_error})` : ''}`);
    set('said', left.length === 0 ? 'Flushed: what was accepted before is delivered.' : `Sealed and tried. Not delivered: ${left.slice(0, 10).join(', ')}${left.length > 10 ? ', …' : ''}.`);
  } catch (error) {
    set('said', `The flush failed: ${error.message}`);
  }
  find('flush').disabled = !scopes.includes('write');
}
