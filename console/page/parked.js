// Parked reports: 3scale may or may not have counted them, and an operator decides.

import { headers, order } from './session.js';
import { events, utc, whole } from './format.js';
import { chosen, choose } from './address.js';
import { title } from './names.js';

const most = 100; // shown at once: each may hold a thousand transactions
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
    this.all = [];
    find('parkedservice').addEventListener('change', () => {
      choose('parked', find('parkedservice').value);
      this.show();
    });
    for (const [fate, word] of decisions) find(`${fate}all`).addEventListener('click', () => this.decideAll(fate, word));
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
    this.all = page.parked;
    this.find('parkedsection').hidden = page.parked.length === 0;
    this.find('moreparked').hidden = !page.next;
    this.find('moreparked').textContent = `The first ${most}; the rest is shown when these are decided about. All: reporterd parked ls`;
    const select = this.find('parkedservice');
    const value = select.options.length ? select.value : chosen('parked');
    const services = [...new Set(this.all.map((report) => report.service_id))];
    select.replaceChildren(new Option('all services', ''), ...services.map((id) => new Option(title(id), id)));
    select.value = services.includes(value) ? value : '';
    this.show();
  }

  // selected are those of the chosen service.
  selected() { return this.all.filter((report) => !this.find('parkedservice').value || report.service_id === this.find('parkedservice').value); }

  show() {
    const selected = this.selected();
    this.find('parkedsum').textContent = count(selected);
    for (const [fate] of decisions) this.find(`${fate}all`).disabled = !this.may() || selected.length === 0;
    this.find('parked').replaceChildren(...selected.map((report) => this.row(report)));
  }

  async decideAll(fate, word) {
    const selected = this.selected();
    if (!confirm(`${word}: ${count(selected)}? ${warnings[fate]} There is no undo.`)) return;
    const said = this.find('parkedsaid');
    const failed = [];
    for (const [i, report] of selected.entries()) {
      try {
        await order(`api/v1/parked/${encodeURIComponent(report.id)}/${fate}`);
      } catch (error) {
        failed.push(error.message);
      }
      said.textContent = `${word}: ${whole(i + 1 - failed.length)} of ${count(selected)}.${failed.length ? ` ${failed.length} failed: ${failed[0]}` : ''}`;
    }
    await this.load();
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
    cell('Service', title(report.service_id), 'name');
    cell('Report', report.id);
    cell('Events', whole(report.events), 'number');
    cell('Last attempt', utc(report.last_attempt));
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
    const said = this.find('parkedsaid');
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

const warnings = {
  resend: 'If 3scale has counted a report, it is counted twice.',
  counted: 'If 3scale has not counted a report, it is never sent.',
  bury: 'They become dead letters.',
};

const count = (reports) => `${reports.length === 1 ? '1 report' : `${whole(reports.length)} reports`} with ${events(reports.reduce((sum, report) => sum + report.events, 0))}`;

function names(report) {
  const all = [...new Set(report.transactions.map((t) => t.app_id || t.user_key || ''))];
  return all.slice(0, mostNames).join(', ') + (all.length > mostNames ? ` and ${whole(all.length - mostNames)} more` : '');
}
