package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flashcrowd/flashcrowd/scenarios"
)

// The test binary is its own child: it answers each lease with a snapshot.
func TestMain(m *testing.M) {
	if os.Getenv(Variable) == "" {
		os.Exit(m.Run())
	}
	conn, err := Child()
	if err != nil {
		panic(err)
	}
	for {
		frame, err := conn.Receive()
		if errors.Is(err, io.EOF) {
			os.Exit(42)
		}
		if err != nil {
			panic(err)
		}
		if l, ok := frame.(Lease); ok {
			if err := conn.Send(Snapshot{Seq: l.Answers + 1, Bytes: []byte("cut")}); err != nil {
				panic(err)
			}
		}
	}
}

var frames = []any{
	Setup{Worker: "w", Run: "r", Plan: []byte("plan"), Env: map[string]string{"TOKEN": "x"}, Allow: []string{"127.0.0.0/8"}},
	Lease{Answers: 7, Version: 2, Spans: []scenarios.Span{{Slot: 4095, From: 1, To: 2}}, Length: 5 * time.Second, Started: true, Zero: -3, Stored: 7, Stop: scenarios.Drain, Why: "ctrl-c"},
	Lease{},
	Snapshot{Seq: 1, Bytes: []byte{0, 1, 2}, Final: true},
	Fault{Text: "no such campaign"},
}

func TestFramesComeAsTheyWent(t *testing.T) {
	a, b := net.Pipe()
	from, to := New(a), New(b)
	go func() {
		for _, f := range frames {
			if err := from.Send(f); err != nil {
				t.Error(err)
			}
		}
		from.Close()
	}()
	for _, want := range frames {
		got, err := to.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("sent %#v, received %#v", want, got)
		}
	}
	if _, err := to.Receive(); err != io.EOF {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

func TestSeveralSendersDoNotMix(t *testing.T) {
	a, b := net.Pipe()
	from, to := New(a), New(b)
	var senders sync.WaitGroup
	const each = 50
	for i := range 4 {
		senders.Go(func() {
			for range each {
				if err := from.Send(Snapshot{Seq: uint64(i), Bytes: bytes.Repeat([]byte{byte(i)}, 1000)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 * each {
		frame, err := to.Receive()
		if err != nil {
			t.Fatal(err)
		}
		s := frame.(Snapshot)
		if !bytes.Equal(s.Bytes, bytes.Repeat([]byte{byte(s.Seq)}, 1000)) {
			t.Fatal("frames of two senders are mixed")
		}
	}
	senders.Wait()
}

func TestBadFramesSayWhatIsWrong(t *testing.T) {
	whole, err := appendFrame(nil, frames[0])
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, bytes, want string
		cut               bool
	}{
		{"half a length", "\x00\x00", "its length", true},
		{"no kind", "\x00\x00\x00\x05", "its kind", true},
		{"truncated body", string(whole[:len(whole)-1]), "bytes: unexpected EOF", true},
		{"length 0", "\x00\x00\x00\x00", "a length of 0 bytes", false},
		{"length of 4 GB", "\xff\xff\xff\xff\x01", "a length of 4294967295 bytes", false},
		{"unknown kind", "\x00\x00\x00\x02\x09\xa0", "unknown kind 9", false},
		{"garbage", "\x00\x00\x00\x03\x01\xff\xff", "decode link.Setup", false},
		{"unknown key", "\x00\x00\x00\x04\x04\xa1\x09\x01", "decode link.Fault", false},
		{"bytes after the map", "\x00\x00\x00\x03\x04\xa0\x00", "decode link.Fault", false},
	}
	for _, tt := range tests {
		_, err := readFrame(strings.NewReader(tt.bytes))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want something with %q", tt.name, err, tt.want)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) != tt.cut || err == io.EOF {
			t.Errorf("%s: %v: cut short is %v", tt.name, err, tt.cut)
		}
	}
}

func TestSendRefusesWhatIsNoFrame(t *testing.T) {
	if _, err := appendFrame(nil, "hello"); err == nil {
		t.Error("a string went through as a frame")
	}
	if _, err := appendFrame(nil, Snapshot{Bytes: make([]byte, MaxFrame)}); err == nil {
		t.Error("a frame beyond the limit went through")
	}
}

func TestChildWithoutWorker(t *testing.T) {
	if _, err := Child(); !errors.Is(err, ErrNoLink) {
		t.Errorf("%v, want ErrNoLink", err)
	}
}

func TestChildProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	conn, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	spans := make([]scenarios.Span, scenarios.Slots)
	for i := range spans {
		spans[i] = scenarios.Span{Slot: scenarios.Slot(i), To: 9 * time.Hour}
	}
	for seq := range uint64(3) {
		if err := conn.Send(Lease{Answers: seq, Spans: spans}); err != nil {
			t.Fatal(err)
		}
		got, err := conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := got.(Snapshot); !ok || s.Seq != seq+1 {
			t.Fatalf("answer to %d: %#v", seq, got)
		}
	}
	conn.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("child did not see end of file: %v", err)
	}
}

func TestKilledChildIsEndOfFile(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	conn, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Send(Fault{Text: "something it may leave unread"}); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Receive(); err != io.EOF {
		t.Errorf("%v, want io.EOF", err)
	}
	_ = cmd.Wait()
}

func FuzzReadFrame(f *testing.F) {
	for _, frame := range frames {
		b, err := appendFrame(nil, frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte("\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := readFrame(bytes.NewReader(data))
		if err != nil {
			return
		}
		b, err := appendFrame(nil, frame)
		if err != nil {
			t.Fatalf("%#v was read and can't be written: %v", frame, err)
		}
		again, err := readFrame(bytes.NewReader(b))
		if err != nil || !reflect.DeepEqual(again, frame) {
			t.Fatalf("%#v came back as %#v, %v", frame, again, err)
		}
	})
}
