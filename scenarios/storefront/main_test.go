package storefront

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// childOptions makes the test binary a storefront with these options, as JSON,
// for tests that kill it and benchmarks that pin it.
const childOptions = "STOREFRONT_OPTIONS"

func TestMain(m *testing.M) {
	if o := os.Getenv(childOptions); o != "" {
		if err := serveChild(o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveChild serves until standard input ends, and says its address first.
func serveChild(options string) error {
	var o Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return err
	}
	s, err := New(o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println(l.Addr())
	return s.Run(ctx, l)
}

// A child is a storefront in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	addr  string
}

func startChild(t testing.TB, o Options, wrapper ...string) *child {
	t.Helper()
	options, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(wrapper, self)
	c := &child{cmd: exec.Command(args[0], args[1:]...)}
	c.cmd.Env = append(os.Environ(), childOptions+"="+string(options))
	if len(wrapper) > 0 {
		c.cmd.Env = append(c.cmd.Env, "GOMAXPROCS=1")
	}
	c.cmd.Stderr = os.Stderr
	c.stdin, _ = c.cmd.StdinPipe()
	out, _ := c.cmd.StdoutPipe()
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c.addr = strings.TrimSpace(line)
	return c
}

// stop lets the child drain and returns the processor time that it has used.
func (c *child) stop(t testing.TB) time.Duration {
	t.Helper()
	c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
}

// start runs a storefront in this process until the test ends, and returns its URL.
func start(t testing.TB, o Options) string {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

// opened opens a shop without a network: its clock can be a test's.
func opened(t *testing.T, o Options) *face {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	books := s.face.shop.books.(durable)
	if err := books.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- books.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.face
}

// A call is one request of a test.
type call struct {
	method, path, user, key, body string
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (c call) request(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"X-User-Id": c.user, "Idempotency-Key": c.key} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

// do sends c and returns status, body and headers.
func (c call) do(t testing.TB, url string) (int, string, http.Header) {
	t.Helper()
	answer, err := http.DefaultClient.Do(c.request(t, url))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body), answer.Header
}

// record has f answer c without a network.
func (c call) record(t testing.TB, f *face) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	f.routes().ServeHTTP(w, c.request(t, ""))
	return w.Code, w.Body.String(), w.Header()
}
