// Asks a drop-in 3scale backend for authorizations with 3scale's npm client (HTTPS only), as an
// application would, and prints what the client made of each answer.
//
//   NODE_EXTRA_CA_CERTS=cert.pem node authorize.js 127.0.0.1 7070
'use strict';

const { Client } = require('3scale');

const [host, port] = process.argv.slice(2);
const limit = 10000; // milliseconds; the client knows answers on which its callback never comes

function ask(client, call, method, options) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ call, error: 'the callback never came' }), limit);
    client[method]({ service_token: 'stoken1001', service_id: '1001', ...options }, (answer) => {
      clearTimeout(timer);
      const day = (answer.usage_reports || []).find((r) => r.metric === 'hits' && r.period === 'day');
      resolve({
        call, authorized: answer.is_success(), code: answer.error_code || answer.error_message || '',
        error: '', current: day ? Number(day.current_value) : -1,
      });
    });
  });
}

async function main() {
  const client = new Client({ host, port });
  const results = [
    await ask(client, 'fresh', 'authorize', { app_id: 'applim', usage: { hits: 4 } }),
    await ask(client, 'used', 'authrep', { app_id: 'applim', usage: { hits: 4 } }),
    await ask(client, 'used again', 'authrep', { app_id: 'applim', usage: { hits: 4 } }),
    await ask(client, 'too much', 'authrep', { app_id: 'applim', usage: { hits: 4 } }),
    await ask(client, 'as it stands', 'authorize', { app_id: 'applim' }),
    await ask(client, 'wrong key', 'authrep', { app_id: 'app1', app_key: 'wrong' }),
    await ask(client, 'right key', 'authrep', { app_id: 'app1', app_key: 'key1' }),
    await ask(client, 'no such application', 'authorize', { app_id: 'nosuch' }),
  ];
  console.log(JSON.stringify(results));
}

process.on('uncaughtException', (err) => {
  console.error(err);
  process.exit(1);
});
main();
