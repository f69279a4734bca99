package membership

import (
	"fmt"
	"net"
	"strconv"

	"github.com/fxamacker/cbor/v2"
)

// maxMeta is how much a node may say about itself in gossip, in bytes.
const maxMeta = 128

// meta is that: as short as it gets, and nothing that a lease depends on.
type meta struct {
	_        struct{} `cbor:",toarray"`
	Protocol uint16
	Role     Role
	Name     string
	API      string
}

var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, MaxNestedLevels: 4}.DecMode()
	if err != nil {
		panic("cbor options: " + err.Error()) // the options are constants
	}
	return mode
}()

func encodeMeta(m Member, version uint16) ([]byte, error) {
	b, err := cbor.Marshal(meta{Protocol: version, Role: m.Role, Name: m.Name, API: m.API})
	if err != nil {
		return nil, fmt.Errorf("describe node %s: %w", m.Name, err)
	}
	if _, err := decodeMeta(m.ID, b, version); err != nil {
		return nil, fmt.Errorf("describe node %s: %w", m.Name, err)
	}
	return b, nil
}

// decodeMeta reads what a node with that id says about itself, and refuses
// whatever a node of this version would not say. Of a node of another version
// it returns what it can read, with ErrProtocol: the version is the first thing
// that any node says.
func decodeMeta(id string, b []byte, version uint16) (Member, error) {
	var m meta
	if !isID(id) {
		return Member{}, fmt.Errorf("name %q is not the fingerprint of a certificate", id)
	}
	if len(b) > maxMeta {
		return Member{}, fmt.Errorf("%d bytes of metadata, at most %d", len(b), maxMeta)
	}
	err := strict.Unmarshal(b, &m)
	var parts []cbor.RawMessage
	var theirs uint16
	if strict.Unmarshal(b, &parts) == nil && len(parts) > 0 && strict.Unmarshal(parts[0], &theirs) == nil && theirs != version {
		if err != nil || !isName(m.Name) {
			m = meta{}
		}
		return Member{ID: id, Role: m.Role, Name: m.Name}, fmt.Errorf("%w: it speaks %d, this node %d", ErrProtocol, theirs, version)
	}
	if err != nil {
		return Member{}, fmt.Errorf("read metadata: %w", err)
	}
	if !isName(m.Name) {
		return Member{}, fmt.Errorf("name %q: want 1 to 32 letters, digits, '-', '_' or '.'", m.Name)
	}
	switch m.Role {
	case Worker, Operator:
		if m.API != "" {
			return Member{}, fmt.Errorf("%s %s with an API address", m.Role, m.Name)
		}
	case Coordinator:
		if _, port, err := net.SplitHostPort(m.API); err != nil || !isPort(port) {
			return Member{}, fmt.Errorf("coordinator %s with API address %q", m.Name, m.API)
		}
	default:
		return Member{}, fmt.Errorf("unknown role %q", m.Role)
	}
	return Member{ID: id, Role: m.Role, Name: m.Name, API: m.API}, nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func isName(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		default:
			return false
		}
	}
	return true
}
