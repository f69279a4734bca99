// Package storefront is the reference backend: a shop that chats, hands out
// coupons and sells, with books to audit. It speaks the published protocols
// and knows nothing of flashcrowd; a run starts it as a process apart.
//
// The protocol faces (openai.go, wxpay.go, ucp.go, january.go, acp.go,
// mcp.go, export.go) are shared. What differs from one Design to another stands behind
// four small interfaces: chat decides when an answer flows, coupons who gets
// one, checkout what becomes of a session, and books say afterwards what was
// done. A design is one file that puts the four together.
//
// The rules of the shop (shop.go) are pure functions over a ledger, so that a
// design chooses how to keep its books and can't change the prices. Money is
// in fen, hundredths of a yuan.
package storefront

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"time"
)

// drain is how long Run lets answers finish once it was told to end.
const drain = 10 * time.Second

// Options say which shop to open. The zero value is a guarded one with its
// books in a temporary file. A field that is zero takes its default.
type Options struct {
	Design string // a name from Designs; "" means guarded
	Books  string // SQLite file, kept; "" means a temporary one, removed at the end. null ignores it

	Flushes int // null: the writes in which a stream of 32 pieces leaves; default 1

	// What the shop can do, which is without limit in null. Size multiplies it
	// and the stock: 1, the default, is the shop for spring-festival as it comes.
	Size      float64
	Model     Model         // of the chat; default: a published one
	Engines   float64       // that serve the model; default 4
	Streams   int           // answers that flow at once, not in naive; default 200 for each engine
	Queue     int           // who may wait for a stream; beyond it is a 429; default 512, negative: nobody
	QueueWait time.Duration // the longest wait before a 429; default 1s
	RowTime   time.Duration // for which the row of the stock is locked by a claim; default 1/350 s, negative: not at all

	// The coupon campaign.
	StockID string // default free-order
	Stock   int64  // coupons there are; default 14,500
	PerUser int64  // coupons one user can have; default 21

	// When coupons can be redeemed: from the one moment to just before the
	// other, until which they can be claimed as well. Without them it is 22 days, as on the day, from when the
	// books were begun.
	ValidFrom, ValidUntil time.Time

	Pauses []Pause

	// The payment handler.
	Seed     uint64        // of whose payments are declined or delayed, and whom a planted bug meets
	Decline  float64       // share of payments that are declined, in [0,1]
	Delay    float64       // share of payments that take DelayFor, in [0,1]
	DelayFor time.Duration // default 1s

	Seats int64 // of each film, concert and restaurant; default 1,000,000

	Bugs []string // names from Bugs, planted into a design that keeps its books on disk
}

// withDefaults returns o with its zero fields filled in.
func (o Options) withDefaults() (Options, error) {
	o.Design = cmp.Or(o.Design, "guarded")
	o.Flushes = cmp.Or(o.Flushes, 1)
	if o.Size = cmp.Or(o.Size, 1); !(o.Size > 0) { // other defaults come from it
		return o, errors.New("--size must be more than 0")
	}
	o.Model = cmp.Or(o.Model, fitted)
	o.Engines = cmp.Or(o.Engines, 4*o.Size)
	o.Streams = cmp.Or(o.Streams, int(math.Ceil(200*o.Engines)))
	o.Queue = max(0, cmp.Or(o.Queue, int(math.Ceil(512*o.Size))))
	o.QueueWait = cmp.Or(o.QueueWait, time.Second)
	o.RowTime = max(0, cmp.Or(o.RowTime, time.Duration(float64(time.Second)/350/o.Size)))
	o.StockID = cmp.Or(o.StockID, "free-order")
	o.Stock = cmp.Or(o.Stock, int64(14_500*o.Size))
	o.PerUser = cmp.Or(o.PerUser, 21)
	o.Seats = cmp.Or(o.Seats, 1_000_000)
	o.DelayFor = cmp.Or(o.DelayFor, time.Second)
	var faults []error // what is a flag of the program is named as that
	for _, n := range []struct {
		name string
		bad  bool
	}{
		{"--flushes", o.Flushes < 0},
		{"Streams", o.Streams < 0},
		{"Engines", !(o.Engines > 0)},
		{"Model", o.Model.Step < 0 || o.Model.Crowding < 0 || o.Model.Prefill < 0},
		{"QueueWait", o.QueueWait < 0},
		{"--stock", o.Stock < 0},
		{"--per-user", o.PerUser < 0},
		{"--seats", o.Seats < 0},
		{"--delay-for", o.DelayFor < 0},
	} {
		if n.bad {
			faults = append(faults, fmt.Errorf("%s must be more than 0", n.name))
		}
	}
	for _, share := range []struct {
		name string
		of   float64
	}{{"--decline", o.Decline}, {"--delay", o.Delay}} {
		if !(share.of >= 0 && share.of <= 1) {
			faults = append(faults, fmt.Errorf("%s must be a share, from 0 to 1", share.name))
		}
	}
	if !o.ValidUntil.IsZero() && !o.ValidFrom.Before(o.ValidUntil) {
		faults = append(faults, errors.New("--valid-until must be after --valid-from"))
	}
	return o, errors.Join(faults...)
}

// validity returns when coupons are valid, for books that are begun now.
func (o Options) validity(now time.Time) (from, until time.Time) {
	from, until = o.ValidFrom, o.ValidUntil
	if from.IsZero() {
		from = now
	}
	if until.IsZero() {
		until = from.Add(22 * 24 * time.Hour)
	}
	return from, until
}

// A Design is one way to build the shop.
type Design struct {
	Name   string `json:"name"`
	Expect string `json:"expect"` // what happens to it under load, in a sentence

	build func(Options) shop
}

// Designs lists the designs there are.
func Designs() []Design {
	return []Design{
		{"null", "Answers at once, a whole stream in one write, books in memory: measures the harness, not a backend.", buildNull},
		{"naive", "Unbounded queues, no deadlines, work that goes on when the client has left, coupons checked before and issued after, an order for every complete: falls over in a surge, stays down, and its books are wrong.", buildNaive},
		{"guarded", "Bounded streams and queue, 429 with Retry-After, atomic coupons, idempotency keys, books on disk before each answer: sheds load and stays right.", buildGuarded},
		{"waiting-room", "Newcomers enter by a ticket and their place in the queue, who is about to pay goes first, and the campaign of coupons pauses itself under pressure: makes some wait so that those inside get through.", buildWaitingRoom},
		{"sharded-coupons", "As guarded, with the stock of coupons in eight shards that rebalance: claims don't wait for the one hot row.", buildSharded},
	}
}

// A shop is what a design puts together.
type shop struct {
	chat     chat
	coupons  coupons
	checkout checkout
	books    books
}

// A chat decides when and how an answer flows.
type chat interface {
	// Reply answers a. It returns an *overload if it sent nothing for want of
	// capacity; any other error means that the client is gone.
	Reply(ctx context.Context, a *ask, out *stream) error
}

// coupons are handed out once, within the stock and each user's limit.
type coupons interface {
	// Claim returns the number of a coupon, the same for a claim it has seen.
	// It returns a refusal when there is none, and errBusy under overload.
	Claim(ctx context.Context, c claim) (int64, error)
	// Pause stops issuing, or resumes it. What is so already stays so.
	Pause(ctx context.Context, paused bool) error
}

// A checkout keeps the sessions and makes orders of them.
type checkout interface {
	// Write carries out w, or answers as it did when it first saw w.Key. It
	// returns errConflict if the key stood for something else then, and
	// errBusy under overload.
	Write(ctx context.Context, w write) (answer, error)
	// Read returns a session; false if there is none with that number.
	Read(ctx context.Context, number int64) (session, bool, error)
}

// books are what was really done. Orders and Coupons walk through one
// consistent snapshot, in the order of numbers, until yield returns an error.
type books interface {
	Orders(ctx context.Context, yield func(order) error) error
	Coupons(ctx context.Context, yield func(coupon) error) error
	Summary(ctx context.Context) (summary, error)
}

// A durable is implemented by books that need opening and a process of their own.
type durable interface {
	// Open makes the books ready to be asked.
	Open(ctx context.Context) error
	// Run works until ctx ends, then closes the books. It follows Open.
	Run(ctx context.Context) error
}

// errBusy means that the shop has too much to write; try again later.
var errBusy = errors.New("too many requests are waiting")

// servingKey finds the context that ends with the server in a request's, which
// ends with its client.
type servingKey struct{}

// staying returns a context that goes on when the client of ctx has left.
func staying(ctx context.Context) context.Context {
	if serving, ok := ctx.Value(servingKey{}).(context.Context); ok {
		return serving
	}
	return context.WithoutCancel(ctx)
}

// A Server is one shop behind HTTP.
type Server struct {
	// Ready, if it is set, is called by Run when the books are open and the shop
	// begins to serve.
	Ready func()

	face *face
}

// New makes the shop that o describes. An unknown design or a number out of
// range is an error; files are not touched before Run.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("storefront options: %w", err)
	}
	var names []string
	for _, d := range Designs() {
		if d.Name == o.Design {
			f := newFace(d, o)
			return &Server{face: f}, f.shop.infest(o)
		}
		names = append(names, d.Name)
	}
	return nil, fmt.Errorf("no design %q: there are %v", o.Design, names)
}

// Run opens the books and serves l until ctx ends, then stops accepting, lets
// answers that flow finish within ten seconds, cuts those that don't, and
// closes the books. It closes l. It returns nil when it ended because ctx did.
func (s *Server) Run(ctx context.Context, l net.Listener) (err error) {
	defer l.Close()
	serving, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	if keep, ok := s.face.shop.books.(durable); ok {
		if err := keep.Open(ctx); err != nil {
			return err
		}
		writing, stop := context.WithCancel(context.WithoutCancel(ctx))
		kept := make(chan error, 1)
		go func() { kept <- keep.Run(writing) }()
		defer func() {
			stop()
			err = errors.Join(err, <-kept)
		}()
	}
	pausing, rest := context.WithCancel(serving)
	kept := make(chan error, 1)
	go func() { kept <- s.face.keepPauses(pausing) }()
	defer func() {
		rest()
		err = errors.Join(err, <-kept)
	}()
	patience := stalled + s.face.options.QueueWait // waiting comes before writing
	server := &http.Server{
		Handler:           s.face.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       patience,
		WriteTimeout:      patience,
		IdleTimeout:       5 * time.Minute, // shoppers think
		MaxHeaderBytes:    64 << 10,
		Protocols:         new(http.Protocols),
		BaseContext:       func(net.Listener) context.Context { return serving },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(context.WithValue(ctx, corkKey{}, c), servingKey{}, serving)
		},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // for a client that knows of it
	if s.Ready != nil {
		s.Ready()
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(corkListener{l}) }()
	select {
	case err = <-served:
		err = fmt.Errorf("serve the storefront: %w", err)
	case <-ctx.Done():
	}
	for _, limit := range []time.Duration{drain, time.Second} {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		over := server.Shutdown(ending) == nil
		cancel()
		if over {
			return err
		}
		cut() // whoever still waits for something gives up
	}
	server.Close()
	return err
}
