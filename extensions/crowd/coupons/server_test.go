package coupons

import "github.com/flashcrowd/flashcrowd/extensions/crowd/crowdtest"

var (
	dial    = crowdtest.Dial
	shopper = crowdtest.Shopper
	key     = crowdtest.Key
	capture = crowdtest.Capture
	golden  = crowdtest.Golden
)

const patience = crowdtest.Patience
