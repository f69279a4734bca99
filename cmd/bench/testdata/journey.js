// The reference journey as somebody writes it who knows k6 well and has nothing
// but k6: each VU is a shopper with a connection of its own, kept alive.
import http from 'k6/http';
import { check } from 'k6';
import { Counter } from 'k6/metrics';

const target = __ENV.TARGET;
const orders = new Counter('orders');
const lines = [
  'Is there a place nearby with pearl milk tea?',
  'Any offers on pearl milk tea today?',
  'The pearl milk tea then, 1 of them, less sugar.',
  'Yes, use the free-order card and place the order.',
];

export const options = {
  scenarios: { shoppers: { executor: 'constant-vus', vus: Number(__ENV.VUS), duration: __ENV.FOR } },
};

export default function () {
  const user = crypto.randomUUID();
  const send = (name, method, path, body) => http.request(method, target + path, JSON.stringify(body), {
    tags: { name }, // one series for each kind of request, not for each path
    headers: { 'Content-Type': 'application/json', 'X-User-Id': user, 'Idempotency-Key': crypto.randomUUID() },
  });

  const messages = [];
  for (const line of lines) {
    messages.push({ role: 'user', content: line });
    const answer = send('turn', 'POST', '/compatible-mode/v1/chat/completions', {
      model: 'qwen-shop', stream: true, stream_options: { include_usage: true }, messages,
    });
    const said = content(answer.body);
    if (!check(answer, { 'turn answered': (r) => r.status === 200 && said !== '' })) {
      return;
    }
    messages.push({ role: 'assistant', content: said });
  }

  const claim = send('claim', 'POST', `/v3/marketing/favor/users/${user}/coupons`, {
    stock_id: 'free-order', out_request_no: crypto.randomUUID(), appid: 'wxflashcrowd', stock_creator_mchid: '1900000001',
  });
  const line_items = [{ item: { id: 'milk-tea-1' }, quantity: 1 }];
  const session = send('create', 'POST', '/ucp/checkout-sessions', { line_items });
  if (!check(null, { 'claimed': () => claim.status === 200, 'created': () => session.status === 201 })) {
    return;
  }
  const checkout = `/ucp/checkout-sessions/${session.json('id')}`;
  const update = send('update', 'PUT', checkout, { line_items, discounts: { codes: [claim.json('coupon_id')] } });
  const complete = send('complete', 'POST', `${checkout}/complete`, {
    payment: { instruments: [{ id: 'card', handler_id: 'sandbox', type: 'card', selected: true, credential: { type: 'token', token: 'token' } }] },
  });
  const done = check(complete, {
    'updated': () => update.status === 200,
    'completed': (r) => r.status === 200 && r.json('status') === 'completed' && r.json('order.id') !== undefined,
  });
  if (done) {
    orders.add(1);
  }
}

// content returns what a stream says, each event read for what it is, as
// flashcrowd does. BY=regexp asks for one expression over the whole body and one
// JSON.parse instead, which is faster and knows nothing of events.
const content = __ENV.BY === 'regexp' ? byRegexp : byEvent;

function byEvent(body) {
  let said = '';
  for (const line of body.split('\n')) {
    if (!line.startsWith('data: ') || line === 'data: [DONE]') {
      continue;
    }
    const chunk = JSON.parse(line.slice(6));
    if (chunk.error) {
      return '';
    }
    if (chunk.choices && chunk.choices.length > 0 && chunk.choices[0].delta.content) {
      said += chunk.choices[0].delta.content;
    }
  }
  return said;
}

const delta = /"content":("(?:[^"\\]|\\.)*")/g;
function byRegexp(body) {
  return JSON.parse('[' + Array.from(body.matchAll(delta), (m) => m[1]).join(',') + ']').join('');
}

export function handleSummary(data) {
  return { stdout: String(data.metrics.orders ? data.metrics.orders.values.count : 0) + '\n' };
}
