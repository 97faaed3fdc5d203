// Who looks, and what that allows. A token stays in this tab.

/** The address of the admin listener, for pages at any depth. */
export const root = new URL('../', import.meta.url).href;

const kept = 'reporterd-token';
const sendable = /^[\x21-\x7e]+$/; // a browser does not send other characters, and no token has them

/** What this daemon has beside the figures: ledger, reconcile. */
export let offers = [];

export function headers() {
  const token = sessionStorage.getItem(kept);
  return sendable.test(token ?? '') ? { Authorization: `Bearer ${token}` } : {};
}

export function keep(token) { sessionStorage.setItem(kept, token.trim()); }

export function hasToken() { return Boolean(sessionStorage.getItem(kept)); }

/** What may be done: {asked, name, scopes}. */
export async function rights() {
  const answer = await fetch(`${root}api/v1/session`, { headers: headers(), cache: 'no-store' });
  const session = await answer.json();
  offers = session.offers ?? [];
  return session;
}

/** Sends an order, and returns what came of it; throws in words. */
export async function order(path, body, method = 'POST', more = {}) {
  const answer = await fetch(root + path, {
    method, headers: { ...headers(), ...more, ...(body ? { 'Content-Type': 'application/json' } : {}) }, body: body && JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail || `it answers ${answer.status}`);
  return said;
}

/** Reads JSON; throws in words, with the status. */
export async function get(path) {
  const answer = await fetch(root + path, { headers: headers(), cache: 'no-store' });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(said.detail || `it answers ${answer.status}`), { status: answer.status });
  return said;
}
