// Dead letters: what the backend will not take, and what to do about it, one by one or all that are selected.

import { headers, order } from './session.js';
import { events, whole } from './format.js';
import { chosen, choose } from './address.js';
import { filters, learn, title } from './names.js';

const mostRead = 1000; // at once
const mostShown = 50;
const aPage = 200; // letters of one order
const pause = 5000; // between two readings because their number changed; milliseconds

const count = (n) => (n === 1 ? '1 dead letter' : `${whole(n)} dead letters`);

export class Letters {
  constructor(find, may) {
    this.find = find;
    this.may = may;
    this.all = [];
    this.shown = mostShown;
    find('lettersearch').value = chosen('find');
    for (const name of ['letterservice', 'letterreason']) {
      find(name).addEventListener('change', () => {
        choose(name, find(name).value);
        this.shown = mostShown;
        this.load();
      });
    }
    find('lettersearch').addEventListener('input', () => {
      choose('find', find('lettersearch').value);
      this.shown = mostShown;
      this.show();
    });
    find('moreletters').addEventListener('click', () => {
      this.shown += mostShown;
      this.show();
    });
    for (const verb of ['requeue', 'drop']) find(`${verb}all`).addEventListener('click', () => this.actOnAll(verb));
    find('stopall').addEventListener('click', () => { this.stopped = true; });
  }

  /** Reads them soon, however often it is called: their number may change each second. */
  changed() {
    if (this.timer || this.busy) return;
    const wait = Math.max(0, (this.read ?? 0) + pause - Date.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.load();
    }, wait);
  }

  filter() {
    const [service, reason] = ['letterservice', 'letterreason'].map((name) => this.find(name).value || (this.find(name).options.length === 0 ? chosen(name) : ''));
    return { ...(service ? { service_id: service } : {}), ...(reason ? { reason } : {}) };
  }

  /** Reads those that the filter selects. */
  async load() {
    this.read = Date.now();
    const mine = this.asked = (this.asked ?? 0) + 1; // the answer to an older question may come after this one's
    const filter = this.filter();
    let page;
    try {
      await learn();
      const answer = await fetch(`api/v1/deadletters?${new URLSearchParams({ ...filter, limit: mostRead })}`, { headers: headers(), cache: 'no-store' });
      if (!answer.ok) return;
      page = await answer.json();
    } catch {
      return; // the daemon is gone, which is said above; they are read again when it is back
    }
    if (mine !== this.asked) return;
    this.offer('letterservice', filters.services, 'all services', title);
    this.offer('letterreason', filters.reasons, 'all reasons');
    this.all = page.deadletters ?? [];
    this.more = Boolean(page.next);
    this.show();
  }

  // offer fills a list of the filter, and keeps what was chosen, in the address, too.
  offer(name, values, all, text = (value) => value) {
    const select = this.find(name);
    const value = select.options.length ? select.value : chosen(name);
    const options = ['', ...values];
    if (value && !options.includes(value)) options.push(value);
    if (options.length === select.options.length && options.every((o, i) => select.options[i].value === o)) return;
    select.replaceChildren(...options.map((o) => new Option(o ? text(o) : all, o)));
    select.value = value;
  }

  // found are those that have the words.
  found() {
    const words = this.find('lettersearch').value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return this.all;
    return this.all.filter((letter) => {
      const text = `${letter.id} ${letter.service_id} ${title(letter.service_id)} ${letter.app_id ?? ''} ${letter.user_key ?? ''} ${letter.reason?.code} ${letter.reason?.message} ${letter.timestamp ?? ''}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  show() {
    const found = this.found();
    const filtered = this.find('lettersearch').value !== '' || Object.keys(this.filter()).length > 0;
    this.find('noletters').hidden = found.length > 0;
    this.find('noletters').textContent = filtered ? 'None that this selects.' : 'None.';
    this.find('lettertools').hidden = this.all.length === 0 && !filtered;
    this.find('letterstable').hidden = found.length === 0;
    this.find('lettersum').textContent = this.more ? `${count(found.length)} of the first ${whole(mostRead)}; there are more` : count(found.length);
    for (const verb of ['requeue', 'drop']) {
      const button = this.find(`${verb}all`);
      button.disabled = !this.may() || found.length === 0 || Boolean(this.busy);
      button.title = this.may() ? '' : 'This needs a token with the scope write';
    }
    this.find('moreletters').hidden = found.length <= this.shown;
    this.find('letters').replaceChildren(...found.slice(0, this.shown).map((letter) => this.row(letter)));
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
    cell('Service', title(letter.service_id), 'name');
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
    if (verb === 'drop' && !confirm(`Drop ${events(letter.events ?? 0)} of ${letter.app_id || 'this application'} for good? There is no undo.`)) return;
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

  // selected are the bodies of orders for all that is selected: by their ids where words were searched for, otherwise by the filter.
  selection() {
    if (this.find('lettersearch').value) return { ids: this.found().map((letter) => letter.id) };
    const filter = this.filter();
    return Object.keys(filter).length ? filter : { all: true };
  }

  async actOnAll(verb) {
    const said = this.find('said');
    const selection = this.selection();
    this.busy = true;
    this.stopped = false;
    this.show();
    try {
      said.textContent = 'Counting.';
      const whole = await this.each(verb, { ...selection, dry_run: true });
      const question = verb === 'drop' ? `Drop ${events(whole.events)} of ${count(whole.letters)} for good? There is no undo.`
        : `Requeue ${events(whole.events)} of ${count(whole.letters)}? They are sent again, and become dead letters again if 3scale still refuses them.`;
      said.textContent = '';
      if (confirm(question)) {
        this.find('stopall').hidden = false;
        const done = await this.each(verb, selection, (sum) => { said.textContent = `${count(sum.letters)} of ${count(whole.letters)} done.`; });
        const what = verb === 'drop' ? `Dropped: ${events(done.events)} of ${count(done.letters)}.` : `Requeued: ${events(done.events)} of ${count(done.letters)} are pending again.`;
        said.textContent = what + (this.stopped ? ' Stopped; the rest is as it was.' : '') + (done.errors.length ? ` ${done.errors.length} failed: ${done.errors[0]}` : '');
      }
    } catch (error) {
      said.textContent = `Failed: ${error.message}. What was done is done; those that are left are listed.`;
    }
    this.find('stopall').hidden = true;
    this.busy = false;
    await this.load();
  }

  // each gives the order for a page after the other, and sums up what came of it.
  async each(verb, selection, told = () => {}) {
    const sum = { letters: 0, events: 0, errors: [] };
    let cursor = '';
    do {
      const body = selection.ids ? selection : { ...selection, limit: aPage, ...(cursor ? { cursor } : {}) };
      const out = await order(`api/v1/deadletters/${verb}`, body);
      sum.letters += out.letters;
      sum.events += out.events;
      sum.errors.push(...out.errors);
      cursor = out.next;
      told(sum);
    } while (cursor && !selection.ids && !this.stopped);
    return sum;
  }
}
