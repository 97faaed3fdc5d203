// What receipts showed of reports. Without receipts, delivered is what 3scale accepted, and nothing of this is shown.

import { utc, whole } from './format.js';
import { title } from './names.js';

const ends = ['counted', 'dropped', 'partial', 'double', 'unconfirmed'];

/** Shows the receipts of the status; undefined: no service has any. */
export function show(find, receipts) {
  find('receipts').hidden = !receipts;
  find('delivers').textContent = meaning(receipts);
  if (!receipts) return;
  const figures = ends.map((end) => `${whole(receipts.events[end] ?? 0)} ${end}`);
  find('receiptsum').textContent = `Events since the start: ${figures.join(', ')}. Reports that 3scale accepted and has not counted yet: ${whole(receipts.open_reports)}.`
    + (receipts.absent_services.length ? ` Receipt applications or metrics are gone: delivered means accepted for ${receipts.absent_services.join(', ')}.` : '');
  const named = receipts.named ?? [];
  find('namedtable').hidden = named.length === 0;
  find('named').replaceChildren(...named.map(row));
}

function meaning(receipts) {
  return receipts
    ? 'delivered: of services with receipts, 3scale counted it; of all other services it accepted the report (202) and may still not count it'
    : 'delivered: 3scale accepted the report (202) and may still not count it, since no service has receipts';
}

function row(end) {
  const tr = document.createElement('tr');
  const text = end.late ? `${end.end}, after its end was known` : end.end;
  for (const [label, value, className] of [
    ['Service', title(end.service_id), 'name'], ['Report', end.batch, ''], ['Events', whole(end.events), 'number'], ['Sent', utc(end.sent), ''],
    ['End', text, ''], ['Slices', end.slices.map((state, n) => `${n + 1}: ${state}`).join(', '), ''],
  ]) {
    const td = document.createElement('td');
    td.dataset.label = label;
    td.textContent = value;
    if (className) td.className = className;
    tr.append(td);
  }
  return tr;
}
