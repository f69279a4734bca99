/** Types of the k6 module k6/x/flashcrowd. See README.md beside this file. */
declare module 'k6/x/flashcrowd' {
  /** A crowd's campaign, and where it goes. */
  export interface CrowdOptions {
    /** Name of an embedded campaign, or a path from k6's working directory. */
    campaign: string;
    /** http or https URL; by default the campaign's own. */
    target?: string;
    /** Addresses and prefixes that it may fire at; by default loopback only. */
    allow?: string[];
    /** Factors over the campaign's own: numbers, or text such as '1/1000'. */
    scale?: number | string;
    demand?: number | string;
    compress?: number | string;
    pace?: number | string;
  }

  export interface ShopperOptions extends CrowdOptions {
    /** Which of the crowd, from 0; by default k6's iteration in the test, beginning anew after the last. */
    number?: number;
    /** Instead of the one that was drawn. */
    persona?: string;
    /** Instead of the one that was drawn. */
    journey?: string;
    /** Send each request once, whatever the persona would repeat. */
    raw?: boolean;
  }

  export type Outcome =
    | 'ok' | 'rejected' | 'refused' | 'rate_limited' | 'unavailable' | 'error_in_stream' | 'truncated'
    | 'stalled' | 'malformed' | 'timed_out' | 'connection_failed' | 'canceled' | 'unclassified';

  /** What came of a step: the answer that was ok, or the last one. What it does not have is empty, or 0. */
  export interface Visit {
    ok: boolean;
    outcome: Outcome;
    /** What the rule saw, for people; empty when all is well. */
    why: string;
    /** Of HTTP; 0 if there was none, or it was a success. */
    status: number;
    /** Requests that it took, those of the persona's included. */
    requests: number;
    /** Service time of the request that counts, in milliseconds. */
    duration: number;
    /** What the assistant said, after a turn that went well. */
    text: string;
    coupon: string;
    /** The checkout's id. */
    session: string;
    order: string;
    /** The total in minor units of the currency. */
    amount: number;
    currency: string;
  }

  /** One of the crowd, led by a script. Its methods block until it is done; they throw when they make no sense. */
  export class Shopper {
    constructor(options: ShopperOptions);
    readonly number: number;
    /** SLOT/NUMBER, as reports spell it. */
    readonly id: string;
    readonly user: string;
    readonly persona: string;
    readonly journey: string;
    readonly stage: string;
    /** It leaves with its coupon instead of ordering: for the script to heed. */
    readonly drops: boolean;

    /** The next turn of the conversation: the line that was drawn for it, or this one. */
    chat(line?: string): Visit;
    /** Claims a coupon, or as many as the persona claims. */
    claim(): Visit;
    /** From opening a checkout to the order, with the coupon if there is one and think times in between. */
    checkout(): Visit;
    /** The steps of checkout, one by one. */
    create(): Visit;
    update(): Visit;
    complete(): Visit;
    /** Thinks as long as was drawn for what comes next in its journey; returns seconds. */
    think(): number;
    /** Ends the visit: the shopper is counted with the outcome of what was asked last. */
    leave(): void;
  }

  /** Runs the whole crowd, and returns when it has ended. */
  export function run(options: CrowdOptions): void;

  const flashcrowd: { run: typeof run; Shopper: typeof Shopper };
  export default flashcrowd;
}
