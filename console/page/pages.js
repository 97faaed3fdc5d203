// What the pages share beside the first: the login, the colours, and elements.

import { hasToken, keep, rights, root } from './session.js';

const find = (id) => document.getElementById(id);

/** Makes an element with properties, attributes among them, and children. */
export function make(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key in element && key !== 'list' && key !== 'role') element[key] = value; else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Shows the page once its figures may be read: may() is called with what is allowed, after each login. opens(token) says whether
 * a token that is no operator's opens the page. */
export async function enter(may, opens = async () => false) {
  const form = find('login');
  find('where').textContent = new URL(root).host;
  theme();
  const attempt = async () => {
    const session = await rights().catch(() => undefined);
    const scopes = session?.scopes ?? [];
    if (session && (scopes.includes('read') || await opens())) {
      form.hidden = true;
      find('known').hidden = false;
      await may(scopes);
      return;
    }
    find('refused').textContent = !session ? 'The daemon does not answer.' : hasToken() ? `This token does not open this page${session.name ? `: ${session.name} lacks the scope read` : ''}.` : '';
    form.hidden = false;
    find('known').hidden = true;
    find('token').focus();
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    keep(find('token').value);
    find('token').value = '';
    attempt();
  });
  await attempt();
}

function theme() {
  const apply = (name) => {
    document.documentElement.dataset.theme = name;
    find('theme').textContent = name === 'dark' ? 'Light' : 'Dark';
    find('theme').setAttribute('aria-pressed', String(name === 'dark'));
    dispatchEvent(new Event('theme'));
  };
  apply(localStorage.getItem('reporterd-theme') ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
  find('theme').addEventListener('click', () => {
    const name = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    localStorage.setItem('reporterd-theme', name);
    apply(name);
  });
}

/** A text with a button that copies it. Where the browser does not let a page copy, it is selected instead. */
export function copyable(label, text) {
  const input = make('input', { value: text, readOnly: true, className: 'long', 'aria-label': label });
  const button = make('button', { type: 'button', textContent: 'Copy', 'aria-label': `Copy: ${label}` });
  button.addEventListener('click', async () => {
    input.select();
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Selected: copy with the keyboard';
    }
  });
  return make('p', { className: 'copyable' }, make('span', { textContent: label, className: 'quiet' }), input, button);
}

/** A table of the columns and rows of an answer. */
export function table(columns, rows, most = Infinity) {
  const isID = (column) => /(^|_)id$/.test(column.name);
  const right = (column) => (['integer', 'number'].includes(column.type) && !isID(column) ? 'number' : column.type === 'time' || isID(column) ? 'when' : '');
  const cell = (value, column) => (value === null || value === undefined ? '' : typeof value === 'number' && !isID(column) ? value.toLocaleString('en', { maximumFractionDigits: 2 }) : String(value));
  return make('table', { className: 'list' },
    make('thead', {}, make('tr', {}, ...columns.map((c) => make('th', { scope: 'col', className: right(c), textContent: c.name })))),
    make('tbody', {}, ...rows.slice(0, most).map((row) => make('tr', {}, ...columns.map((c) => {
      const td = make('td', { className: right(c), textContent: cell(row[c.name], c) });
      td.dataset.label = c.name;
      return td;
    })))));
}
