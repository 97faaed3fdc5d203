// The daemon's figures, once a second, and whether it is there. A stream of server-sent events is read by fetch,
// since an EventSource cannot carry a token.

import { headers } from './session.js';

const patience = 5000; // without a word for so long, the daemon is lost; milliseconds
const again = 1000; // between two attempts

/** Calls heard(figures) for each event, lost(why) when the daemon is, and asked(why) when it wants a token. */
export async function follow({ heard, lost, asked }) {
  for (;;) {
    try {
      const answer = await fetch('api/v1/live', { headers: headers(), cache: 'no-store' });
      if (answer.status === 401 || answer.status === 403) {
        asked((await answer.json().catch(() => ({}))).detail ?? `it answers ${answer.status}`);
        return;
      }
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      await read(answer.body.getReader(), heard);
      lost('it has closed the connection');
    } catch (error) {
      lost(error.message);
    }
    await new Promise((done) => setTimeout(done, again));
  }
}

async function read(reader, heard) {
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { value, done } = await within(reader.read());
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const events = text.split('\n\n');
    text = events.pop();
    for (const event of events) {
      if (event.startsWith('data: ')) heard(JSON.parse(event.slice(6)));
    }
  }
}

function within(promise) {
  let timer;
  const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error('timeout')), patience); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
