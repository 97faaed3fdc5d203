// What the ledger and the reconciliation say: questions, and their answers as rows.

import { headers, offers } from './session.js';

const mostPages = 40; // of one answer
const mostCounted = 89 * 24; // hours: 3scale gives those of 90 days

/** The ledger has no rows to show: it is off, or not for who looks. */
export class NoLedger extends Error {}

/** All rows of the ledger that fit: {time, service_id, app_id, metric, accepted, delivered, ambiguous, dead, restamped, pending}. */
export async function rows(question) {
  const all = [];
  let cursor = '';
  for (let page = 0; page < mostPages; page++) {
    const query = new URLSearchParams({ ...question, ...(cursor ? { cursor } : {}) });
    const answer = await get(`api/v1/ledger?${query}`);
    all.push(...(answer.rows ?? []));
    cursor = answer.next;
    if (!cursor) break;
  }
  return all;
}

/** What 3scale counted: {enabled, sealed_through, summary, cells}; undefined where 3scale is not asked. */
export async function counted(question) {
  if (!offers.includes('reconcile')) return undefined;
  try {
    const since = iso(new Date(Math.max(Date.parse(question.since), hoursAgo(mostCounted))));
    const answer = await get(`api/v1/reconcile?${new URLSearchParams({ ...question, since })}`);
    if (answer.sealed_through?.startsWith('0001-')) answer.sealed_through = ''; // nothing was compared yet
    return answer.enabled ? answer : undefined;
  } catch {
    return undefined; // the ledger is worth showing without it
  }
}

async function get(path) {
  const answer = await fetch(path, { headers: headers(), cache: 'no-store' });
  if (answer.status === 404 || answer.status === 501 || answer.status === 403) throw new NoLedger();
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail || `it answers ${answer.status}`);
  return said;
}

/** The beginning of the hour, so many hours before. */
export function hoursAgo(n) {
  const t = new Date();
  t.setUTCMinutes(0, 0, 0);
  t.setUTCHours(t.getUTCHours() - n);
  return t;
}

/** 2026-11-26T17:00:00Z, without the milliseconds that Date writes. */
export function iso(t) { return t.toISOString().replace('.000Z', 'Z'); }
