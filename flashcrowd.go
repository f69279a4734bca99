// Package flashcrowd is the map of the code, and what xk6 imports to build a k6
// with flashcrowd's extension. The program itself is in cmd/flashcrowd.
//
// flashcrowd sends a crowd of synthetic agentic shoppers at a backend, from as
// many machines as there are, and says whether the backend held.
//
//	campaign → plan → coordinator → workers (k6 + extension) → snapshots → merge → verdict → report
//
// A measurement enters each room once, in this order:
//
//   - scenarios: what is tried. A Campaign is the file; its Plan is a recipe from
//     which anybody computes when each shopper comes and what it wants.
//   - agents: who does it. The nouns of a fleet: Member, Exchange, Lease.
//   - agents/membership: who is here, by gossip.
//   - agents/coordinator: leads one run: grants leases, stores snapshots, then answers.
//   - agents/worker: one node: starts the k6 child and relays what it measures.
//   - extensions: the k6 module and the k6 output; with cmd, the only place that knows k6.
//   - extensions/link: what worker and child say to each other.
//   - extensions/host: what the machine offers a generator, and what it withholds.
//   - extensions/crowd: the engine that walks the shoppers through their journeys.
//   - extensions/crowd/wire: connections, HTTP, streams, and limits against hostile answers.
//   - extensions/crowd/pick: takes what a protocol looks for out of JSON, in one pass.
//   - extensions/crowd/tools: an assistant's tool calls, for the protocols of the chat.
//   - extensions/crowd/chat, coupons, checkout: the protocols.
//   - extensions/crowd/mcp: calls the tools of an MCP server, for coupons and checkout.
//   - extensions/crowd/custom: any HTTP backend, as the campaign describes it.
//   - extensions/crowd/crowdtest: a backend and a shopper, for the tests of protocols.
//   - results: what happened. A Fact is recorded, cut into Snapshots and merged into a Run.
//   - results/store: keeps a run in one file.
//   - results/audit: holds what shoppers were promised against the backend's books.
//   - results/books: what the columns of a backend's books mean.
//   - results/sources: reads books: files, SQLite, PostgreSQL, pages over HTTP.
//   - results/verdict: whether the run held.
//   - results/report: says so, to people and to tools.
//   - results/live: shows the run while it lasts.
//   - scenarios/storefront: the reference backend, a process apart; nothing that
//     measures imports it.
//   - ci: the exit codes, and the rules of this house as tests.
//   - cmd/bench: what the program itself costs, beside plain k6 and wrk.
//
// Imports go one way, by a table that a test in ci holds: results knows nobody,
// agents never reach k6, coordinator and worker never import each other.
package flashcrowd

import _ "github.com/flashcrowd/flashcrowd/extensions" // so that xk6 finds the module and the output
