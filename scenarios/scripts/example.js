// A crowd in your own k6, with k6's thresholds and summary. Build it, start
// something to shop at, and run:
//
//   go tool xk6 build v2.2.0 --with github.com/flashcrowd/flashcrowd=.
//   go run ./cmd/flashcrowd storefront --listen 127.0.0.1:8088 &
//   ./k6 run scenarios/scripts/example.js
//
// TARGET and CAMPAIGN choose another backend and another campaign:
//
//   ./k6 run -e TARGET=http://127.0.0.1:9000 -e CAMPAIGN=./mine.yaml scenarios/scripts/example.js
import crowd from 'k6/x/flashcrowd';

export const options = {
  scenarios: {
    // One VU whose one iteration runs the whole crowd.
    crowd: { executor: 'per-vu-iterations', vus: 1, iterations: 1, maxDuration: '24h' },
  },
  thresholds: {
    turn_ttft: ['p(99)<2000'], // k6 knows milliseconds
    'step_duration{step:complete}': ['p(95)<1000'],
    order_success: ['rate>0.99'],
    shoppers_ended: ['count>0'], // k6 passes what was never measured
  },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

export default function () {
  crowd.run({
    campaign: __ENV.CAMPAIGN || 'smoke',
    target: __ENV.TARGET || 'http://127.0.0.1:8088',
  });
}
