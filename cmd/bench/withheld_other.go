//go:build !linux

package main

import (
	"errors"
	"time"
)

func withheld(string, time.Duration) (sum, longest time.Duration, err error) {
	return 0, 0, errors.ErrUnsupported
}
