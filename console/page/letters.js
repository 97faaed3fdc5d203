// Dead letters: what the backend will not take, and what to do about it.

import { headers, order } from './session.js';
import { events, whole } from './format.js';

const most = 50; // shown at once

export class Letters {
  constructor(find, may) {
    this.find = find;
    this.may = may;
  }

  /** Shows the latest; called when their number changes. */
  async load() {
    let page;
    try {
      const answer = await fetch(`api/v1/deadletters?limit=${most}`, { headers: headers(), cache: 'no-store' });
      if (!answer.ok) return;
      page = await answer.json();
    } catch {
      return; // the daemon is gone, which is said above; they are read again when it is back
    }
    const all = page.deadletters ?? [];
    this.find('noletters').hidden = all.length > 0;
    this.find('letterstable').hidden = all.length === 0;
    this.find('moreletters').hidden = !page.next;
    this.find('moreletters').textContent = `The first ${most}. The rest: reporterd deadletter ls`;
    this.find('letters').replaceChildren(...all.map((letter) => this.row(letter)));
  }

  row(letter) {
    const row = document.createElement('tr');
    const cell = (label, text, className) => {
      const td = document.createElement('td');
      td.dataset.label = label;
      td.textContent = text;
      if (className) td.className = className;
      row.append(td);
      return td;
    };
    cell('Service', letter.service_id, 'name');
    cell('Application', letter.app_id || letter.user_key || '');
    cell('Events', whole(letter.events ?? 0), 'number');
    cell('Usage of', letter.timestamp?.replace('T', ' ').replace('Z', '') ?? '');
    cell('Reason', `${letter.reason?.code ?? ''}: ${letter.reason?.message ?? ''}`);
    const actions = cell('', '', 'actions');
    for (const [verb, word] of [['requeue', 'Requeue'], ['drop', 'Drop']]) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = word;
      button.setAttribute('aria-label', `${word} the dead letter of ${letter.app_id || 'this application'} (${letter.id})`);
      button.disabled = !this.may();
      if (button.disabled) button.title = 'This needs a token with the scope write';
      button.addEventListener('click', () => this.act(verb, letter, button));
      actions.append(button, ' ');
    }
    return row;
  }

  async act(verb, letter, button) {
    if (verb === 'drop' && !confirm(`Drop ${events(letter.events ?? 0)} of ${letter.app_id || 'this application'} for good?`)) return;
    button.disabled = true;
    const said = this.find('said');
    try {
      const out = await order(`api/v1/deadletters/${verb}`, { ids: [letter.id] });
      said.textContent = out.errors?.length ? out.errors.join('; ')
        : verb === 'requeue' ? `Requeued: ${events(out.events)} pending again.` : `Dropped: ${events(out.events)}.`;
    } catch (error) {
      said.textContent = `Failed: ${error.message}`;
    }
    button.disabled = !this.may();
    await this.load();
  }
}
