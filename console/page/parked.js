// Parked reports: 3scale may or may not have counted them, and an operator decides.

import { headers, order } from './session.js';
import { events, whole } from './format.js';

const most = 20; // shown at once: each may hold a thousand transactions
const mostNames = 3; // applications of a report

const decisions = [
  ['resend', 'Send again', (p) => `Send ${events(p.events)} of service ${p.service_id} again? If 3scale has counted the report, they are counted twice.`],
  ['counted', 'Was counted', (p) => `Book ${events(p.events)} of service ${p.service_id} as delivered? If 3scale has not counted the report, they are never sent.`],
  ['bury', 'Bury', (p) => `Make dead letters of ${events(p.events)} of service ${p.service_id}?`],
];

export class Parked {
  constructor(find, may) {
    this.find = find;
    this.may = may;
  }

  /** Shows the first; called when their number changes. */
  async load() {
    let page;
    try {
      const answer = await fetch(`api/v1/parked?limit=${most}`, { headers: headers(), cache: 'no-store' });
      if (!answer.ok) return;
      page = await answer.json();
    } catch {
      return; // the daemon is gone, which is said above; they are read again when it is back
    }
    this.find('parkedsection').hidden = page.parked.length === 0;
    this.find('moreparked').hidden = !page.next;
    this.find('moreparked').textContent = `The first ${most}. The rest: reporterd parked ls`;
    this.find('parked').replaceChildren(...page.parked.map((report) => this.row(report)));
  }

  row(report) {
    const row = document.createElement('tr');
    const cell = (label, text, className) => {
      const td = document.createElement('td');
      td.dataset.label = label;
      td.textContent = text;
      if (className) td.className = className;
      row.append(td);
      return td;
    };
    cell('Service', report.service_id, 'name');
    cell('Report', report.id);
    cell('Events', whole(report.events), 'number');
    cell('Last attempt', report.last_attempt.replace('T', ' ').replace(/(\.\d+)?Z/, ''));
    cell('Applications', names(report));
    const actions = cell('', '', 'actions');
    for (const [fate, word, question] of decisions) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = word;
      button.setAttribute('aria-label', `${word}: the report ${report.id} of service ${report.service_id}`);
      button.disabled = !this.may();
      if (button.disabled) button.title = 'This needs a token with the scope write';
      button.addEventListener('click', () => this.decide(fate, word, question(report), report, button));
      actions.append(button, ' ');
    }
    return row;
  }

  async decide(fate, word, question, report, button) {
    if (!confirm(question)) return;
    button.disabled = true;
    const said = this.find('said');
    try {
      await order(`api/v1/parked/${encodeURIComponent(report.id)}/${fate}`);
      said.textContent = `${word}: ${events(report.events)} of service ${report.service_id}.`;
    } catch (error) {
      said.textContent = `Failed: ${error.message}`;
    }
    button.disabled = !this.may();
    await this.load();
  }
}

function names(report) {
  const all = [...new Set(report.transactions.map((t) => t.app_id || t.user_key || ''))];
  return all.slice(0, mostNames).join(', ') + (all.length > mostNames ? ` and ${whole(all.length - mostNames)} more` : '');
}
