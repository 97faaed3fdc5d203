// The names of services, where 3scale's admin portal has told the daemon of them. Their ids stand behind, since commands take those.

import { headers, root } from './session.js';

let services = {};

/** What filters offer: {services, reasons}. */
export let filters = { services: [], reasons: [] };

/** Reads them anew. Without an answer those of before stay. */
export async function learn() {
  try {
    const answer = await fetch(`${root}api/v1/names`, { headers: headers(), cache: 'no-store' });
    if (!answer.ok) return;
    filters = await answer.json();
    services = filters.service_names ?? {};
  } catch { /* the daemon is gone, which is said elsewhere */ }
}

/** A service as people call it: Orders (1001). */
export function title(id) { return services[id] && services[id] !== id ? `${services[id]} (${id})` : id; }
