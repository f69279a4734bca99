// The script that a worker's k6 child runs: one VU, one iteration, and inside
// it the whole crowd. What to do comes from the worker.
import crowd from 'k6/x/flashcrowd';

export const options = {
  scenarios: {
    crowd: { executor: 'per-vu-iterations', vus: 1, iterations: 1, maxDuration: '720h', gracefulStop: '30s' },
  },
};

export default function () {
  crowd.run();
}
