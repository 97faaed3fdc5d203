// The API's description, to read and to try. It shows openapi.json as it is; operations of the admin listener can be sent from
// here, those of the traffic listener are shown as a curl command.

import { headers, keep } from './session.js';

const find = (id) => document.getElementById(id);
let api;

fetch('../openapi.json').then((answer) => answer.json()).then((document) => {
  api = document;
  find('said').textContent = `OpenAPI ${api.openapi}`;
  find('about').textContent = api.info.description;
  show();
}).catch((error) => { find('said').textContent = `not readable: ${error.message}`; });
find('find').addEventListener('input', show);
find('token').addEventListener('change', () => keep(find('token').value));

/** Makes an element with properties, attributes among them, and children. */
function make(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key in element) element[key] = value; else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Follows a reference inside the document. */
function resolve(part) {
  while (part?.$ref) part = part.$ref.slice(2).split('/').reduce((at, key) => at[key], api);
  return part ?? {};
}

function show() {
  const wanted = find('find').value.toLowerCase();
  const sections = (api?.tags ?? []).map((tag) => {
    const operations = Object.entries(api.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, operation })))
      .filter(({ operation }) => operation.tags.includes(tag.name))
      .filter(({ path, operation }) => `${path} ${operation.summary}`.toLowerCase().includes(wanted));
    return operations.length ? make('div', {}, make('h2', { textContent: `${tag.name}: ${tag.description}` }), ...operations.map(details)) : '';
  });
  find('operations').replaceChildren(...sections);
}

function details({ path, method, operation }) {
  const box = make('details', {}, make('summary', {}, make('b', { textContent: `${method.toUpperCase()} ${path}` }), ` ${operation.summary}`));
  box.addEventListener('toggle', () => { if (box.open && box.children.length === 1) box.append(body(path, method, operation)); }, { once: true });
  return box;
}

function body(path, method, operation) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const content = Object.entries(resolve(operation.requestBody).content ?? {});
  const rows = Object.entries(operation.responses).map(([status, response]) => make('tr', {},
    make('td', { textContent: status }), make('td', { textContent: resolve(response).description }),
    make('td', { textContent: Object.keys(resolve(response).content ?? {}).join(', ') })));
  const inputs = parameters.map((p) => ({ p, input: make('input', { type: 'text', placeholder: hint(resolve(p.schema)) }) }));
  const text = make('textarea', { rows: 6, cols: 80, spellcheck: false, value: content.length ? JSON.stringify(example(content[0][1].schema), null, 2) : '' });
  const said = make('pre', { tabIndex: 0 });
  const form = make('form', {},
    ...inputs.map(({ p, input }) => make('p', {}, make('label', {}, `${p.name}${p.required ? '' : ' (optional)'} `, input), ` ${p.description ?? ''}`)),
    ...(content.length ? [make('p', {}, `body, ${content[0][0]}:`), text] : []),
    ...(operation.tags.includes('admin') ? [make('p', {}, make('button', { type: 'submit', textContent: 'Send' }))] : []));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send(path, method, inputs, content.length ? text.value : undefined, said);
  });
  return make('div', {}, form, make('pre', { textContent: curl(path, method, operation, content) }), said,
    make('table', { className: 'list' }, make('tbody', {}, ...rows)));
}

const hint = (schema) => schema.enum?.join(' | ') ?? (schema.default !== undefined ? `default ${schema.default}` : schema.type ?? '');

/** A value of a schema, to begin with. */
function example(schema, depth = 0) {
  const s = resolve(schema);
  if (s.oneOf) return example(s.oneOf[0], depth);
  const type = Array.isArray(s.type) ? s.type[0] : s.type;
  if (s.enum) return s.enum[0];
  if (type === 'object' && depth < 4) {
    if (!s.properties) return s.additionalProperties ? { hits: 1 } : {};
    return Object.fromEntries(Object.entries(s.properties).filter(([key]) => !s.required || s.required.includes(key)).map(([key, value]) => [key, example(value, depth + 1)]));
  }
  return { array: [], integer: 0, number: 0, boolean: false, string: '' }[type] ?? '';
}

function curl(path, method, operation, content) {
  const server = api.servers.find((s) => s.description.startsWith(operation.tags[0]))?.url ?? '';
  const data = content.length ? ` -H 'Content-Type: ${content[0][0]}' -d '${JSON.stringify(example(content[0][1].schema))}'` : '';
  return `curl -sS -X ${method.toUpperCase()} '${server}${path}'${data}`;
}

async function send(path, method, inputs, text, said) {
  if (method !== 'get' && !confirm(`Send ${method.toUpperCase()} ${path}?`)) return;
  const query = new URLSearchParams();
  for (const { p, input } of inputs) {
    if (p.in === 'path') path = path.replace(`{${p.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.append(p.name, input.value);
  }
  const url = `..${path}${query.size ? `?${query}` : ''}`;
  if (path === '/api/v1/live') {
    said.textContent = 'It never ends: read it with curl -N.';
    return;
  }
  try {
    const answer = await fetch(url, {
      method: method.toUpperCase(), cache: 'no-store', headers: { ...headers(), ...(text ? { 'Content-Type': 'application/json' } : {}) }, body: text,
    });
    const got = await answer.text();
    let shown = got;
    try { shown = JSON.stringify(JSON.parse(got), null, 2); } catch { /* it is no JSON */ }
    said.textContent = `${answer.status} ${answer.headers.get('Content-Type') ?? ''}\n${shown.slice(0, 100000)}`;
  } catch (error) {
    said.textContent = `no answer: ${error.message}`;
  }
}
