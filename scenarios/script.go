package scenarios

import _ "embed"

// CrowdScript is the k6 script of a worker's child: one VU whose one iteration
// runs the crowd.
//
//go:embed scripts/crowd.js
var CrowdScript []byte
