// Reports through a drop-in 3scale backend with 3scale's npm client (HTTPS only), as an application
// would, and prints what the client made of each answer.
//
//   NODE_EXTRA_CA_CERTS=cert.pem node report.js 127.0.0.1 7070
'use strict';

const { Client } = require('3scale');

const [host, port] = process.argv.slice(2);
const limit = 10000; // milliseconds; the client knows answers on which its callback never comes

function report(call, client, service, transactions) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ call, accepted: false, error: 'the callback never came' }), limit);
    client.report(service, transactions, (answer) => {
      clearTimeout(timer);
      resolve({ call, accepted: answer.is_success(), code: answer.error_code || '', error: answer.error_msg || '' });
    });
  });
}

function hits(n, fields) {
  return Array.from({ length: n }, () => ({ ...fields, usage: { hits: 1, transfer: 10 } }));
}

async function main() {
  const byToken = new Client({ host, port });
  const byKey = new Client('pkey', { host, port });
  const results = [
    await report('by token', byToken, '1001', hits(3, { service_token: 'stoken1001', app_id: 'app1' })),
    await report('with a time of its own', byToken, '1001',
      hits(1, { service_token: 'stoken1001', app_id: 'app2', timestamp: new Date().toISOString().replace('T', ' ').replace(/\..*/, ' +0000') })),
    await report('by provider key', byKey, '1002', hits(2, { user_key: 'ukey1' })),
    await report('with a wrong token', byToken, '1001', hits(1, { service_token: 'wrong', app_id: 'app1' })),
  ];
  console.log(JSON.stringify(results));
}

process.on('uncaughtException', (err) => {
  console.error(err);
  process.exit(1);
});
main();
