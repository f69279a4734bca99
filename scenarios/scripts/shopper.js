// Shoppers whose way you script, in your own k6: one iteration is one shopper,
// and k6's arrival-rate executors say when they come. Build and start as for
// example.js, then:
//
//   ./k6 run scenarios/scripts/shopper.js
//   ./k6 run -e TARGET=http://127.0.0.1:9000 -e CAMPAIGN=./mine.yaml scenarios/scripts/shopper.js
import { Shopper } from 'k6/x/flashcrowd';
import { check } from 'k6';

export const options = {
  scenarios: {
    rush: {
      executor: 'ramping-arrival-rate',
      startRate: 5,
      timeUnit: '1s',
      stages: [{ target: 20, duration: '5s' }, { target: 20, duration: '5s' }],
      // A shopper keeps its VU from its first word to its last: arrivals a second
      // times seconds for a journey.
      preAllocatedVUs: 500,
      gracefulStop: '60s',
    },
  },
  thresholds: {
    turn_ttft: ['p(99)<2000'],
    order_success: ['rate>0.99'],
    shoppers_ended: ['count>0'],
    dropped_iterations: ['count<1'], // k6 had no VU for somebody
  },
};

export default function () {
  const shopper = new Shopper({
    campaign: __ENV.CAMPAIGN || 'smoke',
    target: __ENV.TARGET || 'http://127.0.0.1:8088',
    journey: 'order',
    pace: 0.1,
  });
  shop(shopper);
  shopper.leave();
}

function shop(shopper) {
  for (let turn = 0; turn < 3; turn++) {
    if (turn > 0) shopper.think();
    const answer = shopper.chat(); // what this shopper says; or chat('…')
    if (!answer.ok) return;
  }
  shopper.think();
  shopper.claim(); // sold out is no reason to leave
  if (shopper.drops) return; // some only wanted the coupon
  shopper.think();
  const order = shopper.checkout();
  check(order, { 'there is an order': (o) => o.ok && o.order !== '' });
}
